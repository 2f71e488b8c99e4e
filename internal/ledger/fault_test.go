package ledger_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"crmsync/internal/ledger"
)

// proxy stands between the ledger and Redis and can lose every answer: requests
// go through and take effect, and nobody hears of it. To the ledger that is the
// same as a Redis that hangs.
type proxy struct {
	net.Listener
	target string
	mute   atomic.Bool
	wait   sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: listener, target: target}
	p.wait.Go(p.serve)
	t.Cleanup(func() { _ = p.Close(); p.wait.Wait() })
	return p
}

func (p *proxy) url() string { return "redis://" + p.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.wait.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
		p.wait.Go(func() { p.answer(client, server); _ = client.Close() })
	}
}

func (p *proxy) answer(client io.Writer, server io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if !p.mute.Load() {
			_, _ = client.Write(buf[:n])
		}
	}
}

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// pass moves the clock to the end of the pause after a failure.
func (c *clock) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(ledger.Pause)
}

type fixture struct {
	*ledger.Ledger
	mini  *miniredis.Miniredis
	proxy *proxy
	clock *clock
	ops   *counter
	log   *bytes.Buffer
}

func newFixture(t *testing.T, timeout time.Duration) fixture {
	t.Helper()
	f := fixture{mini: miniredis.RunT(t), clock: &clock{now: time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC)}, ops: &counter{}, log: &bytes.Buffer{}}
	f.proxy = newProxy(t, f.mini.Addr())
	f.Ledger = open(t, ledger.Options{
		URL: f.proxy.url(), Timeout: timeout, OnOp: f.ops.onOp,
		Log: hclog.New(&hclog.LoggerOptions{Output: f.log, DisableTime: true}),
	})
	f.SetClock(f.clock.Now)
	f.Bind("ns1")
	return f
}

func (f fixture) logLines() []string {
	return strings.Split(strings.TrimSpace(f.log.String()), "\n")
}

func TestHangingRedisIsSkipped(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	f := newFixture(t, timeout)
	ctx := t.Context()
	f.proxy.mute.Store(true)

	require.False(t, f.Seen(ctx, eventKey))
	require.False(t, f.State().Up)
	require.Equal(t, f.clock.Now(), f.State().Since)

	start := time.Now()
	for range 1000 {
		require.False(t, f.Seen(ctx, eventKey))
		f.MarkSeen(ctx, eventKey)
		require.False(t, f.WinIntent(ctx, "hubspot", messageKey))
	}
	require.Less(t, time.Since(start), 10*timeout, "skipped calls do not wait")
	require.ErrorIs(t, f.ops.lastOf("seen"), ledger.ErrSkipped)
	require.Empty(t, f.mini.Keys())

	f.clock.pass()
	require.False(t, f.Seen(ctx, eventKey))
	require.NotErrorIs(t, f.ops.lastOf("seen"), ledger.ErrSkipped, "one trial after the pause")
	require.False(t, f.Seen(ctx, eventKey))
	require.ErrorIs(t, f.ops.lastOf("seen"), ledger.ErrSkipped, "and only one")
	require.Equal(t, 1003, f.ops.n["seen"])
	require.Len(t, f.logLines(), 1)
	require.Contains(t, f.log.String(), "[WARN]")
}

func TestRedisComesBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, patient)
	ctx := t.Context()
	f.mini.SetError("LOADING Redis is loading the dataset in memory")
	require.False(t, f.WinIntent(ctx, "hubspot", messageKey))
	require.False(t, f.State().Up)
	require.Contains(t, f.State().LastError, "LOADING")

	f.mini.SetError("")
	require.False(t, f.WinIntent(ctx, "hubspot", messageKey), "still within the pause")
	f.clock.pass()
	require.True(t, f.WinIntent(ctx, "hubspot", messageKey), "the trial that succeeds counts")
	require.True(t, f.State().Up)
	require.Equal(t, f.clock.Now(), f.State().Since)
	f.MarkSeen(ctx, eventKey)
	require.True(t, f.Seen(ctx, eventKey))

	lines := f.logLines()
	require.Len(t, lines, 2, "one line for each change")
	require.Contains(t, lines[1], "[INFO]")
}

// A Redis that is full answers reads: they must not lift what a write found.
func TestFullRedisDoesNotFlap(t *testing.T) {
	t.Parallel()
	f := newFixture(t, patient)
	ctx := t.Context()
	f.mini.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	f.MarkSeen(ctx, eventKey)
	f.mini.SetError("")
	for range 3 {
		f.clock.pass()
		require.False(t, f.Seen(ctx, eventKey))
		require.NoError(t, f.ops.lastOf("seen"))
		require.False(t, f.State().Up)
	}
	f.clock.pass()
	f.MarkSeen(ctx, eventKey)
	require.True(t, f.State().Up)
	require.Len(t, f.logLines(), 2)
}

// The write happened and nobody heard of it: that is doubt, and doubt is false,
// then and ever after.
func TestIntentWhoseAnswerIsLostIsNotWon(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	ctx := t.Context()
	require.NoError(t, f.Ping(ctx), "a connection is there before the answers are lost")
	f.proxy.mute.Store(true)
	require.False(t, f.WinIntent(ctx, "hubspot", messageKey))
	require.Eventually(t, func() bool { return f.mini.Exists("crmsync:ns1:intent:hubspot:" + messageKey) }, patient, time.Millisecond)

	f.proxy.mute.Store(false)
	f.clock.pass()
	require.False(t, f.WinIntent(ctx, "hubspot", messageKey))
	require.NoError(t, f.ops.lastOf("win_intent"), "this time Redis did answer")
	require.True(t, f.State().Up)
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t, patient)
	require.NoError(t, f.proxy.Close())
	ctx := t.Context()
	require.False(t, f.Seen(ctx, eventKey))
	require.False(t, f.State().Up)
	require.Error(t, f.Ping(ctx), "ping tries even when calls are skipped")
	require.False(t, f.WinIntent(ctx, "hubspot", messageKey))
}

func TestManyCallersOfADeadRedis(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 50*time.Millisecond)
	f.proxy.mute.Store(true)
	var all sync.WaitGroup
	var won atomic.Int32
	for range 100 {
		all.Go(func() {
			if f.WinIntent(t.Context(), "hubspot", messageKey) || f.Seen(t.Context(), eventKey) {
				won.Add(1)
			}
		})
	}
	all.Wait()
	require.Zero(t, won.Load())
	require.Len(t, f.logLines(), 1)
}

// A Redis that comes back slowly is not met by everybody at once.
func TestOneTrialAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	f.proxy.mute.Store(true)
	require.False(t, f.Seen(t.Context(), eventKey))
	f.clock.pass()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { f.Seen(t.Context(), eventKey) })
	}
	all.Wait()
	require.Equal(t, 49, f.ops.skipped["seen"])
}

func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.SetError("ERR unknown command 'HELLO', with args beginning with: '2' 'AUTH' 'user' 'pa$$word'; pa$$word")
	var told error
	l := open(t, ledger.Options{URL: "redis://user:pa$$word@" + m.Addr(), OnOp: func(_ string, err error) { told = err }})
	l.Bind("ns1")
	for _, err := range []error{l.Ping(t.Context()), told, errors.New(l.State().LastError)} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "pa$$word")
	}
}
