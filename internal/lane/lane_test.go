package lane_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/lane"
	"crmsync/sms"
)

// crm is a connector that keeps count. It takes latency for each call.
type crm struct {
	latency time.Duration

	mu      sync.Mutex
	down    *connectors.Error // what every call fails with
	poison  string            // a key that has the whole batch refused
	vague   string            // a key that is refused, and others with it, which are named no better
	skip    string            // a key at which a batch breaks off the first time
	panics  bool
	short   bool
	calls   []int // the sizes of batches
	checks  int
	written map[string]int
}

func (c *crm) begin(n int) *connectors.Error {
	time.Sleep(c.latency) //nolint:forbidigo // in the bubble's own time
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, n)
	if c.panics {
		panic("a defect of the connector")
	}
	return c.down
}

func (c *crm) Check(context.Context) (connectors.Capabilities, error) {
	time.Sleep(c.latency) //nolint:forbidigo // in the bubble's own time
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks++
	if c.down != nil {
		return connectors.Capabilities{}, c.down
	}
	return connectors.CapabilitiesOf(c, connectors.ClassB), nil
}

func (c *crm) PutMessages(_ context.Context, records []connectors.Record) []connectors.Outcome {
	if err := c.begin(len(records)); err != nil {
		return connectors.FailAll(len(records), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.short {
		return nil
	}
	if slices.ContainsFunc(records, func(r connectors.Record) bool { return r.Key == c.poison }) {
		return connectors.FailAll(len(records), &connectors.Error{Op: "put", Kind: connectors.Invalid, WholeBatch: len(records) > 1})
	}
	out := make([]connectors.Outcome, len(records))
	broken := false
	blamed := 0
	if slices.ContainsFunc(records, func(r connectors.Record) bool { return r.Key == c.vague }) {
		blamed = min(5, len(records))
	}
	for i, r := range records {
		if r.Key == c.vague || i < blamed && len(records) > 1 {
			out[i] = connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: "put", Kind: connectors.Invalid, WholeBatch: len(records) > 1}}
			continue
		}
		if broken = broken || r.Key == c.skip && c.skip != ""; broken {
			out[i].State = connectors.NotAttempted
			continue
		}
		c.written[r.Key]++
		out[i] = connectors.Outcome{State: connectors.Written, Ref: connectors.Ref{ID: "of " + r.Key}}
	}
	if broken {
		c.skip = ""
	}
	return out
}

func (c *crm) FindContacts(_ context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
	if err := c.begin(len(phones)); err != nil {
		return nil, err
	}
	out := make([][]connectors.Contact, len(phones))
	for i, p := range phones {
		out[i] = []connectors.Contact{{Name: string(p)}}
	}
	return out, nil
}

func (c *crm) FindOwners(_ context.Context, emails []string) ([]string, error) {
	if err := c.begin(len(emails)); err != nil {
		return nil, err
	}
	if c.short {
		return nil, nil
	}
	out := make([]string, len(emails))
	for i, email := range emails {
		out[i] = "of " + email
	}
	return out, nil
}

func (c *crm) set(change func(*crm)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *crm) sizes() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

const batch = 100

func newCRM() *crm { return &crm{latency: 100 * time.Millisecond, written: map[string]int{}} }

// newLane is one to a CRM that counts requests, though it allows plenty.
func newLane(c *crm, board lane.Board) *lane.Lane {
	return lane.New(lane.Options{
		Name: "crm", Connector: c, Board: board,
		Definition: connectors.Definition{
			Name: "test", MaxBatch: batch, CallTimeout: 10 * time.Second,
			Limits: []connectors.Limit{{Name: "burst", Amount: 1000, Window: time.Second}},
		},
	})
}

func record(key string) connectors.Record { return connectors.Record{Key: key} }

// putAll puts n texts at once and answers the outcomes by key.
func putAll(ctx context.Context, l *lane.Lane, n int) map[string]connectors.Outcome {
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		out = map[string]connectors.Outcome{}
	)
	for i := range n {
		key := fmt.Sprintf("k%03d", i)
		wg.Go(func() {
			o, err := l.PutMessage(ctx, record(key))
			if err != nil {
				o = connectors.Outcome{State: connectors.NotAttempted}
			}
			mu.Lock()
			defer mu.Unlock()
			out[key] = o
		})
	}
	wg.Wait()
	return out
}

// An idle lane calls at once; what comes meanwhile makes up full batches, and
// each item gets its own result.
func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		begun := time.Now()
		_, err := l.PutMessage(t.Context(), record("alone"))
		require.NoError(t, err)
		require.Equal(t, c.latency, time.Since(begun), "no waiting for company")

		out := putAll(t.Context(), l, 450)
		for key, o := range out {
			require.Equal(t, "of "+key, o.Ref.ID)
		}
		sizes := c.sizes()
		require.LessOrEqual(t, len(sizes), 1+6, "sizes %v", sizes)
		require.Equal(t, batch, slices.Max(sizes))
		require.Len(t, c.written, 451)
	})
}

// Where nobody counts requests and calls are quick, what arrives does not wait for
// the one call that is under way.
func TestTwoQuickCallsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		c.latency = 20 * time.Millisecond
		l := lane.New(lane.Options{
			Name: "crm", Connector: c, Definition: connectors.Definition{Name: "test", MaxBatch: batch, CallTimeout: 10 * time.Second},
		})
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { _, _ = l.PutMessage(t.Context(), record(fmt.Sprint(i))) })
			synctest.Wait()
		}
		wg.Wait()
		require.Equal(t, []int{1, 1, 98}, c.sizes())
		require.Equal(t, 2*c.latency, time.Since(begun))
	})
}

// One poisoned item of a hundred costs at most 15 calls more, and fails alone.
func TestPoisonStandsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, poison := range []string{"k000", "k037", "k099"} {
			c := newCRM()
			c.poison = poison
			l := newLane(c, nil)
			out := putAll(t.Context(), l, 100)
			for key, o := range out {
				require.Equal(t, key == poison, o.State == connectors.Failed, key)
			}
			require.Len(t, c.written, 99)
			for key, times := range c.written {
				require.Equal(t, 1, times, key)
			}
			require.LessOrEqual(t, len(c.sizes()), 2+15, "sizes %v", c.sizes())
		}
	})
}

// Those of a batch that are refused together, and not one by one, are halved too.
func TestVagueRefusalOfSome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, vague := range []string{"k000", "k050"} {
			c := newCRM()
			c.vague = vague
			for key, o := range putAll(t.Context(), newLane(c, nil), 100) {
				require.Equal(t, key == vague, o.State == connectors.Failed, key)
			}
			require.Len(t, c.written, 99)
			for key, times := range c.written {
				require.Equal(t, 1, times, key)
			}
			require.LessOrEqual(t, len(c.sizes()), 15, "sizes %v", c.sizes())
		}
	})
}

// What a call was not about goes again, once, without a split.
func TestNotAttempted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		c.skip = "k050"
		out := putAll(t.Context(), newLane(c, nil), 100)
		for key, o := range out {
			require.Equal(t, connectors.Written, o.State, key)
			require.Equal(t, 1, c.written[key], key)
		}
		require.LessOrEqual(t, len(c.sizes()), 4)
	})
}

// A defect of a connector fails the calls and not the process, and the items
// may have been written.
func TestDefectsOfAConnector(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*crm){
		"panic": func(c *crm) { c.panics = true }, "too few outcomes": func(c *crm) { c.short = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &crm{written: map[string]int{}}
			change(c)
			o, err := newLane(c, nil).PutMessage(t.Context(), record("k"))
			require.NoError(t, err)
			require.Equal(t, connectors.Failed, o.State)
			require.True(t, o.Err.Ambiguous)
			require.Equal(t, connectors.Unknown, o.Err.Kind)
		})
	}
}

// An item whose caller has gone, or has too little time left, is not sent; one
// that was sent is waited for.
func TestNothingIsWrittenAfterItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		c.latency = time.Second
		l := newLane(c, nil)
		short, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err := l.PutMessage(short, record("short"))
		require.ErrorIs(t, err, lane.ErrGivenBack)

		var wg sync.WaitGroup
		wg.Go(func() { _, _ = l.PutMessage(t.Context(), record("first")) })
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := l.PutMessage(gone, record("gone"))
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		require.Equal(t, map[string]int{"first": 1}, c.written)

		sent, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			o, err := l.PutMessage(sent, record("sent"))
			require.NoError(t, err)
			require.Equal(t, connectors.Written, o.State)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		require.Equal(t, 1, c.written["sent"])
	})
}

// A lane that stops gives back at once what was not sent.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		c.latency = 20 * time.Second
		l := newLane(c, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			o, err := l.PutMessage(t.Context(), record("under way"))
			require.NoError(t, err)
			require.Equal(t, connectors.Written, o.State)
		})
		synctest.Wait()
		begun := time.Now()
		var waiting sync.WaitGroup
		for i := range 5 {
			waiting.Go(func() {
				_, err := l.PutMessage(t.Context(), record(fmt.Sprint(i)))
				require.ErrorIs(t, err, lane.ErrGivenBack)
			})
		}
		synctest.Wait()
		l.Stop()
		waiting.Wait()
		require.Zero(t, time.Since(begun))
		wg.Wait()
		_, err := l.PutMessage(t.Context(), record("late"))
		require.ErrorIs(t, err, lane.ErrGivenBack)
	})
}

// board is Redis's part, in memory.
type board struct {
	mu    sync.Mutex
	state []byte
	until time.Time
	probe time.Time
	posts int
}

func (b *board) ReadGate(context.Context, string) ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, time.Now().Before(b.until)
}

func (b *board) PostGate(_ context.Context, _ string, state []byte, ttl time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.until = state, time.Now().Add(ttl)
	b.posts++
}

func (b *board) WinProbe(_ context.Context, _ string, ttl time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.probe) {
		return false
	}
	b.probe = time.Now().Add(ttl)
	return true
}

var unavailable = &connectors.Error{Op: "put", Kind: connectors.Unavailable, Err: errors.New("503")}

// TestOutage has a CRM down for ten minutes under a steady stream of texts at
// two processes: few requests reach it, nothing fails twice, and texts flow
// within five seconds of its recovery.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		shared := &board{}
		lanes := []*lane.Lane{newLane(c, shared), newLane(c, shared)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, l := range lanes {
			go l.Run(ctx)
		}
		c.set(func(c *crm) { c.down = unavailable })
		recovery := time.Now().Add(10 * time.Minute)
		var wg sync.WaitGroup
		var failures atomic.Int32
		for i := range 1000 {
			wg.Go(func() {
				for {
					o, err := lanes[i%2].PutMessage(ctx, record(fmt.Sprintf("k%d", i)))
					require.NoError(t, err)
					if o.State == connectors.Written {
						return
					}
					failures.Add(1)
				}
			})
			time.Sleep(time.Second / 2) //nolint:forbidigo // in the bubble's own time
		}
		time.Sleep(time.Until(recovery)) //nolint:forbidigo // in the bubble's own time
		requests := len(c.sizes()) + c.checks
		require.Equal(t, lane.Paused, lanes[0].State().Phase)
		require.Equal(t, lane.Paused, lanes[1].State().Phase)
		require.Less(t, requests, 200)
		require.Less(t, int(failures.Load()), 100)
		c.set(func(c *crm) { c.down = nil })
		wg.Wait()
		late := time.Since(recovery)
		t.Logf("%d requests and %d failed attempts while it was down; all 1,000 texts delivered %s after it was back", requests, failures.Load(), late)
		require.Less(t, late, 6*time.Second)
		require.Equal(t, lane.Flowing, lanes[0].State().Phase)
		require.Equal(t, lane.Flowing, lanes[1].State().Phase)
	})
}

// A long RetryAfter, and refused credentials, pause at once; the state says why.
func TestWhatPauses(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		err    connectors.Error
		calls  int
		reason string
		after  time.Duration // until it is tried again, at least
	}{
		"unavailable":  {connectors.Error{Kind: connectors.Unavailable}, 3, "UNAVAILABLE", 0},
		"rate limited": {connectors.Error{Kind: connectors.RateLimited}, 3, "RATE_LIMITED", 0},
		"long wait":    {connectors.Error{Kind: connectors.RateLimited, Status: 429, RetryAfter: time.Minute}, 1, "asks to wait", time.Minute},
		"spent budget": {connectors.Error{Kind: connectors.RateLimited, RetryAfter: time.Minute}, 1, "budget is spent", time.Minute},
		"credentials":  {connectors.Error{Kind: connectors.Auth}, 1, "credentials", 10 * time.Second},
		"refused item": {connectors.Error{Kind: connectors.Invalid}, 20, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCRM()
				l := newLane(c, nil)
				go l.Run(t.Context())
				defer l.Stop()
				c.set(func(c *crm) { c.down = &try.err })
				for range try.calls {
					require.Equal(t, lane.Flowing, l.State().Phase)
					o, err := l.PutMessage(t.Context(), record("k"))
					require.NoError(t, err)
					require.Equal(t, connectors.Failed, o.State)
				}
				if try.reason == "" {
					require.Equal(t, lane.Flowing, l.State().Phase)
					return
				}
				require.Equal(t, lane.Paused, l.State().Phase)
				require.Contains(t, l.State().Reason, try.reason)
				c.set(func(c *crm) { c.down = nil })
				paused := time.Now()
				o, err := l.PutMessage(t.Context(), record("k"))
				require.NoError(t, err)
				require.Equal(t, connectors.Written, o.State)
				require.GreaterOrEqual(t, time.Since(paused), try.after)
				require.Less(t, time.Since(paused), try.after+17*time.Second)
			})
		})
	}
}

// A probing gate lets one real item through, and pauses again if that fails.
func TestProbingTakesOneItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		go l.Run(t.Context())
		defer l.Stop()
		c.set(func(c *crm) { c.down = &connectors.Error{Kind: connectors.Auth} })
		putAll(t.Context(), l, 1)
		c.set(func(c *crm) { c.down = nil; c.calls = nil })
		putAll(t.Context(), l, 150)
		require.Equal(t, 1, c.sizes()[0])
		require.Len(t, c.sizes(), 3)
	})
}

// What a dead process has posted ends by itself.
func TestNothingStaysPaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		shared := &board{}
		dead := newLane(c, shared)
		ctx, kill := context.WithCancel(t.Context())
		go dead.Run(ctx)
		c.set(func(c *crm) { c.down = &connectors.Error{Kind: connectors.Auth} })
		_, err := dead.PutMessage(ctx, record("k"))
		require.NoError(t, err)
		time.Sleep(time.Second) //nolint:forbidigo // in the bubble's own time
		kill()
		posted, known := shared.ReadGate(t.Context(), "crm")
		require.True(t, known)
		require.Contains(t, string(posted), "paused")
		c.set(func(c *crm) { c.down = nil })
		l := newLane(c, shared)
		go l.Run(t.Context())
		defer l.Stop()
		begun := time.Now()
		o, err := l.PutMessage(t.Context(), record("k2"))
		require.NoError(t, err)
		require.Equal(t, connectors.Written, o.State)
		require.Less(t, time.Since(begun), 20*time.Second)
	})
}

// Two attempts at the same text at a time make one write; what the first one did
// not send, the second one does.
func TestOneWriteForAKeyAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				o, err := l.PutMessage(t.Context(), record("same"))
				require.NoError(t, err)
				require.Equal(t, "of same", o.Ref.ID)
			})
		}
		wg.Wait()
		require.Equal(t, map[string]int{"same": 1}, c.written)

		wg.Go(func() { _, _ = l.PutMessage(t.Context(), record("under way")) })
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := l.PutMessage(gone, record("k"))
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		wg.Go(func() {
			o, err := l.PutMessage(t.Context(), record("k"))
			require.NoError(t, err)
			require.Equal(t, connectors.Written, o.State)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		require.Equal(t, 1, c.written["k"])
	})
}

// adopter takes over one text at a time, and counts how many it is asked for at
// once.
type adopter struct {
	*crm
	busy, most atomic.Int32
}

func (a *adopter) AdoptMessages(_ context.Context, records []connectors.Record) []connectors.Outcome {
	a.most.Store(max(a.most.Load(), a.busy.Add(1)))
	defer a.busy.Add(-1)
	_ = a.begin(len(records))
	return []connectors.Outcome{{State: connectors.Written, Ref: connectors.Ref{ID: "of " + records[0].Key}}}
}

// Two texts that look alike must not take over the same record.
func TestAdoptionIsOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &adopter{crm: newCRM()}
		l := lane.New(lane.Options{Name: "crm", Connector: a, Definition: connectors.Definition{Name: "test", MaxBatch: 1, CallTimeout: time.Second}})
		var wg sync.WaitGroup
		for i := range 6 {
			key := fmt.Sprint(i / 2)
			wg.Go(func() {
				out, err := l.AdoptMessage(t.Context(), record(key))
				require.NoError(t, err)
				require.Equal(t, "of "+key, out.Ref.ID)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, a.most.Load())
		require.Len(t, a.sizes(), 3, "two attempts at one text share a call")
		l.Stop()
		_, err := l.AdoptMessage(t.Context(), record("late"))
		require.ErrorIs(t, err, lane.ErrGivenBack)
	})
}

// A burst of texts of the same agents costs a call or two.
func TestOwnersAreLookedUpTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		var wg sync.WaitGroup
		for i := range 100 {
			email := fmt.Sprintf("agent%d@example.com", i%10)
			wg.Go(func() {
				id, err := l.FindOwner(t.Context(), email)
				require.NoError(t, err)
				require.Equal(t, "of "+email, id)
			})
		}
		wg.Wait()
		require.LessOrEqual(t, len(c.sizes()), 2)

		c.set(func(c *crm) { c.short = true })
		_, err := l.FindOwner(t.Context(), "agent1@example.com")
		require.Equal(t, connectors.Unknown, connectors.AsError("", err).Kind)
	})
}

// Only a lane that flows in this process, was fast and has no backlog is quick.
func TestQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		quick := func() bool {
			_, ok := l.Quick()
			return ok
		}
		require.False(t, quick(), "nothing is known yet")
		require.False(t, l.QuickConsent())
		_, err := l.Capabilities(t.Context())
		require.NoError(t, err)
		require.False(t, quick(), "it does not run")
		go l.Run(t.Context())
		defer l.Stop()
		synctest.Wait()
		require.True(t, quick())
		require.True(t, l.Idle())
		go putAll(t.Context(), l, 3*batch)
		synctest.Wait()
		require.False(t, quick(), "a backlog")
		require.False(t, l.Idle())
		require.True(t, l.QuickConsent(), "no text stands before an opt-out")
		time.Sleep(time.Second) //nolint:forbidigo // in the bubble's own time
		require.True(t, quick())
		c.set(func(c *crm) { c.latency = 2 * time.Second })
		putAll(t.Context(), l, 1)
		require.False(t, quick(), "slow")
		require.False(t, l.QuickConsent())
		c.set(func(c *crm) { c.latency, c.down = 0, &connectors.Error{Kind: connectors.Auth} })
		putAll(t.Context(), l, 1)
		require.False(t, quick(), "paused")
	})
}

// At a CRM that counts requests, or is slow, a batch waits to fill: under load
// only, and no longer than a call takes.
func TestBatchesFillWhereTheyAreWorthAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, counted := range []bool{false, true} {
			c := newCRM()
			c.latency = 300 * time.Millisecond // slow, so that it is worth it in any case
			d := connectors.Definition{Name: "test", MaxBatch: batch, CallTimeout: 10 * time.Second}
			if counted {
				d.Limits = []connectors.Limit{{Name: "burst", Amount: 100, Window: time.Second}}
			}
			l := lane.New(lane.Options{Name: "crm", Connector: c, Definition: d})
			begun := time.Now()
			_, err := l.PutMessage(t.Context(), record("alone"))
			require.NoError(t, err)
			require.Equal(t, c.latency, time.Since(begun))
			var wg sync.WaitGroup
			for i := range 400 { // 40 a second
				wg.Go(func() {
					begun := time.Now()
					_, err := l.PutMessage(t.Context(), record(fmt.Sprint(i)))
					require.NoError(t, err)
					require.LessOrEqual(t, time.Since(begun), 4*c.latency)
				})
				time.Sleep(25 * time.Millisecond) //nolint:forbidigo // in the bubble's own time
			}
			wg.Wait()
			require.Less(t, len(c.sizes()), 22, "it would be 33 if each went out as the one before it ended")
		}
	})
}

// Few requests are left: each goes out full, as slowly as they come back.
func TestBatchesFillWhereRequestsRunOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := map[bool]int{}
		for _, scarce := range []bool{false, true} {
			c := newCRM()
			c.latency = 20 * time.Millisecond
			l := lane.New(lane.Options{
				Name: "crm", Connector: c, Scarce: func() bool { return scarce },
				Definition: connectors.Definition{
					Name: "test", MaxBatch: batch, CallTimeout: 10 * time.Second,
					Limits: []connectors.Limit{{Name: "burst", Amount: 5, Window: 10 * time.Second}},
				},
			})
			var wg sync.WaitGroup
			for i := range 400 { // 100 a second
				wg.Go(func() {
					_, err := l.PutMessage(t.Context(), record(fmt.Sprint(i)))
					require.NoError(t, err)
				})
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // in the bubble's own time
			}
			wg.Wait()
			calls[scarce] = len(c.sizes())
		}
		t.Logf("400 texts in %d calls, and in %d where requests run out", calls[false], calls[true])
		require.LessOrEqual(t, calls[true], 400/batch+3)
		require.Greater(t, calls[false], 2*calls[true])
	})
}

// A connector that panics in the one call of a probing lane does not leave it
// probing for ever.
func TestPanicWhileProbing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCRM()
		l := newLane(c, nil)
		go l.Run(t.Context())
		defer l.Stop()
		c.set(func(c *crm) { c.down = &connectors.Error{Kind: connectors.Auth} })
		putAll(t.Context(), l, 1)
		c.set(func(c *crm) { c.down, c.panics = nil, true })
		o, err := l.PutMessage(t.Context(), record("panics"))
		require.NoError(t, err)
		require.True(t, o.Err.Ambiguous)
		c.set(func(c *crm) { c.panics = false })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		o, err = l.PutMessage(ctx, record("k"))
		require.NoError(t, err)
		require.Equal(t, connectors.Written, o.State)
		require.Equal(t, lane.Flowing, l.State().Phase)
	})
}
