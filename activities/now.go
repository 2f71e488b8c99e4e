package activities

import (
	"context"
	"time"

	"crmsync/connectors"
)

// patience is how long a workflow waits for what it tries by itself.
const patience = 3 * time.Second

// DeliverNow is Deliver for a workflow that tries by itself, as a local activity,
// before it gives the delivery to the connector's queue: where the lane flows in
// this very process that saves Temporal most of the work. It answers the zero
// result where it is not worth a try, or did not succeed within a few seconds;
// then Deliver does it. It fails nothing.
//
// Never in class D: a process that dies runs a local activity again as a first
// attempt, which could write blindly twice.
func (a *Activities) DeliverNow(ctx context.Context, in DeliverInput) (DeliverResult, error) {
	return a.now(ctx, in.Connector, func(ctx context.Context) (DeliverResult, error) { return a.Deliver(ctx, in) })
}

// UpdateStatusNow is DeliverNow for UpdateStatus.
func (a *Activities) UpdateStatusNow(ctx context.Context, in StatusInput) (DeliverResult, error) {
	return a.now(ctx, in.Connector, func(ctx context.Context) (DeliverResult, error) { return a.UpdateStatus(ctx, in) })
}

func (a *Activities) now(ctx context.Context, connector string, try func(context.Context) (DeliverResult, error)) (DeliverResult, error) {
	inst, ok := a.Instances[connector]
	if !ok || stopping(ctx) {
		return DeliverResult{}, nil
	}
	if caps, quick := inst.Lane().Quick(); !quick || caps.Class == connectors.ClassD {
		return DeliverResult{}, nil
	}
	// A write that was sent is waited for, also after the patience has ended: the
	// lane joins the durable attempt to it. What was not sent yet is given back.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), inst.Definition.CallTimeout+time.Minute)
	results := make(chan DeliverResult, 1)
	go func() {
		defer cancel()
		result, err := try(work)
		if err != nil {
			result = DeliverResult{} // the durable attempt will say why
		}
		results <- result
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case result := <-results:
		return result, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	cancel()
	return DeliverResult{}, nil
}
