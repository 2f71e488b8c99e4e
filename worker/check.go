package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/activities"
	"crmsync/config"
)

// checkTimeout bounds each part of check; the parts run side by side.
const checkTimeout = 20 * time.Second

// The levels of a finding.
const (
	levelOK      = "ok"
	levelWarning = "warning"
	levelError   = "error"
)

// Findings that end check, which were printed already.
var (
	errFindings = errors.New("there are errors")
	errWarnings = errors.New("there are warnings")
)

// finding is one thing that check has to say.
type finding struct {
	Level string `json:"level"`
	About string `json:"about"`
	Text  string `json:"text"`
}

// findings is what one part of check has to say. It is for one goroutine.
type findings []finding

func (f *findings) add(level, about, format string, args ...any) {
	*f = append(*f, finding{level, about, fmt.Sprintf(format, args...)})
}

func (f *findings) ok(about, format string, args ...any) { f.add(levelOK, about, format, args...) }
func (f *findings) warn(about, format string, args ...any) {
	f.add(levelWarning, about, format, args...)
}

func (f *findings) fail(about, format string, args ...any) { f.add(levelError, about, format, args...) }

func (a *app) checkCommand() *cobra.Command {
	var provision, dryRun bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the configuration and with what it names",
		Long: `Check reads the configuration, asks Temporal, Redis and each CRM whether they
are there, let us in and are set up well, looks for work that nobody does, and
says what to paste into JustCall's settings. It changes nothing.

With --provision it looks at nothing else, but creates the custom fields that each
connector needs in its CRM; with --dry-run, too, it only says which. What is there
already is left as it is.

The exit status is 0 if all is well, 1 if there are errors, and 3 if there are
only warnings (2 is a wrong call): a script that can live with warnings goes on
at 0 and 3.`,
		Example: `  crmsync check --config crmsync.yaml
  crmsync check --json
  crmsync check --provision --dry-run    say which custom fields are missing
  crmsync check --provision              create them`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun && !provision {
				return usageError{errors.New("--dry-run belongs to --provision: check alone changes nothing")}
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			signIns := newSignIns(c, hclog.NewNullLogger())
			defer func() { _ = signIns.close() }()
			instances, err := openInstances(c, a.registry, way{signIns: signIns})
			if err != nil {
				return err
			}
			if provision {
				return a.report(provisionAll(cmd.Context(), instances, dryRun))
			}
			return a.report(runChecks(cmd.Context(), c, instances, signIns))
		},
	})
	cmd.Flags().BoolVar(&provision, "provision", false, "create the custom fields that the connectors need in their CRMs")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "with --provision: say what it would create")
	return cmd
}

// runChecks runs all parts side by side, and answers what they have to say in
// the order of the parts.
func runChecks(ctx context.Context, c *config.Config, instances map[string]*activities.Instance, s *signIns) findings {
	parts := []func(context.Context, *findings){
		func(_ context.Context, f *findings) { f.settings(c) },
		func(_ context.Context, f *findings) { f.justcall(c) },
		func(ctx context.Context, f *findings) { f.justcallAPIs(ctx, c) },
		func(ctx context.Context, f *findings) { f.temporal(ctx, c) },
		func(ctx context.Context, f *findings) { f.redis(ctx, c) },
		func(ctx context.Context, f *findings) { f.grants(ctx, s) },
	}
	for _, name := range slices.Sorted(maps.Keys(instances)) {
		parts = append(parts, func(ctx context.Context, f *findings) { f.connector(ctx, c, instances[name]) })
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	said := make([]findings, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { part(ctx, &said[i]) })
	}
	wg.Wait()
	return slices.Concat(said...)
}

func (f *findings) settings(c *config.Config) {
	for _, problem := range c.Problems() {
		f.fail("configuration", "%v", problem)
	}
	for _, warning := range c.Warnings() {
		f.warn("configuration", "%s", warning)
	}
}

func (f *findings) connector(ctx context.Context, c *config.Config, instance *activities.Instance) {
	about := "connectors." + instance.Name
	caps, err := instance.Lane().Capabilities(ctx)
	if err != nil {
		f.fail(about, "%v", err)
		return
	}
	f.ok(about, "credentials work; idempotency class %s, contacts %s", caps.Class, map[bool]string{true: "searched", false: "not searched"}[caps.Find])
	if !caps.Status {
		f.ok(about, "statuses are not applicable here: this CRM cannot change a logged text")
	}
	if !caps.Consent {
		f.warn(about, "opt-outs have no place in this CRM: see to it that nobody writes from it to who opted out")
	}
	f.missing(ctx, instance)
	if instance.Adoption.On && !caps.Adopt {
		f.warn(about, "adopt has no effect: this CRM, or what it is set up with, offers no way to take over another integration's record, so both would stand there")
	}
	if t := instance.Templates.Body; t != nil && !t.Uses("Body") {
		f.warn(about, "templates.body does not name .Body, so what texts say stands nowhere")
	}
	f.owners(ctx, c, instance)
}

func (a *app) report(f findings) error {
	if f == nil {
		f = findings{}
	}
	if a.json {
		if err := a.printJSON(f); err != nil {
			return err
		}
	} else {
		for _, finding := range f {
			a.printf("%-8s %s: %s\n", finding.Level, finding.About, finding.Text)
		}
	}
	return f.verdict()
}

// verdict is the error that check ends with.
func (f findings) verdict() error {
	has := func(level string) bool {
		return slices.ContainsFunc(f, func(f finding) bool { return f.Level == level })
	}
	switch {
	case has(levelError):
		return errFindings
	case has(levelWarning):
		return errWarnings
	}
	return nil
}
