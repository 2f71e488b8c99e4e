package ingress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"crmsync/activities"
	"crmsync/internal/codec"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
	"crmsync/sms"
	"crmsync/workflows"
)

// spoolBench is a bench whose door has a spool, in a redis-server of its own.
type spoolBench struct {
	*bench
	server *devstack.Redis
	counts *counts
	log    *logged
}

// logged is what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSpoolBench(t *testing.T, limits ledger.SpoolLimits) *spoolBench {
	t.Helper()
	b := &spoolBench{bench: newBench(t, twoCRMs), server: devtest.Redis(t), counts: &counts{}, log: &logged{}}
	b.door.Spool = b.open(t, limits, nil)
	b.door.Metrics = b.counts
	b.door.Log = hclog.New(&hclog.LoggerOptions{Output: b.log})
	b.door.breaker.log = b.door.Log
	return b
}

func (b *spoolBench) open(t *testing.T, limits ledger.SpoolLimits, ring *codec.Ring) *ledger.Spool {
	t.Helper()
	spool, err := ledger.OpenSpool(ledger.Options{URL: b.server.URL, Ring: ring}, limits)
	require.NoError(t, err)
	t.Cleanup(func() { _ = spool.Close() })
	return spool
}

var roomy = ledger.SpoolLimits{Events: 1000, Bytes: 1 << 20}

// drain drains until the end of the test.
func (b *spoolBench) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.door.Drain(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func (b *spoolBench) state(t *testing.T) ledger.SpoolState {
	t.Helper()
	state, err := b.door.Spool.State(t.Context())
	require.NoError(t, err)
	return state
}

// empty waits until the spool is.
func (b *spoolBench) empty(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return b.state(t) == ledger.SpoolState{} }, 30*time.Second, 10*time.Millisecond)
}

// counted waits until so much is.
func (b *spoolBench) counted(t *testing.T, want map[SpoolEvent]int) {
	t.Helper()
	require.Eventually(t, func() bool { return maps.Equal(want, b.counts.spoolEvents()) }, 5*time.Second, time.Millisecond)
}

// numbered is the nth of many events.
func numbered(kind sms.Kind, n int) sms.Event {
	e := event(kind)
	e.Message.ID = fmt.Sprintf("msg_%04d", n)
	return e
}

func (b *spoolBench) accept(t *testing.T, e sms.Event) {
	t.Helper()
	answer, err := b.door.Accept(t.Context(), e, true)
	require.NoError(t, err)
	require.Equal(t, Answer{Result: Accepted, Key: e.Key()}, answer)
}

// ids are those of the workflows that were started, in order.
func (b *spoolBench) ids() (ids []string) {
	for _, s := range b.temporal.taken() {
		if signal, ok := s.signal.(activities.ConsentSignal); ok {
			ids = append(ids, signal.Key)
			continue
		}
		ids = append(ids, s.options.ID)
	}
	return ids
}

// TestSpooledThenStarted: whatever comes while Temporal refuses is answered as
// accepted, and started once when it does not any more: as live as it was.
func TestSpooledThenStarted(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	b.temporal.refuse = always(errAway)
	b.temporal.away.Store(true)
	b.drain(t)
	for n, kind := range []sms.Kind{sms.Received, sms.Sent, sms.Delivered, sms.OptOut} {
		b.accept(t, numbered(kind, n))
	}
	quarantined, err := b.door.Quarantine(t.Context(), "main", "why", []byte("{"))
	require.NoError(t, err)
	require.Equal(t, Quarantined, quarantined.Result)
	require.EqualValues(t, 5, b.state(t).Waiting)
	require.NotContains(t, b.read(), "mark_seen", "Redis is told last")
	tried := len(b.ids())
	require.Equal(t, 2, tried, "after a miss only opt-outs are tried")

	b.temporal.change(nil)
	b.temporal.away.Store(false)
	b.empty(t)
	started := b.temporal.taken()[tried:]
	require.ElementsMatch(t, []string{
		"main/msg_0003/sms.optout", "main/msg_0000/sms.received", "main/msg_0001/sms.sent", "main/msg_0002/sms.delivered", quarantined.Key,
	}, b.ids()[tried:])
	for _, s := range started {
		if in, ok := s.input.(workflows.SyncInput); ok {
			require.True(t, in.Live)
			require.Equal(t, workflows.PriorityOf("main", in.Event.Kind, true), s.options.Priority)
		}
	}
	b.counted(t, map[SpoolEvent]int{Spooled: 5, Drained: 5})
	answer, err := b.door.Accept(t.Context(), numbered(sms.Received, 0), true)
	require.NoError(t, err)
	require.Equal(t, Duplicate, answer.Result, "now it is seen")
}

// TestLateStart: a start that is too slow is not made twice: it goes on, and takes
// the event out of the spool when it succeeds.
func TestLateStart(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	hang := make(chan struct{})
	b.temporal.refuse = func(context.Context, int) error { <-hang; return nil }
	begun := time.Now()
	ctx, hungUp := context.WithCancel(t.Context())
	hungUp()
	answer, err := b.door.Accept(ctx, event(sms.Received), true)
	require.NoError(t, err, "a sender that goes away changes nothing")
	require.Equal(t, Accepted, answer.Result)
	require.Less(t, time.Since(begun), 500*time.Millisecond)
	require.EqualValues(t, 1, b.state(t).Waiting)
	close(hang)
	b.empty(t)
	require.Len(t, b.temporal.taken(), 1)
	require.True(t, b.door.Ledger.Seen(t.Context(), event(sms.Received).Key()))
	b.counted(t, map[SpoolEvent]int{Spooled: 1, Drained: 1})
}

// TestPromptAnswer: what Temporal does not take promptly is answered as soon as the
// spool has it, long before Temporal misses its deadline. The best of a few counts:
// the machine may be busy.
func TestPromptAnswer(t *testing.T) {
	t.Parallel()
	best := time.Hour
	for range 5 {
		b := newSpoolBench(t, roomy)
		hang := make(chan struct{})
		b.temporal.refuse = func(context.Context, int) error { <-hang; return nil }
		begun := time.Now()
		b.accept(t, event(sms.Received))
		best = min(best, time.Since(begun))
		close(hang)
		b.empty(t)
		require.Len(t, b.temporal.taken(), 1)
	}
	require.Less(t, best, StartTimeout)
	require.GreaterOrEqual(t, best, promptly)
}

// TestLateStartIsJoined: who drains the spool does not ask a busy Temporal twice.
func TestLateStartIsJoined(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	hang := make(chan struct{})
	b.temporal.refuse = func(context.Context, int) error { <-hang; return nil }
	b.accept(t, numbered(sms.Received, 0))
	require.Eventually(t, b.door.breaker.open, time.Second, time.Millisecond, "the deadline is missed")
	b.accept(t, numbered(sms.Received, 1)) // is not tried
	require.Len(t, b.temporal.taken(), 1)
	b.drain(t)
	require.Eventually(t, func() bool { return len(b.temporal.taken()) == 2 }, 10*time.Second, time.Millisecond)
	close(hang)
	b.empty(t)
	require.Equal(t, []string{numbered(sms.Received, 0).Key(), numbered(sms.Received, 1).Key()}, b.ids())
}

// TestBreaker: after a miss one event a second tries Temporal, until one is in
// time.
func TestBreaker(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, ledger.SpoolLimits{Events: 1 << 20, Bytes: 1 << 30})
	b.temporal.refuse = always(errAway)
	begun := time.Now()
	for n := 0; len(b.temporal.taken()) < 3; n++ { // as fast as it goes
		b.accept(t, numbered(sms.Received, n))
	}
	require.Greater(t, time.Since(begun), 2*missPause)
	tries := len(b.temporal.taken())
	b.accept(t, event(sms.OptOut))
	b.accept(t, event(sms.OptIn))
	require.Len(t, b.temporal.taken(), tries+2, "they are spooled and tried, too")
	b.temporal.refuse = nil
	for n := 0; b.door.breaker.open(); n++ {
		b.accept(t, numbered(sms.Sent, n))
	}
	tried := len(b.temporal.taken())
	for n := range 10 {
		b.accept(t, numbered(sms.Delivered, n))
	}
	require.Len(t, b.temporal.taken(), tried+10)
	require.Equal(t, 1, strings.Count(b.log.String(), "does not take events in time"), "it is said once")
	require.Contains(t, b.log.String(), "takes events in time again")
}

// TestEnoughToDo: what exceeds the starts in flight is spooled at once.
func TestEnoughToDo(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	hang := make(chan struct{})
	b.temporal.refuse = func(context.Context, int) error { <-hang; return nil }
	var running sync.WaitGroup
	for n := range MaxStarts {
		running.Go(func() { _, _ = b.door.Accept(context.Background(), numbered(sms.Sent, n), false) })
	}
	require.Eventually(t, func() bool { return len(b.temporal.taken()) == MaxStarts }, 5*time.Second, time.Millisecond)
	b.accept(t, event(sms.Received))
	require.False(t, b.door.breaker.open(), "that says nothing of Temporal")
	require.Len(t, b.temporal.taken(), MaxStarts)
	close(hang)
	running.Wait()
	b.drain(t)
	b.empty(t)
	require.Len(t, b.temporal.taken(), MaxStarts+1)
}

// TestNeitherTakesIt: where the spool is full or away an event waits for Temporal
// as long as its sender would; only then it is refused.
func TestNeitherTakesIt(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*spoolBench){
		"full": func(b *spoolBench) { b.door.Spool = b.open(t, ledger.SpoolLimits{Events: 0, Bytes: 1 << 20}, nil) },
		"away": func(b *spoolBench) { _ = b.server.Kill() },
		"none": func(b *spoolBench) { b.door.Spool = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSpoolBench(t, roomy)
			spoil(b)
			b.temporal.refuse = func(ctx context.Context, n int) error {
				if n > 0 {
					<-ctx.Done()
					return ctx.Err()
				}
				<-time.After(2 * StartTimeout)
				return nil
			}
			b.accept(t, event(sms.Received))
			require.Len(t, b.temporal.taken(), 1, "the same start was waited for")

			begun := time.Now()
			_, err := b.door.Accept(t.Context(), event(sms.Sent), true)
			require.ErrorIs(t, err, ErrUnavailable)
			require.InDelta(t, Patience, time.Since(begun), float64(time.Second))
			require.Equal(t, 1, b.counts.spoolEvents()[NotSpooled])
			require.Contains(t, b.log.String(), "neither Temporal nor the spool")
			require.NotContains(t, b.log.String(), "5551234")
		})
	}
}

// TestOrder: consent overtakes everything, and the rest goes roughly by age.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	b.door.Hold()
	const n = 200
	for i := range n {
		b.accept(t, numbered(sms.Received, i))
	}
	b.accept(t, numbered(sms.OptOut, n))
	require.Empty(t, b.temporal.taken(), "held: nothing is tried")
	b.door.Release()
	b.drain(t)
	b.empty(t)
	ids := b.ids()
	require.Len(t, ids, n+1)
	require.Less(t, slices.Index(ids, numbered(sms.OptOut, n).Key()), minDrain, "with the first that are started")
	inOrder(t, ids, n)
}

// inOrder sees to it that n texts were started roughly by age.
func inOrder(t *testing.T, ids []string, n int) {
	t.Helper()
	for i := range n {
		require.InDelta(t, i, slices.Index(ids, numbered(sms.Received, i).Key()), maxDrain)
	}
}

// TestOrderAfterFailures: those that failed first are the first once more.
func TestOrderAfterFailures(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	b.door.Hold()
	const n = 100
	for i := range n {
		b.accept(t, numbered(sms.Received, i))
	}
	b.temporal.change(always(errAway))
	b.drain(t)
	require.Eventually(t, func() bool { return len(b.ids()) >= 2*minDrain }, 10*time.Second, 10*time.Millisecond)
	b.temporal.change(nil)
	failed := len(b.ids())
	b.empty(t)
	inOrder(t, b.ids()[failed:], n)
}

// TestSpoolHangs: an event does not wait for a spool that hangs while Temporal
// would take it.
func TestSpoolHangs(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = hangs.Close() })
	b.door.Spool, err = ledger.OpenSpool(ledger.Options{URL: "redis://" + hangs.Addr().String()}, roomy)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.door.Spool.Close() })
	b.door.Hold()
	begun := time.Now()
	b.accept(t, event(sms.Received))
	require.Less(t, time.Since(begun), time.Second)
	require.Len(t, b.temporal.taken(), 1)
}

// TestDeadLetters: what Temporal refuses for what it is, and what nobody can
// read, keeps nothing else from its turn, and can be tried again.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	b.temporal.wrong = map[string]error{numbered(sms.Received, 1).Key(): serviceerror.NewInvalidArgument("Blob data size exceeds limit")}
	b.accept(t, numbered(sms.Received, 1))
	require.False(t, b.door.breaker.open(), "that says nothing of Temporal")
	_, err := b.door.Spool.Add(t.Context(), ledger.EventStream, []byte("no event"))
	require.NoError(t, err)
	foreign := numbered(sms.Received, 2)
	foreign.Account = "gone"
	_, err = b.door.spool(t.Context(), parcel{At: time.Now(), Event: &foreign})
	require.NoError(t, err)
	_, err = b.door.spool(t.Context(), parcel{At: time.Now(), Event: new(numbered(sms.Received, 3))})
	require.NoError(t, err)
	b.drain(t)
	require.Eventually(t, func() bool { s := b.state(t); return s.Waiting == 0 && s.Dead == 3 }, 10*time.Second, 10*time.Millisecond)
	dead, err := b.door.Spool.Dead(t.Context(), 10)
	require.NoError(t, err)
	require.Contains(t, dead[0].Why+dead[1].Why+dead[2].Why, "Blob data size exceeds limit")
	require.Eventually(t, func() bool { return b.counts.spoolEvents()[Dead] == 3 }, 5*time.Second, time.Millisecond)

	b.temporal.mu.Lock()
	b.temporal.wrong = nil
	b.temporal.mu.Unlock()
	for _, e := range dead {
		if key, _ := SpooledKey(e); key == numbered(sms.Received, 1).Key() {
			_, err = b.door.Spool.Revive(t.Context(), e.ID)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool { s := b.state(t); return s.Waiting == 0 && s.Dead == 2 }, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return b.counts.spoolEvents()[Drained] == 2 }, 5*time.Second, time.Millisecond)
}

// TestKeyIsMissing: what was sealed with a key that is not there waits for it,
// and nothing else does.
func TestKeyIsMissing(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	ring, err := codec.NewRing([][]byte{bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	sealing := *b.door
	sealing.Spool = b.open(t, roomy, ring)
	for n := range 3 {
		_, err = sealing.spool(t.Context(), parcel{At: time.Now(), Event: new(numbered(sms.Received, n))})
		require.NoError(t, err)
	}
	_, err = b.door.spool(t.Context(), parcel{At: time.Now(), Event: new(numbered(sms.Sent, 0))})
	require.NoError(t, err)
	b.drain(t)
	require.Eventually(t, func() bool { return b.state(t).Waiting == 3 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{numbered(sms.Sent, 0).Key()}, b.ids())
	require.Zero(t, b.state(t).Dead)
	require.Equal(t, 1, strings.Count(b.log.String(), "wait for a key that is missing"), "it is said once")
}

// TestSpooledLongAgo: what an old copy of Redis brings back is not written
// blindly; a person who waits for it still does.
func TestSpooledLongAgo(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	_, err := b.door.spool(t.Context(), parcel{At: time.Now().Add(-liveFor), Event: new(event(sms.Received))})
	require.NoError(t, err)
	b.drain(t)
	b.empty(t)
	s := b.temporal.taken()[0]
	require.False(t, s.input.(workflows.SyncInput).Live)
	require.Equal(t, workflows.PriorityOf("main", sms.Received, true), s.options.Priority)
}

// TestDrainWaits: while Temporal is away nothing is taken; what it fails for is
// tried again and again, and the others go on.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	b := newSpoolBench(t, roomy)
	b.temporal.away.Store(true)
	b.temporal.wrong = map[string]error{numbered(sms.Received, 1).Key(): errors.New("internal error")}
	b.door.breaker.missed(&attempt{done: make(chan struct{})})
	b.accept(t, numbered(sms.Received, 1))
	b.drain(t)
	require.Eventually(t, func() bool { s, known := b.door.SpoolState(); return known && s.Waiting == 1 }, 5*time.Second, time.Millisecond)
	require.Empty(t, b.ids())
	b.temporal.away.Store(false)
	for n := range 2 {
		_, err := b.door.spool(t.Context(), parcel{At: time.Now(), Event: new(numbered(sms.Sent, n))})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return b.counts.spoolEvents()[Drained] == n+1 }, 10*time.Second, 10*time.Millisecond)
	}
	require.Greater(t, len(b.ids()), 3, "it was tried more than once")
	require.EqualValues(t, 1, b.state(t).Waiting)
}

// TestBreakerLearns how many starts at a time are in good time: each miss halves
// them, each success allows one more.
func TestBreakerLearns(t *testing.T) {
	t.Parallel()
	b := newBreaker(hclog.NewNullLogger())
	allowed := func() (n int) {
		for n < 2*MaxStarts && b.allow(false) {
			n++
		}
		for range n {
			b.ended()
		}
		return n
	}
	failed := &attempt{done: make(chan struct{})}
	pass := func() { b.passed(&attempt{begun: time.Now()}) }
	require.Equal(t, MaxStarts, allowed())
	for _, want := range []int{MaxStarts/2 + 1, MaxStarts/4 + 1} {
		b.missed(failed)
		b.missed(failed) // of the same moment
		b.passed(failed)
		require.Zero(t, allowed(), "what began before tells nothing")
		pass()
		require.Equal(t, want, allowed())
	}
	for range 10 {
		b.missed(failed)
		pass()
	}
	require.Equal(t, 2, allowed(), "never none")
	for range 2 * MaxStarts {
		pass()
	}
	require.Equal(t, MaxStarts, allowed())
}
