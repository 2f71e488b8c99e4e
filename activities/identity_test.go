package activities_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// What becomes of a text of which no memory knows the contact.
func TestContactPolicies(t *testing.T) {
	t.Parallel()
	policy := func(several, none, when string) activities.ContactPolicy {
		return activities.ContactPolicy{Several: several, None: none, CreateWhen: when}
	}
	const notAllowed = "unlinked: no contact has this number, and create_when does not allow to create one"
	in, out := received(), outbound(sms.Sent)
	answer := func(e sms.Event, contact, line sms.Phone) sms.Event {
		e.Message.Contact, e.Message.Line = contact, line
		return e
	}
	for name, c := range map[string]struct {
		policy  activities.ContactPolicy
		event   sms.Event
		found   []string
		limit   func(*connectors.Capabilities)
		arrange func(*world)
		attempt int32

		contact, how string // a match
		asked        bool
		create       bool
		parked       string
		waits        bool
	}{
		"one contact is the one":       {policy: policy("park", "park", "never"), event: in, found: []string{"1"}, contact: "1", how: "only match"},
		"several, sticky":              {policy: policy("sticky", "create", "inbound"), event: in, found: []string{"1", "2"}, asked: true, create: true},
		"several, sticky, none parks":  {policy: policy("sticky", "park", "inbound"), event: in, found: []string{"1", "2"}, asked: true},
		"several, sticky, outbound":    {policy: policy("sticky", "create", "inbound"), event: out, found: []string{"1", "2"}, asked: true},
		"several, most recent":         {policy: policy("most_recent", "create", "inbound"), event: in, found: []string{"1", "3", "2"}, contact: "2", how: "most recently updated of 3"},
		"several, first":               {policy: policy("first", "create", "inbound"), event: in, found: []string{"3", "1", "2"}, contact: "3", how: "first of 3"},
		"several, park":                {policy: policy("park", "create", "inbound"), event: in, found: []string{"1", "2"}, parked: activities.SeveralContacts},
		"none, park":                   {policy: policy("sticky", "park", "always"), event: in, parked: activities.NoContact},
		"none, unlinked":               {policy: policy("sticky", "unlinked", "always"), event: in, how: "unlinked: no contact has this number"},
		"none, create, inbound, in":    {policy: policy("sticky", "create", "inbound"), event: in, asked: true, create: true},
		"none, create, outbound, in":   {policy: policy("sticky", "create", "outbound"), event: in, how: notAllowed},
		"none, create, outbound, out":  {policy: policy("sticky", "create", "outbound"), event: out, asked: true, create: true},
		"none, create, always, in":     {policy: policy("sticky", "create", "always"), event: in, asked: true, create: true},
		"none, create, always, out":    {policy: policy("sticky", "create", "always"), event: out, asked: true, create: true},
		"none, create, never, in":      {policy: policy("sticky", "create", "never"), event: in, how: notAllowed},
		"none, create, never, out":     {policy: policy("sticky", "create", "never"), event: out, how: notAllowed},
		"an answer may have overtaken": {policy: policy("sticky", "create", "inbound"), event: out, waits: true},
		"an answer waits once":         {policy: policy("sticky", "create", "inbound"), event: out, attempt: 2, how: notAllowed},

		"a text to oneself":             {policy: policy("sticky", "create", "always"), event: answer(in, phone, phone), how: notAllowed},
		"a text to oneself never waits": {policy: policy("sticky", "create", "inbound"), event: answer(out, phone, phone), how: notAllowed},
		"a text from another own line": {
			policy: policy("sticky", "create", "always"), event: in, how: notAllowed,
			arrange: func(w *world) { w.ledger.MarkLine(w.t.Context(), "main", hash) },
		},
		"a line of another account is a stranger": {
			policy: policy("sticky", "create", "always"), event: in, asked: true, create: true,
			arrange: func(w *world) { w.ledger.MarkLine(w.t.Context(), "other", hash) },
		},
		"several have an own line": {
			policy: policy("sticky", "create", "always"), event: in, found: []string{"1", "2"}, asked: true,
			arrange: func(w *world) { w.ledger.MarkLine(w.t.Context(), "main", hash) },
		},
		"a short code": {policy: policy("sticky", "create", "always"), event: answer(in, "72345", line), how: "unlinked: not a full phone number"},
		"a name":       {policy: policy("sticky", "park", "always"), event: answer(in, "ACME", line), how: "unlinked: not a full phone number"},

		"no search": {
			policy: policy("sticky", "create", "always"), event: in, how: "unlinked: this CRM offers no search for contacts",
			limit: func(c *connectors.Capabilities) { c.Find = false },
		},
		"no creation": {
			policy: policy("sticky", "create", "always"), event: in, how: "unlinked: no contact has this number, and this CRM offers no way to create one",
			limit: func(c *connectors.Capabilities) { c.Create = false },
		},
		"several, and no creation": {
			policy: policy("sticky", "create", "always"), event: in, found: []string{"1", "2"}, asked: true,
			limit: func(c *connectors.Capabilities) { c.Create = false },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inst.Contacts, w.attempt = c.policy, max(c.attempt, 1)
			w.crm.finds(c.found...)
			if c.limit != nil {
				c.limit(&w.crm.caps)
			}
			if c.arrange != nil {
				c.arrange(w)
			}
			out, err := w.deliver(activities.DeliverInput{Connector: "crm", Event: c.event})
			switch {
			case c.parked != "":
				parked(t, c.parked, err)
			case c.waits:
				retried(t, activities.Waiting, err)
				require.Equal(t, 10*time.Second, failed(t, err).NextRetryDelay())
			case c.asked:
				require.NoError(t, err)
				require.Equal(t, activities.DeliverResult{Asked: true}, out)
				require.Equal(t, c.create, w.temporal.asked().Create)
				require.Equal(t, requester, w.temporal.asked().Workflow)
			default:
				require.NoError(t, err)
				require.Equal(t, c.contact, out.Match.Contact.ID)
				require.Equal(t, c.how, out.Match.How)
				require.Equal(t, c.contact, w.crm.records[0].Contact.ID)
				require.Equal(t, c.contact, w.cached(), "being unlinked is not remembered")
				return
			}
			require.Zero(t, times(w.crm.calls, "put"))
			require.Empty(t, w.cached())
		})
	}
}

// Two memories are asked before the CRM is: Redis, then the number's
// EnsureContact workflow.
func TestContactIsRecalled(t *testing.T) {
	t.Parallel()
	memo := func(id string) map[string]any {
		return map[string]any{activities.MemoMatch: activities.Match{Contact: ref(id), OwnerID: "owner", How: "sticky"}}
	}
	for name, c := range map[string]struct {
		redis    string
		away     bool
		workflow *execution
		contact  string
		how      string
		asked    bool
		searched bool
	}{
		"by Redis":                                  {redis: "1", contact: "1", how: "in Redis"},
		"by Redis, whatever the workflow says":      {redis: "1", workflow: &execution{status: running, memo: memo("2")}, contact: "1", how: "in Redis"},
		"by the workflow":                           {workflow: &execution{status: running, memo: memo("2")}, contact: "2", how: "sticky"},
		"by the workflow, without Redis":            {away: true, workflow: &execution{status: running, memo: memo("2")}, contact: "2", how: "sticky"},
		"not while the workflow decides":            {workflow: &execution{status: running}, asked: true},
		"not after the workflow's contact was gone": {workflow: &execution{status: running, memo: memo("")}, asked: true},
		"not by a workflow that has ended":          {workflow: &execution{status: completed, memo: memo("2")}, contact: "3", how: "only match", searched: true},
		"not by one that was terminated": {
			workflow: &execution{status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, memo: memo("2")}, contact: "3", how: "only match", searched: true,
		},
		"by nobody": {contact: "3", how: "only match", searched: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.finds("3")
			if c.redis != "" {
				w.knows(c.redis)
			}
			if c.away {
				w.redis.Close()
			}
			if c.workflow != nil {
				w.temporal.workflows[contactID] = c.workflow
			}
			out, err := w.deliver(live())
			require.NoError(t, err)
			require.Equal(t, c.searched, times(w.crm.calls, "find") == 1)
			require.Equal(t, c.asked, out.Asked)
			require.Equal(t, c.contact, out.Match.Contact.ID)
			require.Equal(t, c.how, out.Match.How)
			if c.asked {
				require.True(t, w.temporal.asked().Create, "it may not have decided after all")
			}
		})
	}
}

// A person's link is for good, also where nothing can be searched for.
func TestLinkHoldsWithoutASearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.caps.Find = false
	w.temporal.workflows[contactID] = &execution{status: running, memo: map[string]any{
		activities.MemoMatch: activities.Match{Contact: ref("7"), How: "linked by a person"},
	}}
	out, err := w.deliver(live())
	require.NoError(t, err)
	require.Equal(t, "7", out.Match.Contact.ID)
	require.Zero(t, times(w.crm.calls, "find"))
}

func TestContactThatCannotBeRecalledFailsTheAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.temporal.describeErr = errAway
	_, err := w.deliver(live())
	hiccup(t, err)

	w = newWorld(t)
	w.temporal.workflows[contactID] = &execution{status: running, memo: map[string]any{activities.MemoMatch: "not a match"}}
	_, err = w.deliver(live())
	require.ErrorContains(t, err, "read memo of "+contactID)
	require.Empty(t, w.crm.calls)
}

func TestSearchThatFailsIsUnambiguous(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.find = func(sms.Phone) ([]connectors.Contact, error) { return nil, errAway }
	_, err := w.deliver(live())
	retried(t, "UNKNOWN", err)
	unambiguous(t, err)

	w = newWorld(t)
	w.crm.find = func(sms.Phone) ([]connectors.Contact, error) {
		return nil, &connectors.Error{Op: "find", Kind: connectors.RateLimited, RetryAfter: time.Minute, Ambiguous: true}
	}
	_, err = w.deliver(live())
	retried(t, "RATE_LIMITED", err)
	app := failed(t, err)
	unambiguous(t, err)
	require.Equal(t, time.Minute, app.NextRetryDelay())

	w = newWorld(t)
	w.crm.found = [][]connectors.Contact{{}, {}}
	_, err = w.deliver(live())
	retried(t, "UNKNOWN", err)
	unambiguous(t, err)
}

func TestConsentIsToldOfAContactBeforeItIsCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.finds("1")
	told := false
	w.temporal.onSignal = func() {
		told = true
		require.Empty(t, w.cached(), "a crash now has to repeat both")
		require.Empty(t, w.crm.records)
	}
	_, err := w.deliver(live())
	require.NoError(t, err)
	require.True(t, told)
	require.Equal(t, []sent{{consentID, activities.SignalContact, activities.Appeared{Connector: "crm", Contact: ref("1")}}}, w.temporal.signals)
	require.Equal(t, "1", w.cached())
}

func TestTellingConsentThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.temporal.signalErr = errAway
	_, err := w.deliver(to("1"))
	hiccup(t, err)
	require.Empty(t, w.cached(), "else nobody would tell again")
	require.Empty(t, w.crm.calls)

	w = newWorld(t)
	w.temporal.signalErr = noSuchWorkflow()
	_, err = w.deliver(to("1"))
	require.NoError(t, err, "the number has never said anything about consent")
	require.Equal(t, "1", w.cached())
}

func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(*world) activities.DeliverInput{
		"of a contact from Redis": func(w *world) activities.DeliverInput { w.knows("1"); return live() },
		"of no contact":           func(*world) activities.DeliverInput { return to("") },
		"where consent has no place": func(w *world) activities.DeliverInput {
			w.crm.caps.Consent = false
			return to("1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.deliver(arrange(w))
			require.NoError(t, err)
			require.Empty(t, w.temporal.signals)
		})
	}
}

func TestFindContact(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found         []string
		several, none string
		gone          string
		create        bool
		contact, how  string
		parked        string
	}{
		"one":                           {found: []string{"1"}, contact: "1", how: "only match"},
		"one, and it is gone":           {found: []string{"1"}, gone: "1"},
		"two, and one is gone":          {found: []string{"1", "2"}, several: "park", gone: "2", contact: "1", how: "only match"},
		"three, and the latest is gone": {found: []string{"1", "2", "3"}, several: "sticky", gone: "3", contact: "2", how: "most recently updated of 2"},
		"several, first":                {found: []string{"1", "2"}, several: "first", contact: "1", how: "first of 2"},
		"several, park":                 {found: []string{"1", "2"}, several: "park", create: true, parked: activities.SeveralContacts},
		"none, to be created":           {create: true},
		"none, to be left unlinked":     {none: "unlinked"},
		"none, park":                    {none: "park", parked: activities.NoContact},
		"gone, park":                    {found: []string{"1"}, gone: "1", none: "park", parked: activities.NoContact},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inst.Contacts = activities.ContactPolicy{Several: c.several, None: c.none}
			w.crm.finds(c.found...)
			in := activities.FindInput{Connector: "crm", Phone: phone, Gone: ref(c.gone), Create: c.create}
			found, err := run[activities.Found](w, w.acts.FindContact, in)
			if c.parked != "" {
				parked(t, c.parked, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.contact, found.Match.Contact.ID)
			require.Equal(t, c.how, found.Match.How)
			require.Equal(t, w.inst.Definition.Settle, found.Settle)
			require.Equal(t, w.inst.Definition.SearchLag, found.SearchLag)
		})
	}
}

func TestFindContactFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.find = func(sms.Phone) ([]connectors.Contact, error) {
		return nil, &connectors.Error{Op: "find", Kind: connectors.Unavailable}
	}
	_, err := run[activities.Found](w, w.acts.FindContact, activities.FindInput{Connector: "crm", Phone: phone})
	retried(t, "UNAVAILABLE", err)
}

// A contact that a person linked may be gone at a CRM that has no search.
func TestFindContactWithoutASearchParks(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*world){
		"by its methods":  (*world).bare,
		"by its instance": func(w *world) { w.crm.caps.Find = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			limit(w)
			_, err := run[activities.Found](w, w.acts.FindContact, activities.FindInput{Connector: "crm", Phone: phone})
			parked(t, "UNSUPPORTED", err)
			require.Empty(t, w.crm.calls)
		})
	}
}

func TestCreateContact(t *testing.T) {
	t.Parallel()
	ask := activities.Ask{Connector: "crm", Phone: phone, Name: "Ada", Email: "ada@example.com"}

	t.Run("once, by the number's hash", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.crm.create = func(n connectors.NewContact) (connectors.Contact, error) {
			require.Equal(t, connectors.NewContact{Key: hash, Phone: phone, Name: "Ada", Email: "ada@example.com"}, n)
			return connectors.Contact{Ref: ref("new"), OwnerID: "owner"}, nil
		}
		created, err := run[activities.Created](w, w.acts.CreateContact, ask)
		require.NoError(t, err)
		require.Equal(t, activities.Match{Contact: ref("new"), OwnerID: "owner", How: "created"}, created.Match)
	})
	t.Run("a failure says whether it may have happened", func(t *testing.T) {
		t.Parallel()
		for cause, ambiguous := range map[error]bool{
			&connectors.Error{Op: "create", Kind: connectors.Unavailable, Ambiguous: true}: true,
			&connectors.Error{Op: "create", Kind: connectors.Unavailable}:                  false,
			errors.New("odd"): true,
		} {
			w := newWorld(t)
			w.crm.create = func(connectors.NewContact) (connectors.Contact, error) { return connectors.Contact{}, cause }
			_, err := run[activities.Created](w, w.acts.CreateContact, ask)
			var detail activities.FailureDetail
			require.NoError(t, failed(t, err).Details(&detail))
			require.Equal(t, ambiguous, detail.Ambiguous)
		}
	})
	t.Run("parks where the CRM cannot", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.crm.caps.Create = false
		_, err := run[activities.Created](w, w.acts.CreateContact, ask)
		parked(t, "UNSUPPORTED", err)
		w = newWorld(t)
		w.bare()
		_, err = run[activities.Created](w, w.acts.CreateContact, ask)
		parked(t, "UNSUPPORTED", err)
	})
	t.Run("not without time for it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.inst.Definition.CallTimeout = time.Hour
		_, err := run[activities.Created](w, w.acts.CreateContact, ask)
		retried(t, activities.GivenBack, err)
		require.Empty(t, w.crm.calls)
	})
}

func TestLinkIsKeptByEnsureContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.knows("wrong")
	match := activities.Match{Contact: ref("right"), How: "linked by a person"}
	_, err := run[any](w, w.acts.LinkContact, activities.Link{Connector: "crm", Phone: phone, Match: match})
	require.NoError(t, err)
	require.Empty(t, w.cached())
	require.Equal(t, []sent{{contactID, activities.SignalLink, match}}, w.temporal.signals)
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	find := func(w *world) error {
		_, err := run[activities.Found](w, w.acts.FindContact, activities.FindInput{Connector: "crm", Phone: phone, Create: true})
		return err
	}
	t.Run("are asked for until the CRM has answered once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.crm.check = func() error {
			return &connectors.Error{Op: "check", Kind: connectors.Unavailable, RetryAfter: time.Second, Ambiguous: true}
		}
		err := find(w)
		retried(t, "UNAVAILABLE", err)
		app := failed(t, err)
		require.Equal(t, time.Second, app.NextRetryDelay())
		unambiguous(t, err)
		w.crm.check = func() error { return errAway }
		err = find(w)
		retried(t, "UNKNOWN", err)
		unambiguous(t, err)
		w.crm.check = func() error { return nil }
		require.NoError(t, find(w))
		require.NoError(t, find(w))
		require.Equal(t, []string{"check", "check", "check", "find", "find"}, w.crm.calls)
	})
	t.Run("are what methods and instance both offer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.crm.caps = connectors.Capabilities{Class: connectors.ClassD, Find: true, Status: true}
		caps, err := w.inst.Lane().Capabilities(t.Context())
		require.NoError(t, err)
		require.Equal(t, w.crm.caps, caps)
		w = newWorld(t)
		w.bare()
		caps, err = w.inst.Lane().Capabilities(t.Context())
		require.NoError(t, err)
		require.Equal(t, connectors.Capabilities{Class: connectors.ClassA}, caps)
	})
	t.Run("of an unknown connector are another process's", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		in := live()
		in.Connector = "other"
		_, err := w.deliver(in)
		retried(t, activities.GivenBack, err)
		require.Equal(t, time.Minute, failed(t, err).NextRetryDelay())
	})
}
