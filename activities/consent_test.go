package activities_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

var stop = sms.Consent{Phone: phone, OptedOut: true, At: start}

func (w *world) setConsent(known ...string) (activities.ConsentResult, error) {
	w.t.Helper()
	in := activities.ConsentInput{Connector: "crm", Account: "main", Consent: stop}
	for _, id := range known {
		in.Known = append(in.Known, ref(id))
	}
	return run[activities.ConsentResult](w, w.acts.SetConsent, in)
}

// carried are the contacts of each batch.
func (c *crm) carried(t *testing.T) (batches [][]string) {
	t.Helper()
	for _, batch := range c.consents {
		var ids []string
		for _, change := range batch {
			require.Equal(t, stop, change.Consent)
			ids = append(ids, change.Contact.ID)
		}
		batches = append(batches, ids)
	}
	return batches
}

// A STOP counts wherever the number is, and is written once on each contact.
func TestConsentGoesToEveryContactWithTheNumber(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		known, found []string
		redis, memo  string
		search       bool
		want         [][]string
	}{
		"the search's":                      {found: []string{"1", "2"}, search: true, want: [][]string{{"1", "2"}}},
		"also those too new for the search": {known: []string{"9"}, found: []string{"1"}, search: true, want: [][]string{{"9", "1"}}},
		"also the one in Redis":             {redis: "8", found: []string{"1"}, search: true, want: [][]string{{"8", "1"}}},
		"also EnsureContact's":              {memo: "7", found: []string{"1"}, search: true, want: [][]string{{"7", "1"}}},
		"each once":                         {known: []string{"1", "2", "1"}, redis: "2", found: []string{"2", "3", "1"}, search: true, want: [][]string{{"1", "2"}, {"3"}}},
		"without a search, who is known":    {known: []string{"1", "2"}, redis: "3", want: [][]string{{"1", "2"}, {"3"}}},
		"in batches":                        {found: []string{"1", "2", "3", "4", "5"}, search: true, want: [][]string{{"1", "2"}, {"3", "4"}, {"5"}}},
		"nobody":                            {search: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Find = c.search
			w.crm.finds(c.found...)
			if c.redis != "" {
				w.knows(c.redis)
			}
			if c.memo != "" {
				memo := map[string]any{activities.MemoMatch: activities.Match{Contact: ref(c.memo)}}
				w.temporal.workflows[contactID] = &execution{status: running, memo: memo}
			}
			result, err := w.setConsent(c.known...)
			require.NoError(t, err)
			require.Equal(t, c.want, w.crm.carried(t))
			contacts := 0
			for _, batch := range c.want {
				contacts += len(batch)
			}
			settle := w.inst.Definition.Settle + w.inst.Definition.CallTimeout
			require.Equal(t, activities.ConsentResult{State: connectors.Written, Contacts: contacts, Settle: settle}, result)
			require.Empty(t, w.temporal.signals, "consent never has a contact created")
		})
	}
}

// The CRM is asked what it has kept, and what it has not is written again.
func TestConsentIsReadBack(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		tells []*bool // of contacts 1, 2 and so on
		want  [][]string
		after time.Duration
	}{
		"all kept it":        {[]*bool{&yes, &yes}, nil, time.Minute + 3*time.Millisecond},
		"one did not":        {[]*bool{&yes, &no, &yes}, [][]string{{"2"}}, time.Minute + 3*time.Millisecond},
		"the CRM tells none": {[]*bool{nil, nil}, nil, 0},
		"nobody":             {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.knows("8")
			w.crm.find = func(sms.Phone) (found []connectors.Contact, err error) {
				for i, optedOut := range c.tells {
					found = append(found, connectors.Contact{Ref: ref(strconv.Itoa(i + 1)), OptedOut: optedOut})
				}
				return found, nil
			}
			in := activities.ConsentInput{Connector: "crm", Account: "main", Consent: stop, Known: []connectors.Ref{ref("9")}, ReadBack: true}
			result, err := run[activities.ConsentResult](w, w.acts.SetConsent, in)
			require.NoError(t, err)
			require.Equal(t, c.want, w.crm.carried(t), "only the CRM's own word counts")
			require.Equal(t, c.after, result.ReadBackAfter)
			require.Equal(t, connectors.Written, result.State)
		})
	}
}

// It is measured once, from the webhook on.
func TestConsentIsMeasured(t *testing.T) {
	t.Parallel()
	w, told := newWorld(t), &reports{}
	w.acts.Metrics = told
	w.crm.finds("1")
	in := activities.ConsentInput{Connector: "crm", Account: "main", Consent: stop, Received: time.Now().Add(-time.Hour)}
	_, err := run[activities.ConsentResult](w, w.acts.SetConsent, in)
	require.NoError(t, err)
	require.Len(t, told.took, 1)
	require.InDelta(t, time.Hour, told.took[0], float64(time.Minute))

	in.Received = time.Time{}
	_, err = run[activities.ConsentResult](w, w.acts.SetConsent, in)
	require.NoError(t, err)
	w.crm.consent = fails[[]connectors.ConsentChange](connectors.Unavailable)
	in.Received = time.Now()
	_, err = run[activities.ConsentResult](w, w.acts.SetConsent, in)
	require.Error(t, err)
	require.Len(t, told.took, 1, "neither what no webhook brought, nor what failed")
}

// The same id may be a contact's and a lead's.
func TestConsentTellsTypesApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.finds("1")
	in := activities.ConsentInput{Connector: "crm", Account: "main", Consent: stop, Known: []connectors.Ref{
		{Type: "lead", ID: "1"}, {ID: "1", URL: "https://crm.example.com/1"}, {},
	}}
	result, err := run[activities.ConsentResult](w, w.acts.SetConsent, in)
	require.NoError(t, err)
	require.Equal(t, 2, result.Contacts)
}

func TestConsentHasNoPlace(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*world){
		"by its methods":  (*world).bare,
		"by its instance": func(w *world) { w.crm.caps.Consent = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			limit(w)
			result, err := w.setConsent("1")
			require.NoError(t, err)
			require.Equal(t, connectors.NotApplicable, result.State)
			require.Empty(t, w.crm.calls)
		})
	}
}

func TestConsentOfSomeContactsFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind     connectors.Kind // of contact 2's failure
		contacts int
		failure  string
	}{
		"one is gone and carries nothing":         {connectors.NotFound, 2, ""},
		"the CRM goes away: all again":            {connectors.Unavailable, 0, "UNAVAILABLE"},
		"the CRM refuses: the others are written": {connectors.Forbidden, 0, "FORBIDDEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.finds("1", "2", "3")
			w.crm.consent = func(changes []connectors.ConsentChange) (out []connectors.Outcome) {
				for _, change := range changes {
					o := connectors.Outcome{State: connectors.Existed}
					if change.Contact.ID == "2" {
						o = connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: "set", Kind: c.kind}}
					}
					out = append(out, o)
				}
				return out
			}
			result, err := w.setConsent()
			require.Equal(t, [][]string{{"1", "2"}, {"3"}}, w.crm.carried(t), "one failure holds up no other")
			if c.failure == "" {
				require.NoError(t, err)
				require.Equal(t, c.contacts, result.Contacts)
				return
			}
			require.Equal(t, c.failure, failed(t, err).Type())
		})
	}
}

func TestConsentIsNotSetInDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(*world)
		kind    string // "" for an error of Temporal's client
	}{
		"the search fails": {func(w *world) {
			w.crm.find = func(sms.Phone) ([]connectors.Contact, error) {
				return nil, &connectors.Error{Op: "find", Kind: connectors.RateLimited, RetryAfter: time.Second}
			}
		}, "RATE_LIMITED"},
		"Temporal is away": {func(w *world) { w.temporal.describeErr = errAway }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.arrange(w)
			_, err := w.setConsent("1")
			if c.kind == "" {
				hiccup(t, err)
			} else {
				retried(t, c.kind, err)
			}
			require.Empty(t, w.crm.consents)
		})
	}
}

func TestConsentOutcomesThatBreakTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.consent = func([]connectors.ConsentChange) []connectors.Outcome { return nil }
	_, err := w.setConsent("1")
	retried(t, "UNKNOWN", err)
	require.ErrorContains(t, err, "0 outcomes for 1 items")

	w.crm.consent = outcome[[]connectors.ConsentChange](connectors.NotAttempted, nil)
	_, err = w.setConsent("1")
	retried(t, activities.GivenBack, err)

	w.crm.caps.Find = false
	w.inst.Lane().Stop()
	_, err = w.setConsent("1")
	retried(t, activities.GivenBack, err)
}
