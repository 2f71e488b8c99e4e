package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// retries never end: waiting is not failing. Five minutes is how late a text
// may be once a CRM is back, whatever the backlog was.
var retries = temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 2,
	MaximumInterval:    5 * time.Minute,
}

// atConnector is for activities that call a CRM. Heartbeats find a dead worker;
// StartToClose only bounds one that lives and hangs. ScheduleToClose is not set,
// since a task may wait in its queue for as long as the CRM is down.
func atConnector(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:    activities.HeartbeatTimeout,
		WaitForCancellation: true, // what ends must not write any more
		RetryPolicy:         &retries,
		Summary:             summary,
	})
}

// once is atConnector without retries, for a write that must not be repeated
// blindly.
func once(ctx workflow.Context, queue, summary string) workflow.Context {
	options := workflow.GetActivityOptions(atConnector(ctx, queue, summary))
	options.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: 1}
	return workflow.WithActivityOptions(ctx, options)
}

// atHome is for activities that only talk to Temporal and Redis.
func atHome(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         &retries,
		Summary:             summary,
	})
}

// locally is for look-ups that are too small for a task of their own.
func locally(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    5 * time.Second,
		ScheduleToCloseTimeout: 20 * time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumInterval: 2 * time.Second, BackoffCoefficient: 2},
	})
}

// deployment is the name of the deployment, which is that of its task queue.
func deployment(ctx workflow.Context) string { return workflow.GetInfo(ctx).TaskQueueName }
