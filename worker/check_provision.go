package worker

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/activities"
	"crmsync/connectors"
)

// provisionTimeout bounds what is created in one CRM.
const provisionTimeout = 2 * time.Minute

// provisionAll sets the CRMs up one after the other, since several connectors
// may share an account.
func provisionAll(ctx context.Context, instances map[string]*activities.Instance, dryRun bool) findings {
	var f findings
	for _, name := range slices.Sorted(maps.Keys(instances)) {
		f.provision(ctx, instances[name], dryRun)
	}
	return f
}

// provision creates what a connector needs in its CRM, or says what it would.
func (f *findings) provision(ctx context.Context, instance *activities.Instance, dryRun bool) {
	about := "connectors." + instance.Name
	p, ok := instance.Connector.(connectors.Provisioner)
	if !ok {
		f.ok(about, "needs nothing set up in the CRM")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	changes, err := p.Provision(ctx, dryRun)
	for _, c := range changes {
		if c.Done {
			f.ok(about, "done: %s", c.What)
		} else {
			f.warn(about, "to be done: %s", c.What)
		}
	}
	switch {
	case err != nil:
		f.fail(about, "%v", err)
	case len(changes) == 0:
		f.ok(about, "everything is set up")
	}
}

// missing names what a connector needs and its CRM does not have.
func (f *findings) missing(ctx context.Context, instance *activities.Instance) {
	p, ok := instance.Connector.(connectors.Provisioner)
	if !ok {
		return
	}
	about := "connectors." + instance.Name
	changes, err := p.Provision(ctx, true)
	if err != nil {
		f.warn(about, "does not say whether the fields that it needs are there: %v", err)
		return
	}
	if len(changes) > 0 {
		what := make([]string, len(changes))
		for i, c := range changes {
			what[i] = c.What
		}
		f.warn(about, "has to be set up (%s): run 'crmsync check --provision', with --dry-run to see it first", strings.Join(what, "; "))
	}
}
