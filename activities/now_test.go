package activities_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
)

// flowing is a world whose lane runs and has worked.
func flowing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	_, err := w.inst.Lane().Capabilities(t.Context())
	require.NoError(t, err)
	w.runs()
	return w
}

// runs drives the lane until the end of the test.
func (w *world) runs() {
	go w.inst.Lane().Run(w.t.Context())
	require.Eventually(w.t, w.inst.Lane().Running, 5*time.Second, time.Millisecond)
}

func (w *world) now(in activities.DeliverInput) activities.DeliverResult {
	w.t.Helper()
	out, err := run[activities.DeliverResult](w, w.acts.DeliverNow, in)
	require.NoError(w.t, err)
	return out
}

// Where the lane flows a workflow's own try delivers, and asks for a contact.
func TestDeliverNow(t *testing.T) {
	t.Parallel()
	w := flowing(t)
	out := w.now(to("1"))
	require.Equal(t, connectors.Written, out.State)
	require.Equal(t, "record", out.Record.ID)
	require.Equal(t, connectors.Existed, w.now(to("1")).State, "known by then")

	w = flowing(t)
	require.True(t, w.now(live()).Asked)
	require.Equal(t, activities.SignalAsk, w.temporal.signals[0].name)
}

// Where it is not worth a try, or fails, the result is zero and the durable
// attempt follows.
func TestDeliverNowLeavesItToTheQueue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(*world)
		calls   []string
	}{
		"class D":             {func(w *world) { w.crm.caps.Class = connectors.ClassD; w.capable(); w.runs() }, nil},
		"adopts":              {func(w *world) { w.adopts(time.Minute); w.capable(); w.runs() }, nil},
		"not in this process": {func(w *world) { w.capable() }, nil},
		"nothing known yet":   {func(w *world) { w.runs() }, nil},
		"stopping":            {func(w *world) { w.capable(); w.runs(); close(w.stop) }, nil},
		"refused": {func(w *world) {
			w.capable()
			w.runs()
			w.crm.put = fails[connectors.Record](connectors.Invalid)
		}, []string{"put"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.arrange(w)
			require.Equal(t, activities.DeliverResult{}, w.now(to("1")))
			require.Equal(t, c.calls, w.crm.calls)
		})
	}
	t.Run("unknown connector", func(t *testing.T) {
		t.Parallel()
		in := to("1")
		in.Connector = "other"
		require.Equal(t, activities.DeliverResult{}, newWorld(t).now(in))
	})
}

func (w *world) capable() {
	_, err := w.inst.Lane().Capabilities(w.t.Context())
	require.NoError(w.t, err)
}

// What can wait is tried only where nothing else waits.
func TestDeliverNowSpares(t *testing.T) {
	t.Parallel()
	history := to("1")
	history.Spare = true
	require.Equal(t, connectors.Written, flowing(t).now(history).State)

	w := flowing(t)
	answer := make(chan struct{})
	w.crm.put = func(connectors.Record) []connectors.Outcome {
		<-answer
		return []connectors.Outcome{{Ref: ref("record"), State: connectors.Written}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n := 0; w.inst.Lane().Idle(); n++ {
		record := connectors.Record{Key: fmt.Sprint("text ", n)}
		go func() { _, _ = w.inst.Lane().PutMessage(ctx, record) }()
		<-time.After(time.Millisecond)
	}
	begun := time.Now()
	require.Equal(t, activities.DeliverResult{}, w.now(history))
	require.Less(t, time.Since(begun), time.Second, "it is not waited for")
	cancel()
	close(answer)
}

// A write that takes longer than a workflow waits is not made twice: the durable
// attempt joins it.
func TestDeliverNowIsJoined(t *testing.T) {
	t.Parallel()
	w := flowing(t)
	answer := make(chan struct{})
	w.crm.put = func(connectors.Record) []connectors.Outcome {
		<-answer
		return []connectors.Outcome{{Ref: ref("record"), State: connectors.Written}}
	}
	begun := time.Now()
	require.Equal(t, activities.DeliverResult{}, w.now(to("1")))
	require.Less(t, time.Since(begun), 4*time.Second)
	time.AfterFunc(50*time.Millisecond, func() { close(answer) })
	out, err := w.deliver(to("1"))
	require.NoError(t, err)
	require.Equal(t, "record", out.Record.ID)
	require.Equal(t, []string{"put"}, w.crm.calls)
}

// A change of consent is tried in the same way; what did not succeed may have been
// written all the same.
func TestSetConsentNow(t *testing.T) {
	t.Parallel()
	now := func(w *world) activities.ConsentResult {
		out, err := run[activities.ConsentResult](w, w.acts.SetConsentNow, activities.ConsentInput{
			Connector: "crm", Account: "main", Consent: stop, Known: []connectors.Ref{ref("1")},
		})
		require.NoError(t, err)
		return out
	}
	w := flowing(t)
	require.Equal(t, connectors.Written, now(w).State)
	require.Equal(t, [][]string{{"1"}}, w.crm.carried(t))

	w = newWorld(t)
	w.capable()
	require.Equal(t, activities.ConsentResult{}, now(w), "the lane is not in this process")

	w = flowing(t)
	w.crm.consent = fails[[]connectors.ConsentChange](connectors.Invalid)
	require.Equal(t, activities.ConsentResult{Unsure: true}, now(w))
}
