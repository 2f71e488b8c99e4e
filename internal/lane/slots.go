package lane

import (
	"context"

	"go.temporal.io/sdk/worker"
)

// slots lets a Temporal worker poll for n tasks at a time, and for none while
// the gate is paused: the tasks wait in Temporal, at no cost and with no attempt
// burnt. Polls that are out already when it pauses (two per queue) may still
// bring a task each, so whoever works on a task asks the gate again.
type slots struct {
	gate *Gate
	free chan struct{}
}

var _ worker.SlotSupplier = (*slots)(nil)

// Tuner gives a worker of this lane n slots for activities.
func (l *Lane) Tuner(n int) worker.WorkerTuner {
	few, _ := worker.NewFixedSizeSlotSupplier(1) // of what this worker never does
	tuner, _ := worker.NewCompositeTuner(worker.CompositeTunerOptions{
		ActivitySlotSupplier: &slots{gate: l.gate, free: make(chan struct{}, n)},
		WorkflowSlotSupplier: few, LocalActivitySlotSupplier: few, NexusSlotSupplier: few, SessionActivitySlotSupplier: few,
	})
	return tuner
}

// ReserveSlot implements worker.SlotSupplier. It is called before each poll.
func (s *slots) ReserveSlot(ctx context.Context, _ worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	for {
		select {
		case s.free <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !s.gate.paused() {
			return &worker.SlotPermit{}, nil
		}
		<-s.free
		if err := s.gate.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// TryReserveSlot implements worker.SlotSupplier: nothing comes without a poll.
func (*slots) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit { return nil }

// MarkSlotUsed implements worker.SlotSupplier.
func (*slots) MarkSlotUsed(worker.SlotMarkUsedInfo) {}

// ReleaseSlot implements worker.SlotSupplier.
func (s *slots) ReleaseSlot(worker.SlotReleaseInfo) { <-s.free }

// MaxSlots implements worker.SlotSupplier.
func (s *slots) MaxSlots() int { return cap(s.free) }
