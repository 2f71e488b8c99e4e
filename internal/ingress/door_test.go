package ingress

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/internal/ledger"
	"crmsync/sms"
	"crmsync/workflows"
)

var errAway = errors.New("connection refused")

func always(err error) func(context.Context, int) error {
	return func(context.Context, int) error { return err }
}

// TestRedisIsToldLast holds the order that keeps Redis from swallowing events.
func TestRedisIsToldLast(t *testing.T) {
	t.Parallel()
	for _, kind := range []sms.Kind{sms.Received, sms.Delivered, sms.OptOut} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, twoCRMs)
			b.temporal.refuse = always(errAway)
			_, err := b.door.Accept(t.Context(), event(kind), true)
			require.ErrorIs(t, err, ErrUnavailable)
			require.Equal(t, []string{"seen", "start"}, b.read())
			require.Empty(t, b.redis.Keys(), "a refused event leaves no trace")

			b.temporal.refuse = nil
			answer, err := b.door.Accept(t.Context(), event(kind), true)
			require.NoError(t, err)
			require.Equal(t, Answer{Result: Accepted, Key: "main/msg_1/" + string(kind)}, answer)
			require.Equal(t, []string{"seen", "start", "mark_seen", "mark_line"}, b.read()[2:])
			require.Len(t, b.redis.Keys(), 2)
		})
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	b.redis.Close()
	answer, err := b.door.Accept(t.Context(), event(sms.Received), true)
	require.NoError(t, err)
	require.Equal(t, Accepted, answer.Result)
	b.temporal.refuse = always(serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""))
	answer, err = b.door.Accept(t.Context(), event(sms.Received), true)
	require.NoError(t, err)
	require.Equal(t, Duplicate, answer.Result, "Temporal is the authority")
}

// TestSeenBefore: what Redis remembers is a duplicate, unless Temporal says that
// somebody ended its workflow. In doubt it is one.
func TestSeenBefore(t *testing.T) {
	t.Parallel()
	for status, want := range map[enums.WorkflowExecutionStatus]string{
		enums.WORKFLOW_EXECUTION_STATUS_RUNNING:          Duplicate,
		enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:        Duplicate,
		enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: Duplicate,
		enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED:      Duplicate, // no answer in time
		enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:       Accepted,
		enums.WORKFLOW_EXECUTION_STATUS_CANCELED:         Accepted,
		enums.WORKFLOW_EXECUTION_STATUS_FAILED:           Accepted,
		enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        Accepted,
	} {
		t.Run(status.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, twoCRMs)
			b.temporal.status = status
			b.door.Ledger.MarkSeen(t.Context(), event(sms.Received).Key())
			answer, err := b.door.Accept(t.Context(), event(sms.Received), true)
			require.NoError(t, err)
			require.Equal(t, want, answer.Result)
			require.Equal(t, want == Accepted, len(b.temporal.taken()) == 1)
		})
	}
}

// TestSeenConsent: its workflow belongs to the number, not to the event.
func TestSeenConsent(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	b.temporal.status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	for _, want := range []string{Accepted, Duplicate} {
		answer, err := b.door.Accept(t.Context(), event(sms.OptOut), true)
		require.NoError(t, err)
		require.Equal(t, want, answer.Result)
	}
	require.NotContains(t, b.read(), "describe")
}

// TestNotLive: what reconciliation finds missing is started whatever Redis says.
func TestNotLive(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	b.door.Ledger.MarkSeen(t.Context(), event(sms.Received).Key())
	answer, err := b.door.Accept(t.Context(), event(sms.Received), false)
	require.NoError(t, err)
	require.Equal(t, Accepted, answer.Result)
	require.NotContains(t, b.read(), "seen")
	require.False(t, b.temporal.taken()[0].input.(workflows.SyncInput).Live)
}

// TestPriorities: consent first, live texts, statuses, and what was missed last.
func TestPriorities(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind sms.Kind
		live bool
		want int
	}{
		{sms.OptOut, true, 1},
		{sms.OptIn, false, 1},
		{sms.Received, true, 2},
		{sms.Sent, true, 2},
		{sms.Delivered, true, 3},
		{sms.Failed, true, 3},
		{sms.Received, false, 5},
		{sms.Delivered, false, 5},
	} {
		b := newBench(t, twoCRMs)
		_, err := b.door.Accept(t.Context(), event(c.kind), c.live)
		require.NoError(t, err)
		require.Equal(t, temporal.Priority{PriorityKey: c.want, FairnessKey: "main"}, b.temporal.taken()[0].options.Priority, c)
	}
}

// TestStartOptions: the workflow's id and everything that the server keeps in
// the clear say nothing of the number or the text.
func TestStartOptions(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	_, err := b.door.Accept(t.Context(), event(sms.Sent), true)
	require.NoError(t, err)
	s := b.temporal.taken()[0]
	require.Equal(t, "main/msg_1/sms.sent", s.options.ID)
	require.Equal(t, "crmsync", s.options.TaskQueue)
	require.Equal(t, enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL, s.options.WorkflowIDConflictPolicy)
	require.Equal(t, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, s.options.WorkflowIDReusePolicy)
	require.True(t, s.options.WorkflowExecutionErrorWhenAlreadyStarted)
	require.Equal(t, map[string]any{activities.MemoTargets: []string{"one", "two"}}, s.options.Memo)
	require.Equal(t, "sms.sent → one, two", s.options.StaticSummary)
	require.Equal(t, workflows.SyncInput{Event: event(sms.Sent), Live: true, Targets: []string{"one", "two"}, Revision: workflows.Revision}, s.input)
	deliveries, _ := s.options.TypedSearchAttributes.GetKeywordList(b.door.Attributes.Deliveries)
	require.Equal(t, []string{"one=syncing", "two=syncing"}, deliveries, "so that it is listed by connector while it waits")
	for key, value := range s.options.TypedSearchAttributes.GetUntypedValues() {
		require.NotContains(t, value, "5551234", key.GetName())
		require.NotContains(t, value, "hello", key.GetName())
	}
}

// TestConsentBelongsToTheNumber: it goes to every connector of the account.
func TestConsentBelongsToTheNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs+"routes:\n  - { when: 'line == \"+15125550100\"', to: [one] }\n")
	answer, err := b.door.Accept(t.Context(), event(sms.OptOut), true)
	require.NoError(t, err)
	require.Equal(t, "main/msg_1/sms.optout", answer.Key)
	s := b.temporal.taken()[0]
	require.Equal(t, activities.ConsentID("main", b.door.Hasher.Phone("+15125551234")), s.options.ID)
	require.NotContains(t, s.options.ID, "5551234")
	require.Equal(t, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, s.options.WorkflowIDReusePolicy)
	require.Equal(t, activities.ConsentSignal{
		Key: "main/msg_1/sms.optout", Connectors: []string{"one", "two"},
		Consent: sms.Consent{Phone: "+15125551234", OptedOut: true, At: noon},
	}, s.signal)
}

// TestUnknownSearchAttributes: a server that does not know them (yet) gets the
// event without; every other refusal of the server stands.
func TestUnknownSearchAttributes(t *testing.T) {
	t.Parallel()
	starts := map[string]func(b *bench) (Answer, error){
		"text":       func(b *bench) (Answer, error) { return b.door.Accept(t.Context(), event(sms.Received), true) },
		"consent":    func(b *bench) (Answer, error) { return b.door.Accept(t.Context(), event(sms.OptIn), true) },
		"quarantine": func(b *bench) (Answer, error) { return b.door.Quarantine(t.Context(), "main", "why", []byte("{")) },
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, twoCRMs)
			b.temporal.refuse = refuseFirst(serviceerror.NewInvalidArgument("Namespace n has no mapping defined for search attribute crmsync_state"))
			_, err := start(b)
			require.NoError(t, err)
			first, second := b.temporal.taken()[0], b.temporal.taken()[1]
			require.Positive(t, first.options.TypedSearchAttributes.Size())
			require.False(t, plain(first.input))
			require.Zero(t, second.options.TypedSearchAttributes.Size())
			require.True(t, plain(second.input), "the workflow must not use them either")
			require.Equal(t, first.options.ID, second.options.ID)

			b = newBench(t, twoCRMs)
			b.temporal.refuse = refuseFirst(serviceerror.NewInvalidArgument("WorkflowId is too long"))
			_, err = start(b)
			require.ErrorIs(t, err, ErrUnavailable)
			require.Len(t, b.temporal.taken(), 1)
		})
	}
}

func refuseFirst(err error) func(context.Context, int) error {
	return func(_ context.Context, n int) error {
		if n == 0 {
			return err
		}
		return nil
	}
}

func plain(input any) bool {
	switch in := input.(type) {
	case workflows.SyncInput:
		return in.Plain
	case workflows.SyncConsentInput:
		return in.Plain
	case workflows.QuarantineInput:
		return in.Plain
	}
	panic("no input of a workflow")
}

// TestBoundOfStarts: beyond the bound an event waits its turn, and is refused
// once its time is up; it never reaches Temporal.
func TestBoundOfStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	unbound, err := ledger.Open(ledger.Options{URL: "redis://127.0.0.1:1/0"}) // makes no connection, which would keep time from passing
	require.NoError(t, err)
	b.door.Ledger = unbound
	synctest.Test(t, func(t *testing.T) {
		door := NewDoor(*b.door)
		hang := make(chan struct{})
		b.temporal.refuse = func(context.Context, int) error { <-hang; return nil }
		var running sync.WaitGroup
		for range MaxStarts {
			running.Go(func() { _, _ = door.Accept(context.Background(), event(sms.Sent), false) })
		}
		synctest.Wait()
		require.Len(t, b.temporal.taken(), MaxStarts)

		for name, one := range map[string]func() error{
			"event":      func() error { _, err := door.Accept(context.Background(), event(sms.Sent), false); return err },
			"quarantine": func() error { _, err := door.Quarantine(context.Background(), "main", "why", []byte("{")); return err },
		} {
			begun := time.Now()
			require.ErrorIs(t, one(), ErrUnavailable, name)
			require.Equal(t, Patience, time.Since(begun), name)
			require.Len(t, b.temporal.taken(), MaxStarts, name)
		}
		close(hang)
		running.Wait()
		_, err := door.Accept(context.Background(), event(sms.Sent), false)
		require.NoError(t, err, "there is room again")
	})
}

// TestTargets: texts go where the routes say and since allows, statuses where
// their text may have gone.
func TestTargets(t *testing.T) {
	t.Parallel()
	since := strings.Replace(twoCRMs, "http://localhost:2 }", "http://localhost:2, since: 2026-03-12T12:00:00Z }", 1)
	const routes = "routes:\n" +
		"  - { when: 'line == \"+15125550100\"', to: [one] }\n" +
		"  - { when: 'agent == \"ben@example.com\"', to: [two, one] }\n"
	const automation = "routes:\n  - { when: 'true', to: [two] }\n  - { when: 'medium != \"Hubspot Automation\"', to: [one] }\n"
	automatic := func(e *sms.Event) { e.Message.Medium = "Hubspot Automation" }
	early := func(e *sms.Event) { e.At = noon.Add(-time.Second) }
	otherLine := func(e *sms.Event) { e.Message.Line = "+15125550199" }
	bens := func(e *sms.Event) { e.Message.Agent = sms.Agent{ID: "7", Email: "ben@example.com"} }
	for name, c := range map[string]struct {
		config string
		kind   sms.Kind
		change []func(*sms.Event)
		want   []string
	}{
		"no routes":                   {twoCRMs, sms.Received, nil, []string{"one", "two"}},
		"since, at that instant":      {since, sms.Received, nil, []string{"one", "two"}},
		"since, before":               {since, sms.Received, []func(*sms.Event){early}, []string{"one"}},
		"since, a status":             {since, sms.Delivered, []func(*sms.Event){early}, []string{"one", "two"}},
		"one route":                   {twoCRMs + routes, sms.Received, nil, []string{"one"}},
		"two routes":                  {twoCRMs + routes, sms.Sent, []func(*sms.Event){bens}, []string{"one", "two"}},
		"no route":                    {twoCRMs + routes, sms.Received, []func(*sms.Event){otherLine}, nil},
		"no route, a status":          {twoCRMs + routes, sms.Failed, []func(*sms.Event){otherLine}, []string{"one", "two"}},
		"routes and since":            {since + routes, sms.Sent, []func(*sms.Event){bens, early}, []string{"one"}},
		"logged by who sent it":       {twoCRMs + automation, sms.Sent, []func(*sms.Event){automatic}, []string{"two"}},
		"of another medium":           {twoCRMs + automation, sms.Sent, nil, []string{"two", "one"}},
		"an account without any CRMs": {twoCRMs, sms.Received, []func(*sms.Event){func(e *sms.Event) { e.Account = "other" }}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.config)
			e := event(c.kind)
			for _, change := range c.change {
				change(&e)
			}
			require.Equal(t, c.want, nilIfEmpty(b.door.targets(e)))
		})
	}
}

func nilIfEmpty(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}

// TestNobodyWantsIt: such an event is told so, and nothing remembers it, so that
// it is taken when a connector is added and it comes again.
func TestNobodyWantsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs+"routes:\n  - { when: 'direction == \"outbound\"', to: [one] }\n")
	answer, err := b.door.Accept(t.Context(), event(sms.Received), true)
	require.NoError(t, err)
	require.Equal(t, Ignored, answer.Result)
	require.NotEmpty(t, answer.Reason)
	require.Empty(t, b.temporal.taken())
	require.Empty(t, b.redis.Keys())
}

// TestOutboundIsKnown: a text that is sent is known to Temporal even if no route
// wants it, so that its statuses do not wait for it in vain.
func TestOutboundIsKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs+"routes:\n  - { when: 'direction == \"inbound\"', to: [one] }\n")
	answer, err := b.door.Accept(t.Context(), event(sms.Sent), true)
	require.NoError(t, err)
	require.Equal(t, Accepted, answer.Result)
	require.Len(t, b.temporal.taken(), 1)
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	for size, kept := range map[int]int{10: 10, MaxQuarantined: MaxQuarantined, MaxQuarantined + 1: MaxQuarantined, MaxBody: MaxQuarantined} {
		b := newBench(t, twoCRMs)
		body := bytes.Repeat([]byte("x"), size)
		answer, err := b.door.Quarantine(t.Context(), "main", "why", body)
		require.NoError(t, err)
		require.Equal(t, Quarantined, answer.Result)
		require.Equal(t, "why", answer.Reason)
		s := b.temporal.taken()[0]
		require.Equal(t, answer.Key, s.options.ID)
		require.Equal(t, activities.Quarantined{Account: "main", Reason: "why", Body: body[:kept], Size: size}, s.input.(workflows.QuarantineInput).Quarantined)
	}
}

// TestQuarantinedTwice: the same body is kept once; bodies that differ only
// after what is kept are different.
func TestQuarantinedTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	body := bytes.Repeat([]byte("x"), MaxQuarantined+1)
	first, err := b.door.Quarantine(t.Context(), "main", "why", body)
	require.NoError(t, err)
	b.temporal.refuse = always(serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""))
	again, err := b.door.Quarantine(t.Context(), "main", "why", body)
	require.NoError(t, err)
	require.Equal(t, first, again)
	body[MaxQuarantined] = 'y'
	other, err := b.door.Quarantine(t.Context(), "main", "why", body)
	require.NoError(t, err)
	require.NotEqual(t, first.Key, other.Key)
}

// TestAdmit takes a quarantined body in once more.
func TestAdmit(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	_, refusal, err := b.door.Admit(t.Context(), "main", []byte(`{"event":`))
	require.NoError(t, err)
	require.Equal(t, "QUARANTINED", refusal.Kind)

	admitted, refusal, err := b.door.Admit(t.Context(), "main", classic("sms.received"))
	require.NoError(t, err)
	require.Nil(t, refusal)
	require.Equal(t, activities.Admitted{Result: Accepted, Key: "main/msg_abc123/sms.received"}, admitted)
	require.False(t, b.temporal.taken()[0].input.(workflows.SyncInput).Live, "it may have been written before")

	b.temporal.refuse = always(errAway)
	_, refusal, err = b.door.Admit(t.Context(), "main", classic("sms.sent"))
	require.ErrorIs(t, err, ErrUnavailable, "it is tried again")
	require.Nil(t, refusal)
}
