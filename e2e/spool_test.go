package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/ingress"
)

// The long forms are those of `make spool`.
var (
	outage      = seconds("CRMSYNC_E2E_OUTAGE", 4*time.Second) // how long Temporal is away
	outageRate  = number("CRMSYNC_E2E_RATE", 50)               // webhooks per second meanwhile
	burstEvents = number("CRMSYNC_E2E_BURST", 500)
)

const (
	// ackedWithin is how soon each webhook is answered while Temporal is away.
	ackedWithin = 500 * time.Millisecond
	// ackedBurst is the 99th percentile of a long burst, on a machine of one's own.
	ackedBurst = 250 * time.Millisecond
	longBurst  = 10_000
	// burstPosters is how many connections the client of a burst has.
	burstPosters = 32
	// displaced is how far a spooled event may be from its place in the order: as
	// many as are started side by side, and what Temporal makes of that.
	displaced = 64
	// trials go before their turn: while Temporal is away one event a second tries
	// it, for ten seconds.
	trials = 12
)

func number(variable string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return usual
}

func seconds(variable string, usual time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(variable)); err == nil {
		return d
	}
	return usual
}

// acks are how long each webhook waited for its answer, which was always 200.
type acks struct {
	mu   sync.Mutex
	took []time.Duration
	not  []string // what else was answered
}

func (a *acks) post(p *process, body []byte) {
	begun := time.Now()
	said, err := p.try(body)
	took := time.Since(begun)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.took = append(a.took, took)
	if err != nil || said.Status != http.StatusOK {
		a.not = append(a.not, fmt.Sprintf("%d %s %v", said.Status, said.Reason, err))
	}
}

// percentile of the answers' times; 1 is the longest.
func (a *acks) percentile(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(a.took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (a *acks) String() string {
	return fmt.Sprintf("%d webhooks, answered in %s (median), %s (p99), %s (at most)", len(a.took),
		a.percentile(.5).Round(time.Millisecond), a.percentile(.99).Round(time.Millisecond), a.percentile(1).Round(time.Millisecond))
}

// nth is the nth of many texts, by so many contacts.
func nth(i int) []byte {
	return inbound(fmt.Sprintf("msg_%05d", i), fmt.Sprintf("+1512556%04d", i%100), fmt.Sprintf("text number %d", i)).json()
}

// openLoop posts so many texts per second, however long an answer takes.
func (p *process) openLoop(rate, n int) *acks {
	a := &acks{}
	var posts sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		posts.Go(func() { a.post(p, nth(i)) })
		<-tick.C
	}
	posts.Wait()
	return a
}

// flood posts n texts as fast as so many connections can.
func (p *process) flood(n int) *acks {
	a := &acks{}
	var posters sync.WaitGroup
	next := make(chan int)
	for range burstPosters {
		posters.Go(func() {
			for i := range next {
				a.post(p, nth(i))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	posters.Wait()
	return a
}

// delivered waits until all of n texts are in the CRM, and sees to it that none
// is twice.
func (st *stack) delivered(n int, within time.Duration) {
	st.t.Helper()
	eventually(st.t, within, "all texts are delivered", func() bool { return len(st.crm.Messages()) >= n })
	require.Len(st.t, st.crm.Messages(), n)
	require.Empty(st.t, st.crm.Doubles())
	require.Empty(st.t, st.crm.ContactDoubles())
}

// spooled is how many events the daemon says that there are in the spool.
func (p *process) spooled() int64 {
	detail := p.detail()
	if detail.Spool == nil {
		return -1
	}
	return detail.Spool.Waiting
}

// drained waits until Temporal has everything that was accepted.
func (p *process) drained() {
	p.st.t.Helper()
	eventually(p.st.t, time.Minute+10*outage+time.Duration(burstEvents)*50*time.Millisecond, "the spool is empty", func() bool { return p.spooled() == 0 })
}

// known sees to it that a webhook is told that its event was accepted before. One
// that Temporal takes too long for is spooled, and told once more that it is
// accepted.
func (p *process) known(body []byte, when string) {
	p.st.t.Helper()
	eventually(p.st.t, time.Minute, "it is a duplicate "+when, func() bool { return p.post(body).Result == "duplicate" })
}

// TestSpoolWhileTemporalIsAway kills Temporal under load: every webhook is answered
// at once, and all that came is delivered once when it is back, the oldest first.
func TestSpoolWhileTemporalIsAway(t *testing.T) { //nolint:paralleltest // it measures, and wants the machine for itself
	st := newStack(t, setup{temporal: ownTemporal(t, "")})
	p := st.daemon()
	require.NoError(t, st.temporal.Kill())
	n := int(outage.Seconds() * float64(outageRate))
	a := p.openLoop(outageRate, n)
	t.Logf("Temporal away for %s: %s", outage, a)
	require.Empty(t, a.not)
	require.LessOrEqual(t, a.percentile(1), ackedWithin)
	require.True(t, p.isReady(), "events can be taken durably")
	require.False(t, p.detail().Temporal)

	begun := time.Now()
	require.NoError(t, st.temporal.Restart(t.Context()))
	p.drained()
	t.Logf("%d texts started within %s of the restart", n, time.Since(begun).Round(time.Millisecond))
	st.delivered(n, time.Minute+20*outage)
	t.Logf("%d texts delivered within %s of the restart", n, time.Since(begun).Round(time.Millisecond))
	st.startedInOrder(n)
}

// startedInOrder sees to it that the oldest of the texts were started first, by
// some hundreds of them.
func (st *stack) startedInOrder(n int) {
	st.t.Helper()
	type start struct {
		came int
		at   time.Time
	}
	var starts []start
	step := max(1, n/500)
	for came := 0; came < n; came += step {
		described, err := st.client.DescribeWorkflowExecution(st.t.Context(), fmt.Sprintf("main/msg_%05d/sms.received", came), "")
		require.NoError(st.t, err)
		starts = append(starts, start{came, described.GetWorkflowExecutionInfo().GetStartTime().AsTime()})
	}
	slices.SortFunc(starts, func(a, b start) int { return a.at.Compare(b.at) })
	var ahead []int
	for i, s := range starts {
		turn := i * step
		require.LessOrEqual(st.t, turn, s.came+displaced+step, "text %d is late", s.came)
		if s.came > turn+displaced+step {
			ahead = append(ahead, s.came)
		}
	}
	require.LessOrEqual(st.t, len(ahead), trials, "%v", ahead)
}

// TestSpoolOutlivesItsProcess kills the daemon while it drains: another one goes
// on with what it had in hand. Neither has Temporal nor Redis to be asked twice.
func TestSpoolOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until what a dead process had in hand is taken over: 10 s")
	}
	st := newStack(t, setup{temporal: ownTemporal(t, "")})
	p := st.daemon()
	require.NoError(t, st.temporal.Kill())
	const n = 300
	require.Empty(t, p.flood(n).not)
	require.NoError(t, st.temporal.Restart(t.Context()))
	eventually(t, time.Minute, "it drains", func() bool { return len(st.crm.Messages()) > n/20 })
	p.kill()
	t.Logf("killed with %d of %d texts delivered", len(st.crm.Messages()), n)
	other := st.daemon()
	st.delivered(n, 2*time.Minute)
	other.drained()
}

// TestBothAway: only when neither Temporal nor Redis takes an event it is refused,
// and the process is not ready.
func TestBothAway(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{temporal: ownTemporal(t, "")})
	p := st.daemon()
	require.NoError(t, st.temporal.Kill())
	require.NoError(t, st.redis.Kill())
	status, retryAfter, took := p.timed(t, nth(0))
	t.Logf("refused after %s", took)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "5", retryAfter)
	require.GreaterOrEqual(t, took, ingress.Patience-time.Second)
	require.Less(t, took, 5*time.Second) // 2 s, and what a busy machine adds
	require.False(t, p.isReady())

	require.NoError(t, st.redis.Start(context.WithoutCancel(t.Context())))
	eventually(t, time.Minute, "the spool is enough", p.isReady)
	p.accepted(nth(0))
	require.NoError(t, st.temporal.Restart(t.Context()))
	st.delivered(1, time.Minute)
}

// TestBurst posts far more than Temporal takes per second, as fast as it can: all
// is answered at once, and nothing is lost.
func TestBurst(t *testing.T) { //nolint:paralleltest // it measures, and wants the machine for itself
	st := newStack(t, setup{})
	p := st.daemon()
	begun := time.Now()
	a := p.flood(burstEvents)
	t.Logf("posted within %s: %s; %d spooled", time.Since(begun).Round(time.Millisecond), a, p.spooled())
	require.Empty(t, a.not)
	if burstEvents >= longBurst {
		require.LessOrEqual(t, a.percentile(.99), ackedBurst)
	}
	p.drained()
	t.Logf("started within %s", time.Since(begun).Round(time.Millisecond))
	st.delivered(burstEvents, time.Minute+time.Duration(burstEvents)*100*time.Millisecond)
	t.Logf("delivered within %s", time.Since(begun).Round(time.Millisecond))
}
