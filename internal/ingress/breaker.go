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
// deadline. It is safe for concurrent use.
type breaker struct {
	log hclog.Logger

	mu    sync.Mutex
	held  bool      // until somebody says that Temporal may be asked
	since time.Time // zero while closed
	trial time.Time // when open: the next event at or after it tries
}

// allow reports whether a live event may try Temporal.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := time.Now(); {
	case b.held:
		return false
	case b.since.IsZero():
		return true
	case now.Before(b.trial):
		return false
	default:
		b.trial = now.Add(missPause)
		return true
	}
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
		b.since = now
		b.log.Warn("Temporal does not take events in time: they are spooled in Redis, if that takes them", "error", err)
	}
}

// passed notes that Temporal took an event in time.
func (b *breaker) passed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.since.IsZero() {
		b.log.Info("Temporal takes events in time again", "after", time.Since(b.since).Round(time.Millisecond))
		b.since = time.Time{}
	}
}

// forGood reports whether Temporal refused an event for what it is, and always
// will.
func forGood(err error) bool {
	_, invalid := errors.AsType[*serviceerror.InvalidArgument](err)
	return invalid
}
