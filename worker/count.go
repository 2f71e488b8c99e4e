package worker

import (
	"context"
	"errors"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/metrics"
	"crmsync/sms"
)

// counting counts the attempts of one connector's lane, and the deliveries that
// they end. Without a connector it counts what workflows try at once.
type counting struct {
	interceptor.WorkerInterceptorBase
	connector string
	metrics   *metrics.Metrics
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (c *counting) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &countedActivity{counting: c}
	i.Next = next
	return i
}

type countedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	*counting
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (c *countedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := c.Next.ExecuteActivity(ctx, in)
	connector := c.connector
	if connector == "" {
		var ok bool
		if connector, ok = connectorOf(in.Args); !ok {
			return out, err
		}
	}
	c.metrics.Attempt(connector, activity.GetInfo(ctx).ActivityType.Name, resultOf(err))
	c.delivery(connector, firstOf(in.Args), out, err)
	return out, err
}

func firstOf(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

// resultOf is an attempt's result as a label: OK, or the kind of error.
func resultOf(err error) string {
	if err == nil {
		return metrics.OK
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	if errors.Is(err, context.Canceled) || temporal.IsCanceledError(err) {
		return metrics.Canceled
	}
	return metrics.Other
}

// delivery counts a delivery that the attempt ended or parked, if it did.
func (c *counting) delivery(connector string, in, out any, err error) {
	kind, ok := kindOf(in)
	if !ok {
		return
	}
	if err != nil {
		if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.NonRetryable() {
			c.metrics.Delivery(connector, kind, metrics.Parked)
		}
		return
	}
	if state := stateOf(out); state != "" {
		c.metrics.Delivery(connector, kind, state)
	}
}

// kindOf is the event that an activity delivers, by its input.
func kindOf(in any) (kind sms.Kind, ok bool) {
	switch in := in.(type) {
	case activities.DeliverInput:
		return in.Event.Kind, true
	case activities.StatusInput:
		return in.Event.Kind, true
	case activities.ConsentInput:
		if in.Consent.OptedOut {
			return sms.OptOut, true
		}
		return sms.OptIn, true
	}
	return "", false
}

// stateOf is how the delivery ended; empty where it goes on.
func stateOf(out any) connectors.State {
	switch out := out.(type) {
	case activities.DeliverResult:
		return out.State
	case activities.ConsentResult:
		return out.State
	}
	return ""
}
