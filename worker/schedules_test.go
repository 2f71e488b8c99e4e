package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/devstack/devtest"
)

const scheduledAccounts = `
justcall:
  main: { webhook: { token: t }, api: { key: k, secret: s }, reconcile: { every: 30m } }
  plain: { webhook: { token: t } }
  off: { webhook: { token: t }, api: { key: k, secret: s }, reconcile: { every: 0 } }
  alone: { webhook: { token: t }, api: { key: k, secret: s } }
connectors:
  one: { type: sandbox, accounts: [main, plain, off], base_url: http://localhost:1, since: 2026-12-01 }
  two: { type: sandbox, accounts: [main], base_url: http://localhost:1, since: 2026-11-01 }
`

// TestWhoIsReconciled: accounts with an API and a connector, unless it is off.
func TestWhoIsReconciled(t *testing.T) {
	t.Parallel()
	c := parse(t, scheduledAccounts)
	wanted := reconciliation(c)
	require.Len(t, wanted, 1)
	require.Equal(t, "crmsync-reconcile-main", wanted[0].id)
	require.Equal(t, "main", wanted[0].account)
	require.Equal(t, 30*time.Minute, wanted[0].every)
	require.Equal(t, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), notBefore(c, "main"))
	c.Connectors["two"].Since = time.Time{}
	require.Zero(t, notBefore(c, "main"), "one connector wants all")

	require.Empty(t, comparison(c), "the older API has no list")
	account := c.JustCall["main"]
	account.API.Version = config.V21
	c.JustCall["main"] = account
	compared := comparison(c)
	require.Len(t, compared, 1)
	require.Equal(t, "crmsync-compare-consent-main", compared[0].id)
	require.Equal(t, 6*time.Hour, compared[0].every)
	account.Consent.Compare = 0
	c.JustCall["main"] = account
	require.Empty(t, comparison(c))
}

// TestSchedules: Temporal has the schedules of the configuration and no others,
// however often they are set; an operator's pause stays.
func TestSchedules(t *testing.T) {
	t.Parallel()
	server := devtest.Temporal(t)
	temporal := devtest.Dial(t, server, devtest.Namespace(t, server))
	schedules := temporal.ScheduleClient()
	set := func(text string) {
		t.Helper()
		require.NoError(t, setSchedules(t.Context(), temporal, parse(t, text)))
	}
	listed := func(want ...string) {
		t.Helper()
		var ids []string
		require.Eventually(t, func() bool {
			var err error
			ids, err = scheduled(t.Context(), schedules, "")
			require.NoError(t, err)
			slices.Sort(ids)
			return slices.Equal(want, ids)
		}, 30*time.Second, 100*time.Millisecond, "want %v", want)
	}
	_, err := schedules.Create(t.Context(), client.ScheduleOptions{
		ID: "crmsync-reconcile-of-another", Paused: true, Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Hour}}},
		Action: &client.ScheduleWorkflowAction{Workflow: activities.Reconcile, TaskQueue: "crmsync-reconcile"},
	})
	require.NoError(t, err)
	set(scheduledAccounts)
	listed("crmsync-reconcile-main", "crmsync-reconcile-of-another")
	main := schedules.GetHandle(t.Context(), "crmsync-reconcile-main")
	require.NoError(t, main.Pause(t.Context(), client.SchedulePauseOptions{Note: "a migration"}))
	set(scheduledAccounts + "name: crmsync\n")
	described, err := main.Describe(t.Context())
	require.NoError(t, err)
	require.True(t, described.Schedule.State.Paused)
	require.Equal(t, 30*time.Minute, described.Schedule.Spec.Intervals[0].Every)
	require.Equal(t, 6*time.Minute, described.Schedule.Spec.Jitter)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, described.Schedule.Policy.Overlap)
	require.Equal(t, 1, described.Info.NumActions, "the first run began at once")

	set(`
justcall: { main: { webhook: { token: t } } }
connectors: { one: { type: sandbox, base_url: http://localhost:1 } }
`)
	listed("crmsync-reconcile-of-another")
}
