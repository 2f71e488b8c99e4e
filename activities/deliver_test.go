package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
)

func TestTextIsPutOnItsContactsTimeline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.finds("1")
	out, err := w.deliver(live())
	require.NoError(t, err)
	match := activities.Match{Contact: ref("1"), OwnerID: "owner of 1", How: "only match"}
	require.Equal(t, activities.DeliverResult{State: connectors.Written, Record: ref("record"), Match: match}, out)
	require.Equal(t, []connectors.Record{{
		Key: "main/msg_1", Message: received().Message, Contact: ref("1"), OwnerID: "owner of 1", Subject: "SMS received on +15125550100", Body: "hello",
	}}, w.crm.records)
	require.Equal(t, "record", w.record())
	require.Equal(t, "1", w.cached())
}

func TestTextWrittenBeforeCostsNoCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("old"))
	out, err := w.deliver(live())
	require.NoError(t, err)
	require.Equal(t, activities.DeliverResult{State: connectors.Existed, Record: ref("old"), Match: activities.Match{How: "written before"}}, out)
	require.Empty(t, w.crm.calls)
	require.Empty(t, w.temporal.described)
}

func TestTextIsPutAgainWhateverIsRememberedOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.finds("1")
	w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("old"))
	in := live()
	in.Fresh, in.Again = false, true
	out, err := w.deliver(in)
	require.NoError(t, err)
	require.Equal(t, connectors.Written, out.State)
	require.Equal(t, "record", w.record())
}

func TestOutcomeIsHandedOn(t *testing.T) {
	t.Parallel()
	for _, state := range []connectors.State{connectors.Existed, connectors.NotApplicable} {
		w := newWorld(t)
		w.crm.put = outcome[connectors.Record](state, nil)
		out, err := w.deliver(to("1"))
		require.NoError(t, err)
		require.Equal(t, state, out.State)
		require.Empty(t, w.record(), "no record, nothing to remember")
	}
}

// A double on a timeline is worse than a few seconds: only when all three
// conditions hold is a class D record written without a look.
func TestBlindWriteNeedsAllThreeConditions(t *testing.T) {
	t.Parallel()
	const settle, lag = 4 * time.Millisecond, 5 * time.Millisecond
	for name, c := range map[string]struct {
		class   connectors.Class
		fresh   bool
		attempt int32
		won     bool // the intent, by somebody before
		away    bool // Redis
		blind   bool
	}{
		"live, first, and nobody before": {class: "D", fresh: true, attempt: 1, blind: true},
		"not live":                       {class: "D", fresh: false, attempt: 1},
		"second attempt":                 {class: "D", fresh: true, attempt: 2},
		"somebody intended it before":    {class: "D", fresh: true, attempt: 1, won: true},
		"Redis away":                     {class: "D", fresh: true, attempt: 1, away: true},
		"nothing holds":                  {class: "D", attempt: 3, won: true},
		"class A repeats the call":       {class: "A", attempt: 3, blind: true},
		"class B repeats the call":       {class: "B", attempt: 3, blind: true},
		"class C repeats the call":       {class: "C", attempt: 3, away: true, blind: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Class, w.attempt = c.class, c.attempt
			w.inst.Definition.Settle, w.inst.Definition.SearchLag = settle, lag
			if c.won {
				require.True(t, w.ledger.WinIntent(t.Context(), "crm", "main/msg_1"))
			}
			if c.away {
				w.redis.Close()
			}
			in := to("1")
			in.Fresh = c.fresh
			if c.blind {
				out, err := w.deliver(in)
				require.NoError(t, err)
				require.Equal(t, connectors.Written, out.State)
				require.Equal(t, []string{"put"}, w.crm.calls)
				return
			}
			out, err := w.deliverLater(in)
			require.NoError(t, err)
			require.Equal(t, connectors.Written, out.State)
			require.Equal(t, []string{"read back", "put"}, w.crm.calls)
			require.Equal(t, w.crm.records[0], w.crm.records[1], "looked for is what is written")
		})
	}
}

func TestIntentIsWonOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.caps.Class = connectors.ClassD
	w.crm.put = fails[connectors.Record](connectors.Unavailable)
	_, err := w.deliver(to("1"))
	retried(t, "UNAVAILABLE", err)
	_, err = w.deliverLater(to("1")) // where Temporal calls it the first attempt again
	retried(t, "UNAVAILABLE", err)
	require.Equal(t, []string{"put", "read back", "put"}, w.crm.calls)
}

// What one attempt has waited for holds for the very next one alone: any other may
// follow a write.
func TestWaitingHoldsForTheNextAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.True(t, w.ledger.WinIntent(t.Context(), "crm", "main/msg_1"))
	w.crm.caps.Class, w.attempt = connectors.ClassD, 2
	w.crm.put = fails[connectors.Record](connectors.Unavailable)
	_, err := w.deliverLater(to("1")) // 2 waits, 3 writes
	retried(t, "UNAVAILABLE", err)
	w.attempt = 4
	_, err = w.deliverLater(to("1"))
	retried(t, "UNAVAILABLE", err)
	w.attempt = 1 // somebody has reset the activity
	_, err = w.deliver(to("1"))
	retried(t, activities.Waiting, err)
	require.Equal(t, []string{"read back", "put", "read back", "put"}, w.crm.calls)
}

func TestReadBackFindsWhatAnEarlierAttemptWrote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.caps.Class, w.attempt = connectors.ClassD, 2
	w.crm.readBack = func(connectors.Record) ([]connectors.Ref, error) { return []connectors.Ref{ref("earlier")}, nil }
	out, err := w.deliverLater(to("1"))
	require.NoError(t, err)
	require.Equal(t, connectors.Existed, out.State)
	require.Equal(t, ref("earlier"), out.Record)
	require.Equal(t, []string{"read back"}, w.crm.calls)
	require.Equal(t, "earlier", w.record())
}

func TestReadBackThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refs []connectors.Ref
		err  error
		kind string
	}{
		"the CRM is away":        {nil, &connectors.Error{Op: "x", Kind: connectors.Unavailable, Ambiguous: true}, "UNAVAILABLE"},
		"an error of its own":    {nil, errors.New("odd"), "UNKNOWN"},
		"not one answer for one": {[]connectors.Ref{}, nil, "UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Class, w.attempt = connectors.ClassD, 2
			w.crm.readBack = func(connectors.Record) ([]connectors.Ref, error) { return c.refs, c.err }
			_, err := w.deliverLater(to("1"))
			retried(t, c.kind, err)
			unambiguous(t, err)
			require.Equal(t, []string{"read back"}, w.crm.calls)
		})
	}
}

func TestClassDThatCannotReadBackParks(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*world){
		"by its methods":  (*world).bare,
		"by its instance": func(w *world) { w.crm.caps.ReadBack = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Class = connectors.ClassD
			limit(w)
			_, err := w.deliver(to("1"))
			require.NoError(t, err, "the blind write needs no look")
			w.ledger.ForgetRecord(t.Context(), "crm", "main/msg_1")
			_, err = w.deliver(to("1"))
			parked(t, "UNSUPPORTED", err)
			require.Equal(t, []string{"put"}, w.crm.calls)
		})
	}
}

func TestClassDThatMayRepeatWritesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.caps = connectors.Capabilities{Class: connectors.ClassD, Repeat: true}
	w.crm.put = fails[connectors.Record](connectors.Unavailable)
	for range 2 {
		_, err := w.deliver(to("1"))
		retried(t, "UNAVAILABLE", err)
	}
	require.Equal(t, []string{"put", "put"}, w.crm.calls)
}

func TestContactThatIsGoneIsAskedForAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.knows("merged")
	w.crm.put = fails[connectors.Record](connectors.NotFound)
	out, err := w.deliver(live())
	require.NoError(t, err)
	require.Equal(t, activities.DeliverResult{Asked: true, Gone: ref("merged")}, out)
	require.Empty(t, w.cached())
	require.Equal(t, activities.Ask{
		Connector: "crm", Phone: phone, Name: "Ada", Email: "ada@example.com", Create: true, Gone: ref("merged"), Workflow: requester,
	}, w.temporal.asked())
	require.Equal(t, "crmsync", w.temporal.started[0].TaskQueue)
}

func TestNotFoundOfAnUnlinkedTextParks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crm.put = fails[connectors.Record](connectors.NotFound)
	_, err := w.deliver(to(""))
	parked(t, "NOT_FOUND", err)
	require.Empty(t, w.temporal.signals)
}

func TestAskingThatFailsIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.temporal.signalErr = errAway
	_, err := w.deliver(live())
	hiccup(t, err)
}

// No attempt writes after Temporal has given it up.
func TestCallThatCouldOutliveTheAttemptIsNotBegun(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(*world){
		"too little time": func(w *world) { w.inst.Definition.CallTimeout = time.Hour },
		"worker stopping": func(w *world) { close(w.stop) },
		"context ended": func(w *world) {
			ctx, cancel := context.WithCancel(w.ctx)
			w.ctx, w.temporal.onSignal = ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			arrange(w)
			_, err := w.deliver(to("1"))
			retried(t, activities.GivenBack, err)
			require.Empty(t, w.crm.calls)
		})
	}
}

func unambiguous(t *testing.T, err error) {
	t.Helper()
	var detail activities.FailureDetail
	require.NoError(t, failed(t, err).Details(&detail))
	require.False(t, detail.Ambiguous, "a look writes nothing")
}
