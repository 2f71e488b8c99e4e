package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// decisions keeps what Metrics was told.
type decisions []activities.Decision

func (d *decisions) Contact(connector string, one activities.Decision) {
	if connector == "crm" {
		*d = append(*d, one)
	}
}

func (*decisions) Consent(string, bool, time.Duration)          {}
func (*decisions) Listed(activities.ConsentReport)              {}
func (d *decisions) Reconciled(string, activities.Counts, bool) {}

// TestDecisionsAreCounted: each once, by who made it; a question that is handed
// on, and a failure, decide nothing.
func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	deliver := func(w *world) error {
		_, err := w.deliver(activities.DeliverInput{Connector: "crm", Event: received()})
		return err
	}
	find := func(create bool) func(*world) error {
		return func(w *world) error {
			_, err := run[activities.Found](w, w.acts.FindContact, activities.FindInput{Connector: "crm", Phone: phone, Create: create})
			return err
		}
	}
	for name, c := range map[string]struct {
		several, none string
		found         []string
		arrange       func(*world)
		do            func(*world) error
		want          activities.Decision
	}{
		"one":                   {found: []string{"1"}, do: deliver, want: activities.MatchOnly},
		"remembered":            {arrange: func(w *world) { w.knows("1") }, do: deliver, want: activities.MatchRemembered},
		"first":                 {several: "first", found: []string{"1", "2"}, do: deliver, want: activities.MatchFirst},
		"most recent":           {several: "most_recent", found: []string{"1", "2"}, do: deliver, want: activities.MatchMostRecent},
		"several, parked":       {several: "park", found: []string{"1", "2"}, do: deliver, want: activities.MatchParked},
		"none, parked":          {none: "park", do: deliver, want: activities.MatchParked},
		"none, unlinked":        {none: "unlinked", do: deliver, want: activities.MatchNone},
		"none, handed on":       {none: "create", do: deliver},
		"handed on, several":    {several: "sticky", found: []string{"1", "2"}, do: find(true), want: activities.MatchMostRecent},
		"handed on, unlinked":   {do: find(false), want: activities.MatchNone},
		"handed on, to create":  {do: find(true)},
		"handed on, and parked": {none: "park", do: find(false), want: activities.MatchParked},
		"a search that fails": {do: find(true), arrange: func(w *world) {
			w.crm.find = func(sms.Phone) ([]connectors.Contact, error) {
				return nil, &connectors.Error{Op: "find", Kind: connectors.Unavailable}
			}
		}},
		"created": {want: activities.MatchCreated, do: func(w *world) error {
			w.crm.create = func(connectors.NewContact) (connectors.Contact, error) {
				return connectors.Contact{Ref: ref("new")}, nil
			}
			_, err := run[activities.Created](w, w.acts.CreateContact, activities.Ask{Connector: "crm", Phone: phone})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			told := &decisions{}
			w.acts.Metrics = told
			w.inst.Contacts = activities.ContactPolicy{Several: c.several, None: c.none, CreateWhen: "inbound"}
			w.crm.finds(c.found...)
			if c.arrange != nil {
				c.arrange(w)
			}
			_ = c.do(w)
			if c.want == "" {
				require.Empty(t, *told)
				return
			}
			require.Equal(t, decisions{c.want}, *told)
			require.Contains(t, activities.Decisions(), c.want)
		})
	}
}
