//go:build linux

package bench

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// side is one of the two that are compared: the floor, or the daemon.
type side struct {
	name    string
	send    func(i int, id string) error // sends the i-th event; nil: it was accepted durably
	arrived *marks                       // when each event reached the CRM
	calls   func() int                   // to the CRM, up to now
	hold    func() (release func())      // lets nothing arrive
	workers []int                        // processes
}

// flight is the way of one event.
type flight struct{ due, acked, arrived time.Time }

// pattern is how events are sent. It calls send for each of n in a goroutine of
// its own, with the instant when it is due, and returns when all are done.
type pattern func(n int, send func(i int, due time.Time))

const (
	// window is how many events are on their way at a time in a closed loop. It
	// is enough to keep two cores busy; many more only wait.
	window = 64
	// posters is how many webhooks are posted at a time where none waits for the
	// delivery of another.
	posters = 32
)

// closedLoop sends the next when one is done.
func closedLoop(n int, send func(int, time.Time)) { parallel(window, n, send) }

func parallel(width, n int, send func(int, time.Time)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(width, n) {
		wg.Go(func() {
			for i := range next {
				send(i, time.Now())
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// onlyAcked sends the next when one has been acknowledged, and does not wait for
// deliveries: a backlog grows.
func onlyAcked(n int, send func(int, time.Time)) { parallel(posters, n, send) }

// openLoop sends so many per second, however long one takes: what is late counts
// as late from when it was due.
func openLoop(rate float64) pattern {
	return func(n int, send func(int, time.Time)) {
		var wg sync.WaitGroup
		defer wg.Wait()
		begun := time.Now()
		for i := range n {
			due := begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			<-time.After(time.Until(due))
			wg.Go(func() { send(i, due) })
		}
	}
}

// flood sends the events and waits until all have arrived. In a closed loop one
// is done then.
func flood(tb testing.TB, s *side, ids []string, p pattern) []flight {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	return fly(tb, s, ids, p, func(f *flight, id string) (err error) {
		f.arrived, err = s.arrived.wait(ctx, id)
		return err
	})
}

// pile sends the events and waits only until all are acknowledged.
func pile(tb testing.TB, s *side, ids []string) []flight {
	tb.Helper()
	return fly(tb, s, ids, onlyAcked, func(*flight, string) error { return nil })
}

func fly(tb testing.TB, s *side, ids []string, p pattern, then func(*flight, string) error) []flight {
	tb.Helper()
	flights, errs := make([]flight, len(ids)), make([]error, len(ids))
	p(len(ids), func(i int, due time.Time) {
		f := &flights[i]
		f.due = due
		errs[i] = s.send(i, ids[i])
		f.acked = time.Now()
		if errs[i] == nil {
			errs[i] = then(f, ids[i])
		}
	})
	for _, err := range errs {
		require.NoError(tb, err)
	}
	return flights
}

// land waits until events that were sent have arrived, and notes when at one
// side.
func land(tb testing.TB, s *side, ids []string, flights []flight) []flight {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	landed := slices.Clone(flights)
	for i, id := range ids {
		var err error
		landed[i].arrived, err = s.arrived.wait(ctx, id)
		require.NoError(tb, err)
	}
	return landed
}
