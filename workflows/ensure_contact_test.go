package workflows_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/workflows"
)

const (
	settle    = 10 * time.Second
	searchLag = 5 * time.Minute
)

// number is a running EnsureContact: what it was asked, and what it answered.
type number struct {
	*env
	mu      sync.Mutex
	answers map[string]activities.Answer // by the workflow that asked
	memo    activities.Match             // the last one published
	finds   *calls[activities.FindInput]
	creates *calls[activities.Ask]
}

// newNumber is a number whose searches answer as find says.
func newNumber(t *testing.T, find func(n int) (activities.Match, error)) *number {
	t.Helper()
	e := &number{env: newEnv(t), answers: map[string]activities.Answer{}}
	e.finds = on(e.env, acts.FindContact, func(n int, _ activities.FindInput) (activities.Found, error) {
		match, err := find(n)
		return activities.Found{Match: match, Settle: settle, SearchLag: searchLag}, err
	})
	e.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, activities.SignalAnswer, mock.Anything).
		Return(func(_, id, _, _ string, arg any) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.answers[id] = arg.(activities.Answer)
			return nil
		})
	e.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		e.memo = args.Get(0).(map[string]any)[activities.MemoMatch].(activities.Match)
	}).Maybe().Return(nil)
	return e
}

func (e *number) creating(create func(n int) error) {
	e.creates = on(e.env, acts.CreateContact, func(n int, _ activities.Ask) (activities.Created, error) {
		if err := create(n); err != nil {
			return activities.Created{}, err
		}
		return activities.Created{Match: activities.Match{Contact: ref("new"), How: "created"}}, nil
	})
}

// ask asks on behalf of a workflow.
func (e *number) ask(after time.Duration, workflow string, ask activities.Ask) {
	ask.Connector, ask.Phone, ask.Workflow = "hubspot", "+15125551234", workflow
	e.after(after, func() { e.SignalWorkflow(activities.SignalAsk, ask) })
}

func (e *number) answer(workflow string) activities.Answer {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Contains(e.t, e.answers, workflow)
	return e.answers[workflow]
}

func (e *number) answered(workflow string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.answers[workflow]
	return ok
}

func (e *number) contactOf(workflow string) string { return e.answer(workflow).Match.Contact.ID }

// runs it to its end and answers how long it was open.
func (e *number) runs() time.Duration {
	e.t.Helper()
	began := e.Now()
	e.ExecuteWorkflow(workflows.EnsureContact, activities.ContactInput{Connector: "hubspot", Phone: "+15125551234"})
	require.True(e.t, e.IsWorkflowCompleted())
	require.NoError(e.t, e.GetWorkflowError())
	return e.Now().Sub(began).Truncate(time.Second)
}

func nobody(int) (activities.Match, error) { return activities.Match{}, nil }

func somebody(int) (activities.Match, error) { return matchOf("c1"), nil }

var create = activities.Ask{Create: true}

func TestEnsureContactAnswersWhatASearchFinds(t *testing.T) {
	t.Parallel()
	e := newNumber(t, somebody)
	e.ask(0, "w1", create)
	open := e.runs()
	require.Equal(t, matchOf("c1"), e.answer("w1").Match)
	require.Equal(t, "hubspot", e.answer("w1").Connector)
	require.Equal(t, []activities.FindInput{{Connector: "hubspot", Phone: "+15125551234", Create: true}}, e.finds.all())
	require.Equal(t, matchOf("c1"), e.memo, "other processes read it there")
	require.Equal(t, 90*24*time.Hour, open, "a choice is remembered for 90 days")
}

func TestEnsureContactCreatesWhereNobodyHasTheNumber(t *testing.T) {
	t.Parallel()
	e := newNumber(t, nobody)
	e.creating(func(int) error { return nil })
	e.ask(0, "w1", activities.Ask{Create: true, Name: "Ada", Email: "ada@example.com"})
	open := e.runs()
	require.Equal(t, "new", e.contactOf("w1"))
	require.Equal(t, "Ada", e.creates.all()[0].Name)
	require.Equal(t, "ada@example.com", e.creates.all()[0].Email)
	require.Equal(t, ref("new"), e.memo.Contact)
	require.Equal(t, 2*(settle+searchLag)+time.Minute, open, "open until a search is sure to see it")
}

func TestEnsureContactLeavesTheTextUnlinkedWhereNobodyMayCreate(t *testing.T) {
	t.Parallel()
	e := newNumber(t, nobody)
	e.ask(0, "w1", activities.Ask{})
	open := e.runs()
	require.Equal(t, activities.Match{How: "unlinked: no contact has this number"}, e.answer("w1").Match)
	require.Nil(t, e.answer("w1").Refused)
	require.Less(t, open, time.Minute, "there is nothing to remember")
}

func TestEnsureContactTellsWhyItIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		find, create error
		want         activities.Refusal
	}{
		{"search", refused(activities.SeveralContacts, "2 contacts have this number"), nil, activities.Refusal{Kind: activities.SeveralContacts, Message: "2 contacts have this number"}},
		{"creation", nil, refused(connectors.Forbidden, "may not create"), activities.Refusal{Kind: "FORBIDDEN", Message: "may not create"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newNumber(t, func(int) (activities.Match, error) { return activities.Match{}, c.find })
			e.creating(func(int) error { return c.create })
			e.ask(0, "w1", create)
			open := e.runs()
			require.Equal(t, &c.want, e.answer("w1").Refused)
			require.Less(t, open, time.Minute, "a refusal is not remembered")
			require.LessOrEqual(t, len(e.creates.all()), 1)
		})
	}
}

// The first create may have succeeded: a second one would double the contact
// unless a search is sure to see the first.
func TestEnsureContactSearchesBeforeItCreatesAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		failure      error
		seen         bool // the first create did succeed
		pause        time.Duration
		wantCreates  int
		wantContact  string
		wantAnswerBy time.Duration
	}{
		{"ambiguous, and it was created", unavailable(0, true), true, settle + searchLag, 1, "c1", 0},
		{"ambiguous, and it was not", unavailable(0, true), false, settle + searchLag, 2, "new", 0},
		{"ambiguous, and the CRM asks for longer", unavailable(time.Hour, true), false, time.Hour, 2, "new", 0},
		{"certain not to have been created", unavailable(0, false), false, time.Second, 2, "new", 0},
		{"certain, and the CRM asks for time", unavailable(30*time.Second, false), false, 30 * time.Second, 2, "new", 0},
		{"given back by a worker that stops", temporal.NewApplicationError("the worker is stopping", activities.GivenBack), false, time.Second, 2, "new", 0},
		{"of a kind nobody knows", temporal.NewApplicationError("what", "ODD"), false, settle + searchLag, 2, "new", 0},
		{"the attempt's time ran out", temporal.NewTimeoutError(1, nil), true, settle + searchLag, 1, "c1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var e *number
			var failed, searched time.Time
			e = newNumber(t, func(n int) (activities.Match, error) {
				if n == 1 {
					return activities.Match{}, nil
				}
				searched = e.Now()
				if c.seen {
					return matchOf("c1"), nil
				}
				return activities.Match{}, nil
			})
			e.creating(func(n int) error {
				if n == 1 {
					failed = e.Now()
					return c.failure
				}
				return nil
			})
			e.ask(0, "w1", create)
			e.runs()
			require.Equal(t, c.wantContact, e.contactOf("w1"))
			require.Len(t, e.creates.all(), c.wantCreates)
			require.Len(t, e.finds.all(), 2)
			require.InDelta(t, c.pause.Seconds(), searched.Sub(failed).Seconds(), 0.5)
		})
	}
}

func TestEnsureContactWaitsLongerAfterEachFailure(t *testing.T) {
	t.Parallel()
	e := newNumber(t, nobody)
	var at []time.Time
	e.creating(func(n int) error {
		at = append(at, e.Now())
		if n < 4 {
			return unavailable(0, false)
		}
		return nil
	})
	e.ask(0, "w1", create)
	e.runs()
	pauses := []float64{}
	for i := range at[1:] {
		pauses = append(pauses, at[i+1].Sub(at[i]).Seconds())
	}
	require.InDeltaSlice(t, []float64{1, 2, 4}, pauses, 0.5)
}

func TestEnsureContactAnswersManyWithOneSearch(t *testing.T) {
	t.Parallel()
	e := newNumber(t, nobody)
	e.creating(func(int) error { return nil })
	asking := []string{"w1", "w2", "w3", "w4", "w5"}
	for _, w := range asking {
		e.ask(0, w, create)
	}
	e.ask(5*time.Minute, "later", create)
	e.runs()
	for _, w := range append(asking, "later") {
		require.Equal(t, "new", e.contactOf(w))
	}
	require.Len(t, e.finds.all(), 1)
	require.Len(t, e.creates.all(), 1)
}

func TestEnsureContactKeepsAMemoryForAsLongAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	e := newNumber(t, somebody)
	e.ask(0, "w1", create)
	e.ask(80*24*time.Hour, "w2", create)
	require.Equal(t, 170*24*time.Hour, e.runs())
	require.Equal(t, "c1", e.contactOf("w2"))
	require.Len(t, e.finds.all(), 1)
}

func TestEnsureContactDropsAMemoryThatIsGone(t *testing.T) {
	t.Parallel()
	e := newNumber(t, func(n int) (activities.Match, error) {
		return matchOf([]string{"c1", "c2"}[n-1]), nil
	})
	e.ask(0, "w1", create)
	e.ask(time.Hour, "w2", activities.Ask{Create: true, Gone: ref("c1")})
	// w3 still holds the contact that is known to be gone: the new memory answers.
	e.ask(2*time.Hour, "w3", activities.Ask{Create: true, Gone: ref("c1")})
	e.runs()
	require.Equal(t, "c2", e.contactOf("w2"))
	require.Equal(t, "c2", e.contactOf("w3"))
	require.Len(t, e.finds.all(), 2)
	require.Equal(t, ref("c1"), e.finds.all()[1].Gone, "the search may still see it")
	require.Equal(t, matchOf("c2"), e.memo)
}

func TestEnsureContactShowsNoMemoryThatIsGone(t *testing.T) {
	t.Parallel()
	e := newNumber(t, func(n int) (activities.Match, error) {
		if n == 1 {
			return matchOf("c1"), nil
		}
		return activities.Match{}, nil
	})
	e.ask(0, "w1", activities.Ask{})
	e.ask(time.Hour, "w2", activities.Ask{Gone: ref("c1")})
	e.runs()
	require.Zero(t, e.answer("w2").Match.Contact)
	require.Zero(t, e.memo)
}

func TestEnsureContactKeepsALinkForGood(t *testing.T) {
	t.Parallel()
	e := newNumber(t, somebody)
	link := activities.Match{Contact: ref("linked"), How: "linked by a person"}
	e.after(0, func() { e.SignalWorkflow(activities.SignalLink, link) })
	e.ask(400*24*time.Hour, "w1", create)
	e.runUntilCancelled(800*24*time.Hour, workflows.EnsureContact, activities.ContactInput{Connector: "hubspot", Phone: "+15125551234"})
	require.Equal(t, link, e.answer("w1").Match)
	require.Equal(t, link, e.memo)
	require.Empty(t, e.finds.all(), "a link needs no search")
}

func TestEnsureContactLinkReplacesAChoice(t *testing.T) {
	t.Parallel()
	e := newNumber(t, somebody)
	e.ask(0, "w1", create)
	e.after(time.Hour, func() { e.SignalWorkflow(activities.SignalLink, matchOf("linked")) })
	e.ask(2*time.Hour, "w2", create)
	e.runUntilCancelled(100*24*time.Hour, workflows.EnsureContact, activities.ContactInput{Connector: "hubspot", Phone: "+15125551234"})
	require.Equal(t, "c1", e.contactOf("w1"))
	require.Equal(t, "linked", e.contactOf("w2"))
}

func TestEnsureContactLinkEndsWithItsContact(t *testing.T) {
	t.Parallel()
	e := newNumber(t, somebody)
	e.after(0, func() { e.SignalWorkflow(activities.SignalLink, matchOf("linked")) })
	e.ask(time.Hour, "w1", activities.Ask{Gone: ref("linked")})
	require.Equal(t, time.Hour+90*24*time.Hour, e.runs(), "what took its place is an ordinary memory")
	require.Equal(t, "c1", e.contactOf("w1"))
}

func TestEnsureContactGoesOnWhenNobodyWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	e := &number{env: newEnv(t), answers: map[string]activities.Answer{}}
	e.finds = on(e.env, acts.FindContact, func(int, activities.FindInput) (activities.Found, error) {
		return activities.Found{Match: matchOf("c1")}, nil
	})
	e.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(temporal.NewApplicationError("no such workflow", "any"))
	e.ask(0, "ended", create)
	require.Equal(t, 90*24*time.Hour, e.runs())
}

func TestEnsureContactContinuesAsNewWithItsMemory(t *testing.T) {
	t.Parallel()
	for name, linked := range map[string]bool{"a choice": false, "a link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newNumber(t, somebody)
			if linked {
				e.after(time.Hour, func() { e.SignalWorkflow(activities.SignalLink, matchOf("c1")) })
			} else {
				e.ask(time.Hour, "w1", create)
			}
			e.after(2*time.Hour, func() {
				e.SignalWorkflowSkippingWorkflowTask(activities.SignalAsk, activities.Ask{Connector: "hubspot", Workflow: "w2"})
				e.after(0, func() { e.SetContinueAsNewSuggested(true) }) // in the same workflow task
				e.SignalWorkflow("wakes it up", nil)
			})
			e.ExecuteWorkflow(workflows.EnsureContact, activities.ContactInput{Connector: "hubspot", Phone: "+15125551234", Memory: new(matchOf("c0"))})

			var again *workflowContinued
			require.ErrorAs(t, e.GetWorkflowError(), &again)
			require.True(t, e.answered("w2"), "nobody is left without an answer")
			require.Equal(t, activities.ContactInput{
				Connector: "hubspot", Phone: "+15125551234", Memory: new(e.memo), Linked: linked,
			}, inputOf[activities.ContactInput](t, again))
		})
	}
}
