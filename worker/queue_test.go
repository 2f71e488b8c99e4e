package worker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"crmsync/internal/lane"
)

// TestPauseIsKept: Temporal keeps who paused a connector and why, of both its
// queues; a limit that is no pause is left alone.
func TestPauseIsKept(t *testing.T) {
	t.Parallel()
	c, temporal := realTemporal(t)
	h := holder{temporal, c, "busy"}
	report, err := h.pause(t.Context(), "migration")
	require.NoError(t, err)
	require.Equal(t, pauseReport{Connector: "busy", Paused: true, Changed: true}, report)
	report, err = h.pause(t.Context(), "still")
	require.NoError(t, err)
	require.False(t, report.Changed)
	for _, queue := range queuesOfConnector(c.Name, "busy") {
		state, err := describeQueue(t.Context(), temporal, c.Temporal.Namespace, queue)
		require.NoError(t, err)
		require.True(t, state.Paused)
		require.Equal(t, "paused by "+operator()+": still", state.hold.String())
		require.WithinDuration(t, time.Now(), state.hold.Since, time.Minute)
	}
	var f findings
	f.queues(t.Context(), temporal, c)
	require.Len(t, f, 2, f.lines())
	require.Contains(t, f.lines(), "warning queues.crmsync-busy-consent: paused by "+operator()+": still, since 20")
	require.Contains(t, f.lines(), "'crmsync connectors resume busy' lets it flow again")

	report, err = h.resume(t.Context())
	require.NoError(t, err)
	require.Equal(t, pauseReport{Connector: "busy", Changed: true}, report)
	queue := queuesOfConnector(c.Name, "busy")[0]
	require.NoError(t, limitQueue(t.Context(), temporal, c.Temporal.Namespace, queue, &taskqueue.RateLimit{RequestsPerSecond: 10}, "ada", ""))
	report, err = h.resume(t.Context())
	require.NoError(t, err)
	require.False(t, report.Changed)
}

// oldServer is a Temporal that does not know how to pause a queue.
type oldServer struct{ client.Client }

func (oldServer) WorkflowService() workflowservice.WorkflowServiceClient { return oldService{} }

type oldService struct {
	workflowservice.WorkflowServiceClient
}

func (oldService) UpdateTaskQueueConfig(context.Context, *workflowservice.UpdateTaskQueueConfigRequest, ...grpc.CallOption) (*workflowservice.UpdateTaskQueueConfigResponse, error) {
	return nil, serviceerror.NewUnimplemented("unknown method UpdateTaskQueueConfig")
}

func TestOldServerCannotPause(t *testing.T) {
	t.Parallel()
	err := limitQueue(t.Context(), oldServer{}, "default", queuesOfConnector("crmsync", "crm")[0], nil, "ada", "")
	require.ErrorContains(t, err, "this Temporal server cannot pause a queue: upgrade it to 1.29 or newer")
}

// TestHeld: an operator's pause comes first, and hides nothing.
func TestHeld(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	s := connectorStatus{State: string(lane.Paused), Reason: "the CRM refuses the credentials", Since: early, Operator: &hold{By: "ada", Since: late}}
	s.held()
	require.Equal(t, "paused by ada; the CRM refuses the credentials", s.Reason)
	require.Equal(t, early, s.Since)
	s = connectorStatus{State: stateUnknown, Operator: &hold{By: "ada", Reason: "migration", Since: late}}
	s.held()
	require.Equal(t, string(lane.Paused), s.State)
	require.Equal(t, "paused by ada: migration", s.Reason)
	require.Equal(t, late, s.Since)
}
