package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// adopts has the connector take over what others have written.
func (w *world) adopts(wait time.Duration) {
	w.crm.caps.Adopt = true
	w.inst.Adoption = activities.Adoption{On: true, Wait: wait}
}

// aged is a text of that age.
func aged(age time.Duration) activities.DeliverInput {
	in := to("1")
	in.Event.At = time.Now().Add(-age)
	in.Event.Message.At = in.Event.At
	return in
}

// theirs answers the record of another integration.
func theirs(state connectors.State) func(connectors.Record) []connectors.Outcome {
	return func(connectors.Record) []connectors.Outcome {
		return []connectors.Outcome{{Ref: ref("theirs"), State: state}}
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	written := connectors.Outcome{Ref: ref("record"), State: connectors.Written}
	for name, c := range map[string]struct {
		adopt  func(connectors.Record) []connectors.Outcome
		change func(*world, *activities.DeliverInput)
		want   connectors.Outcome
		calls  []string
	}{
		"taken over":        {adopt: theirs(connectors.Written), want: connectors.Outcome{Ref: ref("theirs"), State: activities.Adopted}, calls: []string{"adopt"}},
		"taken over before": {adopt: theirs(connectors.Existed), want: connectors.Outcome{Ref: ref("theirs"), State: connectors.Existed}, calls: []string{"adopt"}},
		"nothing there":     {want: written, calls: []string{"adopt", "put"}},
		"not asked for":     {change: func(w *world, _ *activities.DeliverInput) { w.inst.Adoption.On = false }, want: written, calls: []string{"put"}},
		"not offered":       {change: func(w *world, _ *activities.DeliverInput) { w.crm.caps.Adopt = false }, want: written, calls: []string{"put"}},
		"not of a contact":  {change: func(_ *world, in *activities.DeliverInput) { in.Match.Contact = ref("") }, want: written, calls: []string{"put"}},
		"none, and no look before is trusted": {
			change: func(w *world, _ *activities.DeliverInput) {
				w.crm.caps.Class, w.attempt, w.waited = connectors.ClassD, 2, map[string]any{"Attempt": 1}
			},
			want: written, calls: []string{"adopt", "read back", "put"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.adopts(time.Minute)
			w.crm.adopt = c.adopt
			in := aged(time.Hour)
			if c.change != nil {
				c.change(w, &in)
			}
			out, err := w.deliver(in)
			require.NoError(t, err)
			require.Equal(t, c.want, connectors.Outcome{Ref: out.Record, State: out.State})
			require.Equal(t, c.calls, w.crm.calls)
			require.Equal(t, c.want.Ref.ID, w.record(), "statuses find it")
		})
	}
}

// The other integration may be slower: nothing is asked or written before it has
// had its time.
func TestYoungTextWaitsForTheOtherIntegration(t *testing.T) {
	t.Parallel()
	const wait = 2 * time.Minute
	for age, left := range map[time.Duration]time.Duration{
		0: wait, 90 * time.Second: 30 * time.Second, wait + time.Second: 0,
		-time.Hour: wait, // a wrong clock
	} {
		w := newWorld(t)
		w.adopts(wait)
		w.crm.finds("1")
		in := aged(age)
		in.Match = nil
		_, err := w.deliver(in)
		if left == 0 {
			require.NoError(t, err)
			require.Equal(t, []string{"find", "adopt", "put"}, w.crm.calls)
			continue
		}
		retried(t, activities.Waiting, err)
		require.InDelta(t, left, failed(t, err).NextRetryDelay(), float64(10*time.Second))
		require.Empty(t, w.crm.calls)
	}
}

func TestAdoptionFails(t *testing.T) {
	t.Parallel()
	for kind, check := range map[connectors.Kind]func(*testing.T, string, error){
		connectors.Unavailable: retried, connectors.Forbidden: parked,
	} {
		w := newWorld(t)
		w.adopts(time.Minute)
		w.crm.adopt = fails[connectors.Record](kind)
		_, err := w.deliver(aged(time.Hour))
		check(t, string(kind), err)
		require.Equal(t, []string{"adopt"}, w.crm.calls, "a put could double what the other one wrote")
	}
	w := newWorld(t)
	w.adopts(time.Minute)
	w.crm.adopt = fails[connectors.Record](connectors.NotFound)
	out, err := w.deliver(aged(time.Hour))
	require.NoError(t, err)
	require.Equal(t, ref("1"), out.Gone, "a contact that is gone is looked for anew")
}

// A status of a text that still waits asks the CRM for nothing.
func TestStatusWaitsWithItsText(t *testing.T) {
	t.Parallel()
	for state, calls := range map[enums.WorkflowExecutionStatus][]string{running: nil, completed: {"status"}} {
		w := newWorld(t)
		w.adopts(time.Minute)
		e := outbound(sms.Delivered)
		e.Message.At = time.Now()
		text := "main/msg_1/sms.sent"
		done := activities.SyncResult{Deliveries: map[string]activities.DeliveryResult{"crm": {Record: ref("theirs"), State: activities.Adopted}}}
		w.temporal.workflows[text] = &execution{status: state, result: done}
		_, err := run[activities.DeliverResult](w, w.acts.UpdateStatus, activities.StatusInput{Connector: "crm", Event: e, Text: text})
		require.Equal(t, calls, w.crm.calls)
		if state == running {
			retried(t, activities.Waiting, err)
			require.InDelta(t, time.Minute, failed(t, err).NextRetryDelay(), float64(10*time.Second))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, ref("theirs"), w.crm.changes[0].Record)
	}
}
