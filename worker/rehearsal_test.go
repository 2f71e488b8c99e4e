package worker

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

// rehearsed tries the test CRM, whose connector may be replaced, and answers
// the state of each step by its name.
func rehearsed(t *testing.T, crm *connectortest.CRM, class connectors.Class, wrap func(connectors.Connector) connectors.Connector) (map[string]string, *rehearsal) {
	t.Helper()
	d := connectortest.Definition(connectortest.Options{CallTimeout: 5 * time.Second})
	settings := "class: " + string(class) + "\nbase_url: " + crm.Start(t)
	c, err := d.Open(connectortest.Config("crm", settings), connectors.Env{Client: http.DefaultClient})
	require.NoError(t, err)
	if wrap != nil {
		c = wrap(c)
	}
	d.CallTimeout = 5 * time.Second
	r := newRehearsal(&activities.Instance{Name: "crm", Connector: c, Definition: d}, fictional)
	r.pause, r.patience = 5*time.Millisecond, 200*time.Millisecond
	r.run(t.Context())
	states := map[string]string{}
	for _, s := range r.steps {
		states[s.Step] = s.State
	}
	return states, r
}

func TestRehearsalOfEveryClass(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.ClassA, connectors.ClassB, connectors.ClassC, connectors.ClassD} {
		crm := connectortest.NewCRM(connectortest.CRMOptions{Class: class})
		states, r := rehearsed(t, crm, class, nil)
		require.False(t, r.failed(), "%s: %v", class, r.steps)
		require.Equal(t, class == connectors.ClassD, states["put it again"] == "skipped")
		require.Equal(t, "ok", states["status of nothing"])
		require.Len(t, crm.Messages(), 1)
		require.Len(t, crm.Contacts(), 1)
		require.False(t, crm.Contacts()[0].OptedOut, "it ends opted in")
		require.Len(t, r.leftovers, 2)
	}
}

func TestRehearsalFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options connectortest.CRMOptions
		class   connectors.Class
		wrap    func(connectors.Connector) connectors.Connector
		failed  string
	}{
		"a search that lags":           {connectortest.CRMOptions{SearchLag: 60 * time.Millisecond}, "B", nil, "find contact"},
		"a search that finds nothing":  {connectortest.CRMOptions{SearchLag: time.Hour}, "B", nil, "find contact"},
		"texts that show late":         {connectortest.CRMOptions{MessageLag: 60 * time.Millisecond}, "B", nil, "find text"},
		"texts that do not show":       {connectortest.CRMOptions{MessageLag: time.Hour}, "B", nil, "find text"},
		"the wrong class":              {connectortest.CRMOptions{}, "B", doubling, "put it again"},
		"whatever is asked is there":   {connectortest.CRMOptions{}, "B", credulous, "find text"},
		"a status of nothing succeeds": {connectortest.CRMOptions{}, "B", obliging, "status of nothing"},
		"another class":                {connectortest.CRMOptions{Class: "A"}, "B", nil, "check"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			states, r := rehearsed(t, connectortest.NewCRM(c.options), c.class, c.wrap)
			require.Equal(t, "failed", states[c.failed], "%v", r.steps)
			require.True(t, r.failed())
		})
	}
}

// everything is what the test CRM's connector can do, to be altered.
type everything interface {
	connectors.Connector
	connectors.ContactFinder
	connectors.ContactCreator
	connectors.StatusUpdater
	connectors.ConsentSetter
	connectors.MessageFinder
}

type altered struct {
	everything
	put    func([]connectors.Record)
	find   func([][]connectors.Found)
	status func([]connectors.Outcome)
}

func (a altered) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	if a.put != nil {
		a.put(records)
	}
	return a.everything.PutMessages(ctx, records)
}

func (a altered) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	found, err := a.everything.FindMessages(ctx, records)
	if a.find != nil {
		a.find(found)
	}
	return found, err
}

func (a altered) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	out := a.everything.UpdateStatus(ctx, changes)
	if a.status != nil {
		a.status(out)
	}
	return out
}

func doubling(c connectors.Connector) connectors.Connector {
	calls := ""
	return altered{everything: c.(everything), put: func(records []connectors.Record) {
		records[0].Key += calls
		calls += "x"
	}}
}

func credulous(c connectors.Connector) connectors.Connector {
	return altered{everything: c.(everything), find: func(found [][]connectors.Found) {
		found[1] = found[0]
	}}
}

func obliging(c connectors.Connector) connectors.Connector {
	return altered{everything: c.(everything), status: func(out []connectors.Outcome) {
		out[0] = connectors.Outcome{State: connectors.Written}
	}}
}

// A contact that a person made keeps its consent.
func TestRehearsalLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	crm.AddContact(connectortest.Contact{Name: "Ann Lee", Phones: []string{fictional}})
	states, r := rehearsed(t, crm, connectors.ClassB, nil)
	require.False(t, r.failed(), "%v", r.steps)
	require.Equal(t, "skipped", states["set consent"])
	require.Equal(t, "skipped", states["create contact"])
	require.Len(t, r.leftovers, 1, "only the text is to be removed")
	require.Empty(t, crm.Requests()["consent"])
}

// Nothing but what every connector must have.
func TestRehearsalOfTheLeast(t *testing.T) {
	t.Parallel()
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	states, r := rehearsed(t, crm, connectors.ClassB, func(c connectors.Connector) connectors.Connector {
		return struct{ connectors.Connector }{c}
	})
	require.False(t, r.failed(), "%v", r.steps)
	require.Equal(t, map[string]string{
		"check": "ok", "find contact": "skipped", "create contact": "skipped", "put text": "ok", "put it again": "ok",
		"find text": "skipped", "update status": "skipped", "set consent": "skipped",
	}, states)
	require.Len(t, crm.Messages(), 1)
	require.Equal(t, sms.Phone(fictional), r.phone)
}
