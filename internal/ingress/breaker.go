package ingress

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/api/serviceerror"
)

// missPause is how long live events are kept from a Temporal that has missed its
// deadline; then one of them tries it again.
const missPause = time.Second

// breaker keeps live events from waiting for a Temporal that has just missed its
// deadline, or would miss it if more of them tried: each miss halves how many may
// be under way, each success allows one more. It is safe for concurrent use.
type breaker struct {
	log hclog.Logger

	mu    sync.Mutex
	held  bool      // until somebody says that Temporal may be asked
	since time.Time // zero while closed
	trial time.Time // when open: the next event at or after it tries
	told  time.Time // when the log was told of a miss
	loud  bool      // that is, of the present one
	limit int       // of those that are under way
	under int       // way
}

func newBreaker(log hclog.Logger) *breaker { return &breaker{log: log, limit: MaxStarts} }

// allow reports whether a live event may try Temporal: an urgent one always, unless
// all are held. Who may says when it has
// ended.
func (b *breaker) allow(urgent bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case b.held:
		return false
	case urgent:
	case now.Before(b.trial), b.since.IsZero() && b.under >= b.limit:
		return false
	case !b.since.IsZero():
		b.trial = now.Add(missPause)
	}
	b.under++
	return true
}

// patience is how long an attempt may take before the spool is asked, too. Where
// Temporal has missed its deadline lately it is about to have too much to do, and
// to follow its attempts through the spool would be more.
func (b *breaker) patience() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit < MaxStarts {
		return StartTimeout
	}
	return promptly
}

func (b *breaker) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.under--
}

// open reports whether live events are kept away.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held || !b.since.IsZero()
}

func (b *breaker) hold(held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = held
}

// missed notes that an attempt has failed or takes too long. What is refused for
// what it is says nothing of Temporal.
func (b *breaker) missed(a *attempt) {
	err := errors.New("no answer within " + StartTimeout.String())
	select {
	case <-a.done:
		err = a.err
	default:
	}
	if forGood(err) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.trial = now.Add(missPause)
	if b.since.IsZero() {
		b.since, b.limit = now, max(b.limit/2, 1)
		if b.loud = now.Sub(b.told) > tellEvery; !b.loud {
			return
		}
		b.told = now
		b.log.Warn("Temporal does not take events in time: they are spooled in Redis, if that takes them", "error", err)
	}
}

// passed notes that Temporal took an event in time. What began before a miss tells
// nothing of what came after it.
func (b *breaker) passed(a *attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.begun.Before(b.since) {
		return
	}
	b.limit = min(b.limit+1, MaxStarts)
	if b.since.IsZero() {
		return
	}
	if b.loud {
		b.log.Info("Temporal takes events in time again", "after", time.Since(b.since).Round(time.Millisecond))
	}
	b.since, b.trial = time.Time{}, time.Time{}
}

// forGood reports whether Temporal refused an event for what it is, and always
// will.
func forGood(err error) bool {
	_, invalid := errors.AsType[*serviceerror.InvalidArgument](err)
	return invalid
}
