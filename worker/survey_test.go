package worker

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/metrics"
	"crmsync/workflows"
)

const twoConnectors = `
temporal: { address: %q, namespace: %q }
justcall: { main: { region: US, webhook: { token: a-token-that-is-long } } }
connectors:
  busy: { type: sandbox, base_url: http://127.0.0.1:1 }
  idle: { type: sandbox, base_url: http://127.0.0.1:1 }
`

// realTemporal is a configuration of two connectors at a real server that knows
// the search attributes.
func realTemporal(t *testing.T) (*config.Config, client.Client) {
	t.Helper()
	server := devtest.Temporal(t)
	namespace := devtest.Namespace(t, server)
	c, err := config.Parse("crmsync.yaml", fmt.Appendf(nil, twoConnectors, server.Address, namespace), config.System())
	require.NoError(t, err)
	temporal := devtest.Dial(t, server, namespace)
	require.NoError(t, registerAttributes(t.Context(), temporal, c))
	return c, temporal
}

// startText starts the workflow of a text that nobody works on.
func startText(t *testing.T, c *config.Config, temporal client.Client, id string, targets ...string) {
	t.Helper()
	_, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: activities.Queue(c.Name),
		TypedSearchAttributes: workflows.AttributesOf(c.Name).Start("main", "sms.received", "", targets),
	}, activities.SyncEvent, workflows.SyncInput{})
	require.NoError(t, err)
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	c, temporal := realTemporal(t)
	s := survey{temporal: temporal, config: c}
	startText(t, c, temporal, "main/msg_1/sms.received", "busy")
	startText(t, c, temporal, "main/msg_2/sms.received", "busy")
	require.Eventually(t, func() bool {
		n, err := s.count(t.Context(), s.standing("busy", workflows.StateSyncing))
		return err == nil && n == 2
	}, time.Minute, 50*time.Millisecond)

	taken := s.take(t.Context())
	require.True(t, taken.Up)
	require.Equal(t, map[string]int64{"busy": 2, "idle": 0}, taken.Waiting)
	require.Equal(t, map[string]int64{"busy": 0, "idle": 0}, taken.Parked)
	require.Equal(t, map[string]int64{"SyncEvent": 0, "SyncConsent": 0, "Quarantine": 0}, taken.ParkedWorkflows)
	require.Zero(t, taken.Oldest["idle"])
	require.Positive(t, taken.Oldest["busy"])
	require.Len(t, taken.Queues, 6)
	home := taken.Queues[metrics.Queue{Name: "crmsync", Type: "workflow"}]
	require.Positive(t, home.Backlog)
	require.Zero(t, home.Pollers, "nobody works")

	for _, age := range []time.Duration{time.Minute, time.Hour, 40 * 24 * time.Hour} {
		found, err := s.oldest(t.Context(), s.standing("busy", workflows.StateSyncing), time.Now().Add(age))
		require.NoError(t, err)
		require.InEpsilon(t, age, found, 0.1, "the workflows are seconds old, the clock is that much ahead")
	}
}

// TestSurveyWithoutTemporal: nothing is known, and nothing is claimed.
func TestSurveyWithoutTemporal(t *testing.T) {
	t.Parallel()
	temporal, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	require.Equal(t, metrics.Survey{}, survey{temporal: temporal}.take(t.Context()))
}
