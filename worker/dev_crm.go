package worker

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"crmsync/config"
	"crmsync/connectors/all"
	"crmsync/connectors/fakes"
	"crmsync/connectors/sandbox"
	"crmsync/connectors/sandbox/crm"
)

// trialCRM is the CRM of a trial.
type trialCRM struct {
	what    string // for people
	handler http.Handler
	// settings are the connector's lines below the key connectors, for the CRM's
	// address.
	settings func(base string) string
	close    func() error
}

// tryables are the names that --crm takes.
func tryables() []string {
	names := []string{sandbox.Name}
	for _, f := range all.Fakes() {
		names = append(names, f.Connector.Name)
	}
	slices.Sort(names)
	return names
}

// tryable answers the vendor of that name, nil for the sandbox.
func tryable(name string) (*all.Fake, error) {
	for _, f := range all.Fakes() {
		if f.Connector.Name == name {
			return &f, nil
		}
	}
	if name == sandbox.Name {
		return nil, nil
	}
	return nil, fmt.Errorf("--crm: there is no CRM %q to try; there are %s", name, strings.Join(tryables(), ", "))
}

func openTrialCRM(vendor *all.Fake, data string) (*trialCRM, error) {
	if vendor != nil {
		return fakeCRM(*vendor), nil
	}
	c, err := crm.Open(filepath.Join(data, "crm.db"))
	if err != nil {
		return nil, fmt.Errorf("%w; is another 'crmsync dev' running with the same --data?", err)
	}
	return &trialCRM{
		what: "the sandbox CRM; --crm tries another", handler: c.Handler(), close: c.Close,
		settings: func(base string) string { return settingsOf(sandbox.Name, "type: sandbox\nbase_url: "+base) },
	}, nil
}

// trialOwners are users of a fake: texts of an agent with such an address are
// theirs.
var trialOwners = []string{"ada@example.com", "ben@example.com"}

// fakeCRM is a bare account of a vendor, with users where the fake has them.
func fakeCRM(vendor all.Fake) *trialCRM {
	fake := vendor.New()
	page := fakes.Page{Title: vendor.Connector.Title, HTML: vendor.HTML, Owners: map[string]string{}}
	if adder, ok := fake.(fakes.OwnerAdder); ok {
		for _, email := range trialOwners {
			page.Owners[adder.AddOwner(email)] = email
		}
	}
	if bare, ok := fake.(fakes.FieldRemover); ok {
		bare.RemoveFields()
	}
	return &trialCRM{
		what: "a fake of " + vendor.Connector.Title + ", which ends with crmsync", handler: page.Serve(fake),
		settings: func(base string) string { return settingsOf(vendor.Connector.Name, fake.Config(base)) },
		close:    func() error { return nil },
	}
}

// settingsOf are an instance's lines under its name.
func settingsOf(name, settings string) string {
	indented := strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n    ")
	return "  " + name + ":\n    " + indented + "\n"
}

// provisionTrial sets the CRM up as check --provision does, and says so.
func (a *app) provisionTrial(ctx context.Context, c *config.Config) error {
	instances, err := openInstances(c, a.registry, way{})
	if err != nil {
		return err
	}
	f := provisionAll(ctx, instances, false)
	for _, one := range f {
		_, _ = fmt.Fprintf(a.stderr, "%s: %s\n", one.About, one.Text)
	}
	return f.verdict()
}
