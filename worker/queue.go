package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/metrics"
)

// The types of queue that are in use.
const (
	workflowQueue = "workflow"
	activityQueue = "activity"
)

// queuesOf answers all queues that a deployment's workers serve.
func queuesOf(c *config.Config) []metrics.Queue {
	home := activities.Queue(c.Name)
	queues := []metrics.Queue{{Name: home, Type: workflowQueue}, {Name: home, Type: activityQueue}}
	for _, connector := range sortedNames(c) {
		queues = append(queues, queuesOfConnector(c.Name, connector)...)
	}
	return queues
}

func queuesOfConnector(deployment, connector string) []metrics.Queue {
	return []metrics.Queue{
		{Name: activities.ConnectorQueue(deployment, connector), Type: activityQueue},
		{Name: activities.ConsentQueue(deployment, connector), Type: activityQueue},
	}
}

// queueState is how a queue does.
type queueState struct {
	metrics.QueueState
	hold *hold // nil: nobody paused it
}

// hold is an operator's pause of a queue, kept in Temporal until it is resumed.
type hold struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// String says who paused it, and why.
func (h hold) String() string {
	if h.Reason == "" {
		return "paused by " + h.By
	}
	return "paused by " + h.By + ": " + h.Reason
}

// describeQueue asks how a queue does. Temporal may answer the backlog a few
// seconds late, and without tasks whose retry is not due yet. A server that
// cannot pause queues says of none that it is paused.
func describeQueue(ctx context.Context, temporal client.Client, namespace string, q metrics.Queue) (queueState, error) {
	described, err := temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.Name}, TaskQueueType: typeOf(q),
		ReportStats: true, ReportConfig: true,
	})
	if err != nil {
		return queueState{}, fmt.Errorf("describe queue %s: %w", q.Name, err)
	}
	state := queueState{hold: holdOf(described.GetConfig().GetQueueRateLimit())}
	state.Backlog = described.GetStats().GetApproximateBacklogCount()
	state.Pollers = int64(len(described.GetPollers()))
	state.Paused = state.hold != nil
	return state, nil
}

func typeOf(q metrics.Queue) enums.TaskQueueType {
	if q.Type == workflowQueue {
		return enums.TASK_QUEUE_TYPE_WORKFLOW
	}
	return enums.TASK_QUEUE_TYPE_ACTIVITY
}

// holdOf reads a pause from a queue's configuration: a limit of 0 tasks a second.
func holdOf(limit *taskqueue.RateLimitConfig) *hold {
	if limit.GetRateLimit() == nil || limit.GetRateLimit().GetRequestsPerSecond() > 0 {
		return nil
	}
	of := limit.GetMetadata()
	return &hold{By: of.GetUpdateIdentity(), Reason: of.GetReason(), Since: of.GetUpdateTime().AsTime()}
}

// limitQueue pauses a queue (a limit of 0 tasks a second), or lifts its limit
// (nil). Temporal keeps that, whatever is restarted, with who did it and why.
func limitQueue(ctx context.Context, temporal client.Client, namespace string, q metrics.Queue, limit *taskqueue.RateLimit, by, reason string) error {
	_, err := temporal.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: namespace, Identity: by, TaskQueue: q.Name, TaskQueueType: typeOf(q),
		UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: limit, Reason: reason},
	})
	if _, unable := errors.AsType[*serviceerror.Unimplemented](err); unable {
		return fmt.Errorf("this Temporal server cannot pause a queue: upgrade it to 1.29 or newer (%w)", err)
	}
	if err != nil {
		return fmt.Errorf("set the limit of queue %s: %w", q.Name, err)
	}
	return nil
}
