package budget

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/ledger"
)

// memory is a Redis of its own kind: one window for each bucket, which remembers
// every grant. It may be away.
type memory struct {
	mu      sync.Mutex
	away    bool
	asked   int
	members map[string]bool
	grants  map[string][]grant
	told    []ledger.Bucket // what corrected buckets
}

func newMemory() *memory { return &memory{members: map[string]bool{}, grants: map[string][]grant{}} }

// Take implements Shared.
func (m *memory) Take(ctx context.Context, _, process string, buckets []ledger.Bucket) (ledger.Taken, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.away || ctx.Err() != nil {
		return ledger.Taken{}, false
	}
	m.members[process] = true
	taken := ledger.Taken{At: time.Now(), Processes: len(m.members)}
	for _, b := range buckets {
		if b.Owed > 0 {
			m.grants[b.Key] = append(m.grants[b.Key], grant{time.Now(), b.Owed})
		}
		if b.Said || b.Hold > 0 || b.Late > 0 {
			m.told = append(m.told, b)
		}
		level := m.level(b)
		taken.Wait = max(taken.Wait, level.Wait)
		taken.Buckets = append(taken.Buckets, level)
	}
	for i, b := range buckets {
		if taken.Wait == 0 && b.Cost > 0 {
			m.grants[b.Key] = append(m.grants[b.Key], grant{time.Now(), b.Cost})
			taken.Buckets[i].Own += b.Cost
		}
	}
	return taken, true
}

func (m *memory) level(b ledger.Bucket) (l ledger.Level) {
	window := b.Width * time.Duration(b.Span)
	for _, g := range m.grants[b.Key] {
		left := window - time.Since(g.at)
		if b.Width == 0 && !g.at.Before(b.Midnights[1]) {
			left = time.Until(b.Midnights[2])
		}
		if left > 0 {
			l.Own += g.cost
			if b.Cost > 0 && l.Wait == 0 {
				l.Wait = left
			}
		}
	}
	if l.Own+b.Cost <= b.Cap {
		l.Wait = 0
	}
	return l
}

func (m *memory) set(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// sender is a CRM that answers everything at once and remembers when it was
// asked.
type sender struct {
	mu     sync.Mutex
	sent   []time.Time
	paths  []string
	answer func(*http.Request) (*http.Response, error)
}

func ok(header ...string) *http.Response {
	r := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// RoundTrip implements http.RoundTripper.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent, s.paths = append(s.sent, time.Now()), append(s.paths, r.URL.Path)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	return ok(), nil
}

func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

func (s *sender) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.paths)
}

// within answers how many requests were sent so long ago at most.
func (s *sender) within(d time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.sent {
		if time.Since(at) < d {
			n++
		}
	}
	return n
}

// five in ten seconds.
var five = connectors.Limit{Name: "burst", Amount: 5, Window: 10 * time.Second}

func keep(t *testing.T, b *Budgets, share float64, s http.RoundTripper, limits ...connectors.Limit) *Transport {
	t.Helper()
	transport := b.Transport("acme", share, s)
	transport.Keep(connectors.Definition{Limits: limits, CallTimeout: time.Second})
	return transport
}

func send(ctx context.Context, t *Transport, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://crm.invalid/"+path, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	response, err := t.RoundTrip(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close()
}

// limited requires that the request was refused unsent, and answers for how
// long.
func limited(t *testing.T, err error) time.Duration {
	t.Helper()
	e, is := errors.AsType[*connectors.Error](err)
	require.True(t, is, "%v", err)
	require.Equal(t, connectors.RateLimited, e.Kind)
	require.False(t, e.Ambiguous)
	return e.RetryAfter
}
