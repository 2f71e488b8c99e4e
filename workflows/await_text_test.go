package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// unseen is a status whose text nobody has seen; JustCall answers as fetched says.
// Once it has answered well, the text is there.
func unseen(e *env, fetched func(n int) (activities.Fetched, error)) (in workflows.SyncInput, asked *calls[sms.Event]) {
	taken := false
	on(e, acts.FindText, func(int, sms.Event) (activities.TextOf, error) {
		if !taken {
			return activities.TextOf{}, nil
		}
		return activities.TextOf{Workflow: "main/msg_1/sms.sent", Targets: []string{"close"}}, nil
	})
	on(e, acts.UpdateStatus, func(int, activities.StatusInput) (activities.DeliverResult, error) {
		return activities.DeliverResult{State: connectors.Written, Record: ref("r1")}, nil
	})
	asked = on(e, acts.FetchText, func(n int, _ sms.Event) (activities.Fetched, error) {
		answer, err := fetched(n)
		taken = err == nil && answer.Refused == nil
		return answer, err
	})
	in = delivered()
	in.Revision = 3
	return in, asked
}

func notThere() activities.Fetched {
	return activities.Fetched{Refused: &activities.Refusal{Kind: string(connectors.NotFound), Message: "nobody has it"}}
}

func TestSyncEventFetchesATextThatIsNotSeenForAnHour(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	began := e.Now()
	in, asked := unseen(e, func(int) (activities.Fetched, error) { return activities.Fetched{}, nil })
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Len(t, asked.all(), 1)
	require.Equal(t, in.Event, asked.all()[0])
	require.Equal(t, map[string]activities.DeliveryResult{"close": {State: connectors.Written, Record: ref("r1")}}, got.Deliveries)
	require.InDelta(t, time.Hour, e.Now().Sub(began), float64(2*time.Minute))
	require.Equal(t, []string{"close=written", "close#r1"}, e.listed())
}

// It does not wait for a person: nothing is due.
func TestSyncEventEndsAStatusFromBeforeTheConnectors(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	in, _ := unseen(e, func(int) (activities.Fetched, error) {
		return activities.Fetched{NotFor: []string{"close", "hubspot"}}, nil
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	none := activities.DeliveryResult{State: connectors.NotApplicable}
	require.Equal(t, map[string]activities.DeliveryResult{"close": none, "hubspot": none}, got.Deliveries)
	require.Equal(t, workflows.StateDone, e.state())
	require.Equal(t, []string{"close=not_applicable", "hubspot=not_applicable"}, e.listed())
}

func TestSyncEventWaitsWhileJustCallDoesNotAnswer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	in, asked := unseen(e, func(n int) (activities.Fetched, error) {
		if n < 4 {
			return activities.Fetched{}, unavailable(time.Hour, false)
		}
		return activities.Fetched{}, nil
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Len(t, asked.all(), 4)
	require.Equal(t, connectors.Written, got.Deliveries["close"].State)
}

// A person's retry asks JustCall at once, and not after another hour.
func TestSyncEventParksAStatusWhoseTextJustCallDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() (activities.Fetched, error){
		"as it says": func() (activities.Fetched, error) { return notThere(), nil },
		"what cannot be helped": func() (activities.Fetched, error) {
			return activities.Fetched{}, refused(connectors.NotFound, "nobody has it")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			in, asked := unseen(e, func(n int) (activities.Fetched, error) {
				switch n {
				case 1:
					return first()
				case 2:
					return notThere(), nil
				}
				return activities.Fetched{}, nil
			})
			e.after(2*time.Hour, func() {
				require.Equal(t, workflows.StateParked, e.state())
				require.Contains(t, e.details(), "**text is parked**: nobody has it (NOT_FOUND)")
				e.repair(workflows.UpdateRetry, workflows.Repair{})
			})
			e.after(2*time.Hour+time.Minute, func() {
				require.Len(t, asked.all(), 2)
				require.Equal(t, workflows.StateParked, e.state())
				e.repair(workflows.UpdateRetry, workflows.Repair{})
			})
			got := result[activities.SyncResult](e, workflows.SyncEvent, in)
			require.Equal(t, connectors.Written, got.Deliveries["close"].State)
		})
	}
}

// A failed status that comes meanwhile ends it, whatever JustCall would say.
func TestSyncEventGivesUpFetchingOnceItIsSuperseded(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	in, _ := unseen(e, func(int) (activities.Fetched, error) { return activities.Fetched{}, unavailable(10*time.Hour, false) })
	e.after(2*time.Hour, func() { e.SignalWorkflow(activities.SignalSuperseded, "main/msg_1/sms.failed") })
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Empty(t, got.Deliveries)
	require.Equal(t, workflows.StateDone, e.state())
}
