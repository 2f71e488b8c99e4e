package activities

import (
	"context"
	"time"

	"crmsync/connectors"
)

const (
	// patience is how long a workflow waits for what it tries by itself.
	patience = 3 * time.Second
	// NowTimeout bounds what is tried at once, which ends by itself before. It is
	// well below the ten seconds that a workflow task may take.
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
	if caps, quick := inst.Lane().Quick(); !quick || caps.Class == connectors.ClassD || in.Spare && !inst.Lane().Idle() {
		return DeliverResult{}, nil
	}
	result, _ := hurry(ctx, inst, func(ctx context.Context) (DeliverResult, error) { return a.Deliver(ctx, in) })
	return result, nil
}

// SetConsentNow is SetConsent for a workflow that tries by itself, as DeliverNow
// is Deliver: an opt-out need not stand in line for each of Temporal's steps. The
// result has no state where it is not worth a try or did not succeed.
func (a *Activities) SetConsentNow(ctx context.Context, in ConsentInput) (ConsentResult, error) {
	inst, ok := a.Instances[in.Connector]
	if !ok || stopping(ctx) || !inst.Lane().QuickConsent() {
		return ConsentResult{}, nil
	}
	result, ok := hurry(ctx, inst, func(ctx context.Context) (ConsentResult, error) { return a.SetConsent(ctx, in) })
	if !ok {
		return ConsentResult{Unsure: true}, nil
	}
	return result, nil
}

// hurry works for as long as a workflow waits for it. It answers false for
// anything but success: the durable attempt will say why. A write that was sent is
// waited for, also after the patience has ended: the lane joins a text's durable
// attempt to it. What was not sent yet is given back.
func hurry[R any](ctx context.Context, inst *Instance, work func(context.Context) (R, error)) (result R, ok bool) {
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), inst.Definition.CallTimeout+time.Minute)
	results := make(chan R, 1)
	go func() {
		defer cancel()
		defer close(results)
		if result, err := work(lasting); err == nil {
			results <- result
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case result, ok = <-results:
		return result, ok
	case <-timer.C:
	case <-ctx.Done():
	}
	cancel()
	return result, false
}
