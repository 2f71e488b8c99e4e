package messages

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// inFlight is how many items are repaired at the same time: enough to keep a
	// worker busy, few enough to leave it time for new events.
	inFlight = 16
	// grace is how long what is under way may take after an interrupt.
	grace = 5 * time.Second
)

// Tally is what became of many items.
type Tally struct {
	Found int `json:"found"`
	Done  int `json:"done"`
	// NotParked were repaired already, by somebody else or an earlier run.
	NotParked int       `json:"not_parked"`
	Failed    []Problem `json:"failed"`
	// Left were not tried, because of an interrupt or because nobody answered.
	Left int `json:"left"`
}

// Problem is why an item was not repaired.
type Problem struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

// Tried is how many items have been tried.
func (t Tally) Tried() int { return t.Done + t.NotParked + len(t.Failed) }

// Each does something to each item, several at a time, and tells of every step.
// It ends early with ctx, and with [ErrNoWorker] where nobody answers at all;
// what is left can be done by a repetition. Errors of single items are in the
// tally.
func Each(ctx context.Context, items []Item, do func(context.Context, Item) error, told func(Tally)) (Tally, error) {
	e := &each{tally: Tally{Found: len(items), Failed: []Problem{}}, told: told}
	feed, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	queue := make(chan Item)
	var workers sync.WaitGroup
	for range min(inFlight, len(items)) {
		workers.Go(func() {
			for item := range queue {
				if e.one(work, item, do) {
					stop(ErrNoWorker)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case queue <- item:
		case <-feed.Done():
		}
		if feed.Err() != nil { // a select takes either where both are ready
			break
		}
	}
	close(queue)
	workers.Wait()
	e.tally.Left = e.tally.Found - e.tally.Tried()
	if e.tally.Left == 0 {
		return e.tally, nil
	}
	return e.tally, fmt.Errorf("%d of %d were not tried: %w", e.tally.Left, e.tally.Found, context.Cause(feed))
}

type each struct {
	mu    sync.Mutex
	tally Tally
	told  func(Tally)
}

// one answers true where nobody has answered for as long as this item waited:
// one workflow may be stuck, all of them mean that no worker runs.
func (e *each) one(ctx context.Context, item Item, do func(context.Context, Item) error) (alone bool) {
	before := e.answers()
	err := do(ctx, item)
	if err != nil && ctx.Err() != nil {
		return false // interrupted: nobody knows, and a repetition will tell
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	alone = errors.Is(err, ErrNoWorker) && e.tally.Done+e.tally.NotParked == before
	switch {
	case err == nil:
		e.tally.Done++
	case errors.Is(err, ErrNotParked):
		e.tally.NotParked++
	default:
		e.tally.Failed = append(e.tally.Failed, Problem{item.Key, err.Error()})
	}
	e.told(e.tally)
	return alone
}

func (e *each) answers() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tally.Done + e.tally.NotParked
}
