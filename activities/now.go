package activities

import (
	"context"
	"time"

	"crmsync/connectors"
)

const (
	// patience is how long a workflow waits for what it tries by itself.
	patience = 3 * time.Second
	// NowTimeout bounds DeliverNow, which ends by itself before. It is well below
	// the ten seconds that a workflow task may take.
	NowTimeout = patience + 2*time.Second
)

// DeliverNow is Deliver for a workflow that tries by itself, as a local activity,
// before it gives the delivery to the connector's queue: where the lane flows in
// this very process that saves Temporal most of the work. It answers the zero
// result where it is not worth a try, or did not succeed within a few seconds;
// then Deliver does it. It fails nothing.
//
// Texts only: what was sent may still land after the patience has ended, and a
// status must not land after a later one. And never in class D: a process that
// dies runs a local activity again as a first attempt, which could write blindly
// twice.
func (a *Activities) DeliverNow(ctx context.Context, in DeliverInput) (DeliverResult, error) {
	inst, ok := a.Instances[in.Connector]
	if !ok || stopping(ctx) || inst.Adoption.On {
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
		result, err := a.Deliver(work, in)
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
