package connectortest

import (
	"context"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// maxPositions bounds the requests of one call that are made to fail in turn.
const maxPositions = 8

// faultCases are every verb under every trouble, at each of its requests.
func faultCases(h Harness) []testCase {
	var cases []testCase
	for _, v := range verbs() {
		for _, t := range troubles(h) {
			if t.fits == nil || t.fits(v) {
				cases = append(cases, testCase{caseName(v.name, t.name), v.needs, func(b *bench) { troubled(b, v, t) }})
			}
		}
		cases = append(cases,
			testCase{caseName(v.name, "context ended before"), v.needs, func(b *bench) { endedBefore(b, v) }},
			testCase{caseName(v.name, "context ended while waiting"), v.needs, func(b *bench) { endedWaiting(b, v) }},
		)
	}
	return cases
}

// troubled makes each request of the call fail in turn, on a fresh fake each.
func troubled(b *bench, v verb, t trouble) {
	positions := 1
	if !t.first {
		positions = min(b.requestsOf(v), maxPositions)
	}
	for n := 1; n <= positions; n++ {
		s := b.open()
		// Before the account is prepared: Check may refuse a bare one.
		halfway := n > 1 && v.again && s.class() != connectors.ClassD
		c := v.prepare(s)
		s.wire.fail(n, t.make())
		out := c.run()
		seen := s.wire.heal()
		require.GreaterOrEqual(s, len(seen), n, "the call made fewer requests than before")
		s.oneAttempt(seen, n)
		s.judge(t, c, out, hit{seen[n-1].reads, n == 1, halfway})
		c.settle(out)
	}
}

// requestsOf counts the requests of a call that goes well.
func (b *bench) requestsOf(v verb) int {
	b.Helper()
	s := b.open()
	c := v.prepare(s)
	s.wire.fail(0, nil)
	s.fine(c.run())
	n := len(s.wire.heal())
	require.Positive(s, n, "the call made no request through Env.Client")
	return n
}

// oneAttempt requires that the request that failed was not sent again.
func (s *session) oneAttempt(seen []request, n int) {
	s.Helper()
	for _, later := range seen[n:] {
		require.NotEqual(s, seen[n-1].fingerprint, later.fingerprint, "the connector repeats a request by itself")
	}
}

// hit says which request a trouble met.
type hit struct {
	reads bool
	first bool
	// halfway: others went well before it, and the call can be repeated.
	halfway bool
}

// judge compares the outcomes with what went wrong and what really happened.
func (s *session) judge(t trouble, c call, out []connectors.Outcome, hit hit) {
	s.Helper()
	failed, doubtful := 0, 0
	for i, o := range out {
		happened := c.done != nil && c.done(i)
		if o.State == connectors.Written || o.State == connectors.Existed {
			require.True(s, c.done == nil || happened, "item %d is said to be %s, and is not there", i, o.State)
		}
		if o.State != connectors.Failed {
			continue
		}
		failed++
		require.Contains(s, t.kinds, o.Err.Kind, "item %d: kind of %v", i, o.Err)
		require.Equal(s, t.retryAfter, o.Err.RetryAfter, "item %d: RetryAfter", i)
		require.True(s, o.Err.Ambiguous || !happened || hit.halfway, "item %d happened, and the error is not ambiguous: %v", i, o.Err)
		if o.Err.Ambiguous {
			doubtful++
		}
	}
	require.Positive(s, failed, "a request failed, and nobody is told: %+v", out)
	switch {
	case c.done == nil:
		require.Zero(s, doubtful, "a read that is ambiguous")
	case t.doubt == ambiguous && !hit.reads:
		require.Positive(s, doubtful, "a write whose end nobody knows must be ambiguous")
	case t.doubt == undone && hit.first:
		require.Zero(s, doubtful, "nothing was written, so nothing is ambiguous")
	}
}

// promptly bounds a call whose context has ended.
const promptly = 5 * time.Second

func endedBefore(b *bench, v verb) {
	s := b.open()
	c := v.prepare(s)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	s.endsPromptly(ctx, c)
	for i := range s.h.batchSize() {
		require.False(s, c.done != nil && v.items && c.done(i), "item %d was written after the context had ended", i)
	}
}

func endedWaiting(b *bench, v verb) {
	s := b.open()
	c := v.prepare(s)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.wire.fail(1, func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	s.endsPromptly(ctx, c)
}

func (s *session) endsPromptly(ctx context.Context, c call) {
	s.Helper()
	whole := s.ctx
	s.ctx = ctx
	start := time.Now()
	out := c.run()
	s.ctx = whole
	require.Less(s, time.Since(start), promptly, "the call went on after its context had ended")
	failed := 0
	for i, o := range out {
		require.Contains(s, []connectors.State{connectors.Failed, connectors.NotAttempted}, o.State, "item %d", i)
		if o.State == connectors.Failed {
			failed++
			require.False(s, o.Err.Kind.Permanent(), "item %d: a context that ended is no verdict of the CRM: %v", i, o.Err)
		}
	}
	require.Positive(s, failed, "the context ended, and nobody is told")
}
