package budget

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
)

const (
	// moment is what a request always waits for those before it, who may only
	// be asking Redis.
	moment = 250 * time.Millisecond
	// Ordinary requests ask a little late, so that urgent ones are the first
	// when a slice ends, and each a little differently, so that processes do not
	// ask all at once.
	minJitter = 5 * time.Millisecond
	maxJitter = 25 * time.Millisecond
)

// lane is the queue of those who wait for the same buckets. Only the first asks.
type lane struct {
	// turn is held by the first. Go hands it over in order of arrival.
	turn chan struct{}

	mu     sync.Mutex
	denial denial
	until  time.Time // when the denial ends
	usual  time.Duration
}

// laneOf answers the queue of those who want the same, with the same right to
// it. No urgent one stands behind others.
func (a *account) laneOf(asks []ask, urgent bool) *lane {
	names := []string{strconv.FormatBool(urgent)}
	for _, k := range asks {
		names = append(names, k.key, strconv.Itoa(k.cap))
	}
	name := strings.Join(names, " ")
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes[name]
	if l == nil {
		l = &lane{turn: make(chan struct{}, 1)}
		a.lanes[name] = l
	}
	return l
}

// wait returns once the request may be sent, and has been paid for, or says why
// it was not sent. latest is when it is too late; the zero time: never.
func (a *account) wait(ctx context.Context, asks []ask, latest time.Time) (receipt, error) {
	if len(asks) == 0 {
		return receipt{}, nil
	}
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	l := a.laneOf(asks, urgent(ctx))
	if err := l.enter(ctx, latest); err != nil {
		return receipt{}, err
	}
	defer func() { <-l.turn }()
	for ctx.Err() == nil {
		d := a.take(ctx, asks)
		if ctx.Err() != nil {
			break
		}
		if l.block(d); d.wait == 0 {
			return l.receipt(d.receipt), nil
		}
		if err := l.tooLate(latest); err != nil {
			return receipt{}, err
		}
		sleep(ctx, d.nap(urgent(ctx)))
	}
	return receipt{}, ended(ctx)
}

// receipt notes what was usual before the request.
func (l *lane) receipt(r receipt) receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.lane, r.usual = l, l.usual
	return r
}

// learn keeps the shortest time from paying until an answer, which grows slowly
// where nothing is that quick any more.
func (l *lane) learn(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.usual == 0 || took < l.usual {
		l.usual = took
		return
	}
	l.usual += (took - l.usual) / 64
}

// nap is how long to wait before asking again.
func (d denial) nap(urgent bool) time.Duration {
	if d.alone {
		d.wait = min(d.wait, retrial)
	}
	if urgent {
		return d.wait
	}
	return d.wait + minJitter + rand.N(maxJitter-minJitter)
}

// enter waits for the turn.
func (l *lane) enter(ctx context.Context, latest time.Time) error {
	select {
	case l.turn <- struct{}{}:
	default:
		if err := l.queue(ctx, latest); err != nil {
			return err
		}
	}
	if err := l.tooLate(latest); err != nil {
		<-l.turn
		return err
	}
	return nil
}

func (l *lane) queue(ctx context.Context, latest time.Time) error {
	if err := l.tooLate(latest); err != nil {
		return err
	}
	var late <-chan time.Time
	if !latest.IsZero() {
		timer := time.NewTimer(max(time.Until(latest), moment))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-late:
		l.mu.Lock()
		defer l.mu.Unlock()
		return refused(cmp.Or(l.denial.limit, "many wait"), max(time.Until(l.until), moment))
	}
}

func (l *lane) block(d denial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denial, l.until = d, time.Now().Add(d.wait)
}

// tooLate refuses whoever cannot wait for as long as the first has to.
func (l *lane) tooLate(latest time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Until(l.until)
	if latest.IsZero() || wait <= 0 || !l.until.After(latest) {
		return nil
	}
	return refused(l.denial.limit, wait)
}

// refused says when to come again, not all at once.
func refused(limit string, wait time.Duration) error {
	return &connectors.Error{
		Op: "wait for the request budget", Kind: connectors.RateLimited, RetryAfter: wait + rand.N(min(wait/10, time.Second)+1),
		Err: fmt.Errorf("not sent: the request budget (%s) is spent for %s", limit, wait.Round(time.Millisecond)),
	}
}

// ended says that the caller gave up. Nothing was sent.
func ended(ctx context.Context) error {
	return &connectors.Error{
		Op: "wait for the request budget", Kind: connectors.Unavailable,
		Err: fmt.Errorf("not sent: %w", ctx.Err()),
	}
}

// sleep waits unless the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
