package connectortest

import (
	"context"
	"testing"

	"crmsync/connectors"
)

func (a *altered) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	found, err := a.testcrm.FindMessages(ctx, records)
	if a.read != nil && err == nil {
		a.read(records, found)
	}
	return found, err
}

// An audit believes what it is told of doubles, and of whose timeline it is.
func TestSuiteFindsDefectsOfFinding(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		defect string
		change func(connectors.Record, *[]connectors.Found)
		found  string
	}{
		{"names one record of two", func(_ connectors.Record, f *[]connectors.Found) { *f = (*f)[:min(1, len(*f))] }, "find messages/doubled"},
		{"says the contact that was asked for", saysTheAsked, "find messages/moved"},
		{"says no contact", func(_ connectors.Record, f *[]connectors.Found) {
			each(*f, func(f *connectors.Found) { f.Contacts = nil })
		}, "find messages/says on whose timeline"},
		{"believes the memory", func(r connectors.Record, f *[]connectors.Found) {
			if len(*f) == 0 && !r.Known.Zero() {
				*f = []connectors.Found{{Ref: r.Known}}
			}
		}, "find messages/deleted"},
	} {
		t.Run(d.defect, func(t *testing.T) {
			t.Parallel()
			mustNotice(t, connectors.ClassB, func(a *altered) {
				a.read = func(records []connectors.Record, found [][]connectors.Found) {
					for i := range found {
						d.change(records[i], &found[i])
					}
				}
			}, d.found)
		})
	}
}

func saysTheAsked(r connectors.Record, f *[]connectors.Found) {
	each(*f, func(f *connectors.Found) { f.Contacts = []connectors.Ref{r.Contact} })
}

func each(found []connectors.Found, do func(*connectors.Found)) {
	for i := range found {
		do(&found[i])
	}
}
