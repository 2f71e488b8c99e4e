package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"crmsync/internal/codec"
	"crmsync/internal/ledger"
)

const (
	// drainEvery is how often the spool is looked at, in which other processes
	// have left something, and how long to wait after a failure.
	drainEvery = time.Second
	// minDrain and maxDrain are how many starts of spooled events are in flight at
	// least and at most: far below MaxStarts, so that live ones have room.
	minDrain = 8
	maxDrain = 32
	// drainTimeout is how long one of them may take.
	drainTimeout = 5 * time.Second
	// claimAfter is when an entry is taken over that somebody took and did not
	// start: longer than whoever lives would take for it.
	claimAfter = 2 * drainTimeout
	// tellEvery is how often the log is told at most that a key is missing, or that
	// Temporal misses its deadline.
	tellEvery = time.Minute
)

// drain is what the drainer of a process knows.
type drain struct {
	wake  chan struct{} // this process has spooled something
	state atomic.Pointer[ledger.SpoolState]
	at    time.Time // of state

	mu   sync.Mutex
	told time.Time // that a key is missing
}

func (r *drain) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Hold keeps live events from Temporal until Release: they are spooled, if the
// spool takes them.
func (d *Door) Hold() { d.breaker.hold(true) }

// Release ends what Hold began.
func (d *Door) Release() { d.breaker.hold(false) }

// SpoolState is how the spool did when this process last looked, within some
// seconds; false while it does not know.
func (d *Door) SpoolState() (ledger.SpoolState, bool) {
	state := d.drain.state.Load()
	if state == nil {
		return ledger.SpoolState{}, false
	}
	return *state, true
}

// Drain starts what is spooled, consent first and then roughly the oldest first,
// until ctx ends. As many starts are in flight as Temporal takes in good time: one
// more after all of them were, half as many when one was not, within bounds.
func (d *Door) Drain(ctx context.Context) {
	width, last := minDrain, inTime
	var left []ledger.Entry
	for ctx.Err() == nil {
		d.look(ctx)
		entries, err := d.next(ctx, left, width, last != failed)
		if err != nil {
			last = failed
		} else {
			last, left = d.drainAll(ctx, entries)
		}
		if last == inTime {
			width = min(width+1, maxDrain)
		} else {
			width = max(width/2, minDrain)
		}
		if len(entries) == 0 || last == failed {
			d.rest(ctx, last == failed)
		}
	}
}

// pace is how Temporal took spooled events.
type pace int32

const (
	inTime pace = iota
	slow
	failed
)

// next takes the next entries, if Temporal is there for them: first those that are
// left from last time, so that the order holds. At least one is new, so that what
// Temporal cannot take holds up nothing else, and there are never more than
// maxDrain: the rest comes again after claimAfter.
func (d *Door) next(ctx context.Context, left []ledger.Entry, n int, healthy bool) ([]ledger.Entry, error) {
	if !healthy || d.breaker.open() {
		ctx, cancel := context.WithTimeout(ctx, drainEvery)
		defer cancel()
		if _, err := d.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return nil, err
		}
	}
	left = left[:min(len(left), maxDrain-1)]
	entries, err := d.Spool.Take(ctx, max(n-len(left), 1), claimAfter)
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool {
		return slices.ContainsFunc(left, func(other ledger.Entry) bool { return e.ID == other.ID && e.Stream == other.Stream })
	})
	return append(slices.Clone(left), entries...), err
}

// rest waits until there may be something to do. While something fails, what is
// spooled meanwhile is no reason to try again.
func (d *Door) rest(ctx context.Context, failing bool) {
	wake := d.drain.wake
	if failing {
		wake = nil
	}
	timer := time.NewTimer(drainEvery)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// look notes how the spool does, for those who ask.
func (d *Door) look(ctx context.Context) {
	if time.Since(d.drain.at) < drainEvery {
		return
	}
	d.drain.at = time.Now()
	state, err := d.Spool.State(ctx)
	if err != nil {
		d.drain.state.Store(nil)
		return
	}
	d.drain.state.Store(&state)
}

// drainAll starts entries side by side, and answers how the worst of them went,
// and which have to be tried again.
func (d *Door) drainAll(ctx context.Context, entries []ledger.Entry) (worst pace, left []ledger.Entry) {
	paces := make([]pace, len(entries))
	var wg sync.WaitGroup
	for i, entry := range entries {
		wg.Go(func() { paces[i] = d.drainOne(ctx, entry) })
	}
	wg.Wait()
	for i, p := range paces {
		worst = max(worst, p)
		if p == failed {
			left = append(left, entries[i])
		}
	}
	return worst, left
}

func (d *Door) drainOne(ctx context.Context, entry ledger.Entry) pace {
	p, err := unpack(entry)
	switch {
	case errors.Is(err, codec.ErrUnknownKey):
		d.tell(err)
		return inTime
	case err != nil:
		return d.bury(ctx, entry, "", "it cannot be read: "+err.Error())
	case p.Event != nil && d.nobody(*p.Event):
		return d.bury(ctx, entry, p.key(), "no connector is configured for it any more")
	}
	return d.startSpooled(ctx, p, entry)
}

func (d *Door) startSpooled(ctx context.Context, p parcel, entry ledger.Entry) pace {
	bounded, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	a := d.attempt(bounded, p)
	if a == nil {
		return failed
	}
	select {
	case <-a.done:
	case <-bounded.Done(): // it takes too long, or the process stops: the entry is another's
		return failed
	}
	took := time.Since(a.begun)
	switch {
	case forGood(a.err):
		return d.bury(ctx, entry, p.key(), a.err.Error())
	case a.err != nil:
		return failed
	}
	d.settle(context.WithoutCancel(ctx), p, entry)
	if took > StartTimeout {
		return slow
	}
	return inTime
}

// attempt starts a spooled parcel's workflow, or joins the attempt that is under
// way: what a busy Temporal takes late need not be asked of it twice. It answers
// nil where there is no room.
func (d *Door) attempt(ctx context.Context, p parcel) *attempt {
	if a, ok := d.attempts.Load(p.key()); ok {
		return a.(*attempt)
	}
	done, err := d.begin(ctx)
	if err != nil {
		return nil
	}
	return d.launch(ctx, p, drainTimeout, done)
}

// unpack reads what the spool kept.
func unpack(entry ledger.Entry) (p parcel, err error) {
	if entry.Err != nil {
		return p, entry.Err
	}
	if err := json.Unmarshal(entry.Value, &p); err != nil {
		return p, errors.New("it is no event") // the error might quote it
	}
	if p.Event == nil && p.Body == nil {
		return p, errors.New("it is empty")
	}
	return p, nil
}

// bury moves what can never be started to the dead letters.
func (d *Door) bury(ctx context.Context, entry ledger.Entry, key, why string) pace {
	if d.Spool.Bury(ctx, entry, why) != nil {
		return failed
	}
	d.count(Dead)
	d.Log.Error("a spooled event cannot be started: see 'crmsync spool'", "event", key, "entry", entry.ID, "error", why)
	return inTime
}

// tell says once in a while that a key is missing. The entries wait for it.
func (d *Door) tell(err error) {
	d.drain.mu.Lock()
	defer d.drain.mu.Unlock()
	if time.Since(d.drain.told) > tellEvery {
		d.drain.told = time.Now()
		d.Log.Error("spooled events wait for a key that is missing in privacy.keys: put it back", "error", err)
	}
}
