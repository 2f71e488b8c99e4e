package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	enums "go.temporal.io/api/enums/v1"
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
	for _, connector := range slices.Sorted(maps.Keys(c.Connectors)) {
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

// describeQueue asks how a queue does. Temporal may answer the backlog a few
// seconds late, and without tasks whose retry is not due yet.
func describeQueue(ctx context.Context, temporal client.Client, namespace string, q metrics.Queue) (metrics.QueueState, error) {
	kind := enums.TASK_QUEUE_TYPE_ACTIVITY
	if q.Type == workflowQueue {
		kind = enums.TASK_QUEUE_TYPE_WORKFLOW
	}
	described, err := temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueue.TaskQueue{Name: q.Name}, TaskQueueType: kind, ReportStats: true,
	})
	if err != nil {
		return metrics.QueueState{}, fmt.Errorf("describe queue %s: %w", q.Name, err)
	}
	return metrics.QueueState{
		Backlog: described.GetStats().GetApproximateBacklogCount(),
		Pollers: int64(len(described.GetPollers())),
	}, nil
}
