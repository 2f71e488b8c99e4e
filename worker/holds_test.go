package worker

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"google.golang.org/grpc"

	"crmsync/activities"
	"crmsync/connectors"
)

// heldServer is a Temporal of which one may change whether queues are paused,
// and whether it is there.
type heldServer struct {
	client.Client
	service *heldService
}

func (h heldServer) WorkflowService() workflowservice.WorkflowServiceClient { return h.service }

type heldService struct {
	workflowservice.WorkflowServiceClient
	paused, away atomic.Bool
}

func (s *heldService) DescribeTaskQueue(context.Context, *workflowservice.DescribeTaskQueueRequest, ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	if s.away.Load() {
		return nil, serviceerror.NewUnavailable("away")
	}
	answer := &workflowservice.DescribeTaskQueueResponse{}
	if s.paused.Load() {
		answer.Config = &taskqueue.TaskQueueConfig{QueueRateLimit: &taskqueue.RateLimitConfig{RateLimit: &taskqueue.RateLimit{}}}
	}
	return answer, nil
}

// tried is an activity that notes that it was run.
type tried struct {
	interceptor.ActivityInboundInterceptorBase
	runs int
}

func (t *tried) ExecuteActivity(context.Context, *interceptor.ExecuteActivityInput) (any, error) {
	t.runs++
	return activities.DeliverResult{State: connectors.Written}, nil
}

// TestHolds: what is not known to flow is left to the queue, which knows.
func TestHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &heldService{}
		h := &holds{temporal: heldServer{service: server}, flows: map[string]time.Time{}}
		inner := &tried{}
		outer := h.InterceptActivity(t.Context(), inner)
		attempt := func(in any) bool {
			before := inner.runs
			_, err := outer.ExecuteActivity(t.Context(), &interceptor.ExecuteActivityInput{Args: []any{in}})
			require.NoError(t, err)
			return inner.runs > before
		}
		text := activities.DeliverInput{Connector: "crm"}
		later := func(d time.Duration) {
			time.Sleep(d) //nolint:forbidigo // in the bubble's own time
			synctest.Wait()
		}
		require.False(t, attempt(text), "nobody has looked yet")
		require.True(t, attempt(activities.Link{}), "it is no delivery")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.watch(ctx, []string{"crm"})
		synctest.Wait()
		require.True(t, attempt(text))
		require.False(t, attempt(activities.DeliverInput{Connector: "other"}))

		server.paused.Store(true)
		later(holdsEvery)
		require.False(t, attempt(text))
		out, err := outer.ExecuteActivity(t.Context(), &interceptor.ExecuteActivityInput{Args: []any{activities.ConsentInput{Connector: "crm"}}})
		require.NoError(t, err)
		require.Equal(t, activities.ConsentResult{}, out)
		server.paused.Store(false)
		later(holdsEvery)
		require.True(t, attempt(text))

		server.away.Store(true)
		later(holdsEvery)
		require.True(t, attempt(text), "what was seen holds for a while")
		later(holdsEvery)
		require.False(t, attempt(text))
	})
}
