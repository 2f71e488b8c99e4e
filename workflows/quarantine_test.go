package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/workflows"
)

func quarantined() workflows.QuarantineInput {
	return workflows.QuarantineInput{Quarantined: activities.Quarantined{
		Account: "main", Reason: "data.sms_date: not a time", Body: []byte("{}"), Size: 2,
	}}
}

func TestQuarantineIsParkedFromTheBeginning(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.after(48*time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		require.Contains(t, e.details(), "**body is parked**: data.sms_date: not a time (QUARANTINED)")
	})
	e.runUntilCancelled(72*time.Hour, workflows.Quarantine, quarantined())
}

func TestQuarantineRetryAdmitsTheBody(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	again := on(e, acts.Readmit, func(int, activities.Quarantined) (activities.Admitted, error) {
		return activities.Admitted{Result: "accepted", Key: "main/msg_1/sms.received"}, nil
	})
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })

	got := result[activities.Admitted](e, workflows.Quarantine, quarantined())

	require.Equal(t, activities.Admitted{Result: "accepted", Key: "main/msg_1/sms.received"}, got)
	require.Equal(t, []activities.Quarantined{quarantined().Quarantined}, again.all())
	require.Equal(t, workflows.StateDone, e.state())
}

func TestQuarantineParksAgainWhatIsStillRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Readmit, func(n int, _ activities.Quarantined) (activities.Admitted, error) {
		if n == 1 {
			return activities.Admitted{}, refused("QUARANTINED", "data.direction: neither way")
		}
		return activities.Admitted{Result: "duplicate"}, nil
	})
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
	e.after(2*time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		require.Contains(t, e.details(), "**body is parked**: data.direction: neither way (QUARANTINED)")
		e.repair(workflows.UpdateRetry, workflows.Repair{})
	})
	require.Equal(t, "duplicate", result[activities.Admitted](e, workflows.Quarantine, quarantined()).Result)
}

func TestQuarantineRetryWaitsForTemporalWithoutParking(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Readmit, func(n int, _ activities.Quarantined) (activities.Admitted, error) {
		if n < 4 {
			return activities.Admitted{}, unavailable(time.Hour, false)
		}
		return activities.Admitted{Result: "accepted"}, nil
	})
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
	e.after(2*time.Hour, func() { require.Equal(t, workflows.StateSyncing, e.state()) })
	require.Equal(t, "accepted", result[activities.Admitted](e, workflows.Quarantine, quarantined()).Result)
}

func TestQuarantineSkipGivesTheBodyUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.after(time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{Reason: "noise"}) })
	got := result[activities.Admitted](e, workflows.Quarantine, quarantined())
	require.Equal(t, "skipped", got.Result)
	require.Equal(t, workflows.StateDone, e.state())
}

func TestQuarantineSetsNoSearchAttributesWhenItWasStartedWithout(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.after(time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{}) })
	in := quarantined()
	in.Plain = true
	require.Equal(t, string(workflows.StateSkipped), result[activities.Admitted](e, workflows.Quarantine, in).Result)
	require.Empty(t, e.shown)
}

func TestQuarantineThatAnOperatorCancelsEndsAsCancelled(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Readmit, func(int, activities.Quarantined) (activities.Admitted, error) {
		return activities.Admitted{}, unavailable(12*time.Hour, false)
	})
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
	e.runUntilCancelled(2*time.Hour, workflows.Quarantine, quarantined())
	require.NotEqual(t, workflows.StateDone, e.state())
}
