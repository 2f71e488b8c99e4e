package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/sms"
)

// The priorities of Temporal's tasks. Activities have their workflow's, so that
// they hold on every queue, wherever a backlog is.
const (
	priorityConsent  = 1 // somebody said STOP
	priorityText     = 2 // somebody may look at the timeline for it
	priorityStatus   = 3 // as many as texts, and of less use; also Temporal's default
	priorityBackfill = 5 // may be many thousands at once
)

// PriorityOf answers the priority of an event's workflow. Live: it came from a
// webhook just now. Within a priority the accounts take turns, where the server
// has matching.enableFairness set; elsewhere the key does nothing.
func PriorityOf(account string, kind sms.Kind, live bool) temporal.Priority {
	p := temporal.Priority{PriorityKey: priorityText, FairnessKey: account}
	switch {
	case kind.Consent():
		p.PriorityKey = priorityConsent
	case !live:
		p.PriorityKey = priorityBackfill
	case kind.Status():
		p.PriorityKey = priorityStatus
	}
	return p
}

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

// forText gives an activity a text's priority, where a text waits for it and the
// workflow has none of its own.
func forText(ctx workflow.Context) workflow.Context {
	return workflow.WithPriority(ctx, temporal.Priority{PriorityKey: priorityText})
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

// atOnce is for a try within the workflow's own task, which is not repeated.
func atOnce(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: activities.NowTimeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             summary,
	})
}

// deployment is the name of the deployment, which is that of its task queue.
func deployment(ctx workflow.Context) string { return workflow.GetInfo(ctx).TaskQueueName }
