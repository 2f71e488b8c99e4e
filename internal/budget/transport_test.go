package budget

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/internal/ledger"
)

func request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://crm.invalid/", nil)
	require.NoError(t, err)
	return r
}

func TestBeforeKeepThereAreNoLimits(t *testing.T) {
	t.Parallel()
	require.NoError(t, send(t.Context(), New(newMemory()).Transport("acme", 1, &sender{}), ""))
}

func TestWithoutLimitsNobodyIsAsked(t *testing.T) {
	t.Parallel()
	shared, crm := newMemory(), &sender{}
	none := connectors.Limit{Name: "a", Amount: 1, Window: time.Hour, Cost: func(*http.Request) int { return 0 }}
	for range 3 {
		require.NoError(t, send(t.Context(), keep(t, New(shared), 1, crm, none), ""))
	}
	require.Zero(t, shared.count())
}

func TestACostAboveTheShareGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm := &sender{}
		tokens := connectors.Limit{Name: "tokens", Amount: 20, Window: 2 * time.Second, Cost: func(*http.Request) int { return 20 }}
		transport := keep(t, New(newMemory()), 0.5, crm, tokens)
		require.NoError(t, send(t.Context(), transport, ""))
		begun := time.Now()
		require.NoError(t, send(t.Context(), transport, ""))
		require.Greater(t, time.Since(begun), 2*time.Second)
	})
}

// Waiting for the budget is not the call's time; reading the answer is.
func TestCallTimeoutBeginsAfterTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm := &sender{}
		transport := keep(t, New(newMemory()), 1, crm, connectors.Limit{Name: "a", Amount: 1, Window: time.Minute})
		require.NoError(t, send(t.Context(), transport, ""))
		var sent *http.Request
		crm.answer = func(r *http.Request) (*http.Response, error) {
			sent = r
			return ok(), nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begun := time.Now()
		response, err := transport.RoundTrip(request(t).WithContext(ctx))
		require.NoError(t, err)
		require.Greater(t, time.Since(begun), time.Minute)
		deadline, _ := sent.Context().Deadline()
		require.Equal(t, time.Now().Add(time.Second), deadline)
		require.NoError(t, sent.Context().Err(), "the answer is still read")
		require.NoError(t, response.Body.Close())
		require.ErrorIs(t, sent.Context().Err(), context.Canceled, "and the timer is released")
		crm.answer = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		require.ErrorIs(t, send(ctx, transport, ""), context.DeadlineExceeded)
	})
}

// The toolkit's rules on what may have happened hold with the budget between.
func TestAmbiguityIsPreserved(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	transport := New(newMemory()).Transport("acme", 1, &http.Transport{})
	put := func(base string) *connectors.Error {
		_, err := rest.New(&http.Client{Transport: transport}, base).Do(t.Context(), rest.Request{Op: "put", Method: "POST", Body: "x"})
		e, is := errors.AsType[*connectors.Error](err)
		require.True(t, is)
		require.Equal(t, "put", e.Op)
		return e
	}
	limits := []connectors.Limit{{Name: "a", Amount: 2, Window: time.Hour}}
	transport.Keep(connectors.Definition{CallTimeout: 100 * time.Millisecond, Limits: limits})
	timedOut := put(server.URL)
	<-arrived
	require.True(t, timedOut.Ambiguous, "it was sent")
	require.ErrorIs(t, timedOut, context.DeadlineExceeded)

	closed := httptest.NewServer(nil)
	closed.Close()
	require.False(t, put(closed.URL).Ambiguous, "there was no connection")

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := rest.New(&http.Client{Transport: transport}, server.URL).Do(ctx, rest.Request{Op: "put", Method: "POST", Body: "x"})
	require.Greater(t, limited(t, err), 50*time.Minute)
	require.Equal(t, "put", connectors.AsError("", err).Op)
}

// What took longer than usual may have arrived late, and counts from then.
func TestALateArrivalCountsFromThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		transport := keep(t, New(shared), 1, crm, connectors.Limit{Name: "burst", Amount: 50, Window: 10 * time.Second})
		after := func(d time.Duration) []ledger.Bucket {
			shared.told = nil
			crm.answer = func(*http.Request) (*http.Response, error) { <-time.After(d); return ok(), nil }
			require.NoError(t, send(t.Context(), transport, ""))
			return shared.told
		}
		begun := time.Now()
		told := after(300 * time.Millisecond)
		require.Len(t, told, 1, "nobody knows yet what is usual")
		require.Equal(t, ledger.Correction{Late: 1, Spent: begun}, told[0].Correction)
		require.Empty(t, after(300*time.Millisecond))
		require.Empty(t, after(390*time.Millisecond), "that is within the margin")
		begun = time.Now()
		told = after(time.Second)
		require.Len(t, told, 1)
		require.Equal(t, begun, told[0].Spent)
		require.InDelta(t, 300*time.Millisecond, told[0].Ago, float64(5*time.Millisecond))
		require.Empty(t, after(200*time.Millisecond))
	})
}

func usageOf(h http.Header) []connectors.Usage {
	if h.Get("Left") == "" {
		return nil
	}
	return []connectors.Usage{{Limit: "burst", Remaining: len(h.Get("Left")) - 1, Reset: 3 * time.Second}, {Limit: "unknown"}}
}

// Left: x means 0, xx 1, and so on.
func TestHeadersAreToldWhereTheySayLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		transport := New(shared).Transport("acme", 0.8, crm)
		transport.Keep(connectors.Definition{Limits: []connectors.Limit{five}, Usage: usageOf})
		left := "xxxxx" // 4 of 5, as is known
		crm.answer = func(*http.Request) (*http.Response, error) { return ok("Left", left), nil }
		require.NoError(t, send(t.Context(), transport, ""))
		require.Empty(t, shared.told)
		left = "xxxxxxxx" // more is not believed
		require.NoError(t, send(t.Context(), transport, ""))
		require.Empty(t, shared.told)
		left = "x"
		require.NoError(t, send(t.Context(), transport, ""))
		require.Len(t, shared.told, 1)
		require.Equal(t, ledger.Correction{Said: true, Reset: 3 * time.Second}, shared.told[0].Correction)
		require.Equal(t, 5, shared.told[0].Amount)
		require.Zero(t, shared.told[0].Cost)
		require.Equal(t, time.Now().Add(3*time.Second), transport.State().Buckets[0].Until)
	})
}

func TestARefusalHoldsItsBuckets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"as it says":              {[]string{"Retry-After", "7200"}, 2 * time.Hour},
		"for the shortest window": {nil, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared, crm := newMemory(), &sender{}
				transport := keep(t, New(shared), 1, crm, five,
					connectors.Limit{Name: "hour", Amount: 1000, Window: time.Hour},
					connectors.Limit{Name: "search", Amount: 5, Window: time.Second, Cost: func(*http.Request) int { return 0 }})
				crm.answer = func(*http.Request) (*http.Response, error) {
					r := ok(c.header...)
					r.StatusCode = 429
					return r, nil
				}
				require.NoError(t, send(t.Context(), transport, ""))
				require.Len(t, shared.told, 2, "not the one that does not apply")
				for _, told := range shared.told {
					require.Equal(t, c.want, told.Hold)
				}
				until, exhausted := transport.Exhausted(time.Minute)
				require.Equal(t, c.want > time.Minute, exhausted)
				if exhausted {
					require.Equal(t, time.Now().Add(c.want), until)
				}
				shared.set(true)
				_, allowed := transport.Exhausted(24 * time.Hour)
				require.False(t, allowed)
				begun := time.Now()
				require.NoError(t, send(t.Context(), transport, ""))
				require.GreaterOrEqual(t, time.Since(begun), c.want, "without Redis, too")
			})
		})
	}
}

func TestStateIsWhatIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := keep(t, New(newMemory()), 0.6, &sender{}, five)
		require.Equal(t, State{Account: "acme", Buckets: []Bucket{{Limit: "burst", Amount: 5, Share: 3}}}, transport.State())
		for range 3 {
			require.NoError(t, send(t.Context(), transport, ""))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		limited(t, send(ctx, transport, ""))
		s := transport.State()
		require.Equal(t, 1, s.Processes)
		require.Equal(t, 3, s.Buckets[0].Used)
		require.True(t, s.Buckets[0].Until.After(time.Now().Add(10*time.Second)))
		<-time.After(11 * time.Second)
		require.Equal(t, Bucket{Limit: "burst", Amount: 5, Share: 3}, transport.State().Buckets[0])
	})
}

func TestBodyOfWhatIsNotSentIsClosed(t *testing.T) {
	t.Parallel()
	transport := keep(t, New(newMemory()), 1, &sender{}, connectors.Limit{Name: "a", Amount: 1, Window: time.Hour})
	require.NoError(t, send(t.Context(), transport, ""))
	closed := &closing{Reader: strings.NewReader("{}")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r := request(t).WithContext(ctx)
	r.Body = closed
	_, err := transport.RoundTrip(r) //nolint:bodyclose // there is none
	limited(t, err)
	require.True(t, closed.closed)
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }
