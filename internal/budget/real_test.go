package budget_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/budget"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

func onlySearch(r *http.Request) int { return strings.Count(r.URL.Path, "/search") }

func noSearch(r *http.Request) int { return 1 - onlySearch(r) }

// process is one of several that share a CRM account.
type process struct {
	*budget.Transport
	ledger *ledger.Ledger
}

// start makes a process's budget as the daemon does.
func start(tb testing.TB, redisURL string, share float64, o connectortest.Options) process {
	tb.Helper()
	// Other tests may keep this machine from answering for long.
	l, err := ledger.Open(ledger.Options{URL: redisURL, Timeout: 5 * time.Second})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	next := &http.Transport{MaxIdleConnsPerHost: 16}
	tb.Cleanup(next.CloseIdleConnections)
	p := process{budget.New(l).Transport("acme", share, next), l}
	p.Keep(connectortest.Definition(o))
	return p
}

// send makes one request and answers its status.
func (p process) send(ctx context.Context, url string) (int, error) {
	method := http.MethodGet
	if strings.HasSuffix(url, "/search") {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	response, err := p.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// flood sends with so many callers until ctx ends, and answers how many were
// answered well and how many not.
func flood(ctx context.Context, url string, callers int, processes ...process) (sent, refused int) {
	var good, bad atomic.Int64
	var all sync.WaitGroup
	for _, p := range processes {
		for range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					status, err := p.send(ctx, url)
					switch {
					case err != nil:
					case status == 200:
						good.Add(1)
					default:
						bad.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	return int(good.Load()), int(bad.Load())
}

func TestProcessesShareABudgetAndTheCRMNeverRefuses(t *testing.T) {
	t.Parallel()
	limits := []connectors.Limit{
		{Name: "burst", Amount: 40, Window: 2 * time.Second, Cost: noSearch},
		{Name: "search", Amount: 5, Window: time.Second, Cost: onlySearch},
	}
	crm := connectortest.NewCRM(connectortest.CRMOptions{Limits: limits})
	url, redis := crm.Start(t), devtest.Redis(t)
	options := connectortest.Options{Limits: limits}
	one, two := start(t, redis.URL, 1, options), start(t, redis.URL, 1, options)
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
	defer cancel()
	var sent, searched int
	var both sync.WaitGroup
	both.Go(func() { sent, _ = flood(ctx, url+"/check", 8, one, two) })
	both.Go(func() { searched, _ = flood(ctx, url+"/contacts/search", 3, one, two) })
	both.Wait()
	require.Empty(t, crm.Limited(), "the CRM refused")
	// Of 140 and 35 in seven seconds; BenchmarkUse measures it on a machine that
	// does nothing else.
	require.GreaterOrEqual(t, sent, 80)
	require.GreaterOrEqual(t, searched, 15)
	require.Equal(t, 2, one.State().Processes)
}

func TestTheCustomersOtherApplicationsAreLeftAlone(t *testing.T) {
	t.Parallel()
	limits := []connectors.Limit{{Name: "burst", Amount: 40, Window: 2 * time.Second}}
	crm := connectortest.NewCRM(connectortest.CRMOptions{Limits: limits})
	url := crm.Start(t)
	p := start(t, devtest.Redis(t).URL, 0.8, connectortest.Options{Limits: limits})
	require.Equal(t, 30, crm.Spend("burst", 30))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	sent, refused := flood(ctx, url+"/check", 1, p)
	require.Equal(t, 10, sent, "headers tell what others have left")
	require.Zero(t, refused)
	require.Equal(t, 30, p.State().Buckets[0].Others)
}

func TestRedisIsKilled(t *testing.T) {
	t.Parallel()
	limits := []connectors.Limit{{Name: "burst", Amount: 20, Window: time.Second}}
	crm := connectortest.NewCRM(connectortest.CRMOptions{Limits: limits})
	url := crm.Start(t)
	server, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{})
	require.NoError(t, err)
	options := connectortest.Options{Limits: limits, Silent: true}
	one, two := start(t, server.URL, 1, options), start(t, server.URL, 1, options)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { flood(ctx, url+"/check", 4, one, two) })
	sent := func() int { return crm.Requests()["check"] }
	reaches := func(n int) func() bool { return func() bool { return sent() >= n } }
	require.Eventually(t, reaches(60), 30*time.Second, 10*time.Millisecond)

	require.NoError(t, server.Kill())
	require.Eventually(t, func() bool { return one.State().Alone && two.State().Alone }, 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, reaches(sent()+60), 30*time.Second, 10*time.Millisecond, "they go on")

	again, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{Address: server.Address, Fixed: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, again.Stop()) })
	require.Eventually(t, func() bool { return !one.State().Alone && !two.State().Alone }, 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, reaches(sent()+60), 30*time.Second, 10*time.Millisecond)
	cancel()
	all.Wait()
	require.Empty(t, crm.Limited(), "the CRM refused")
}

func TestA429HoldsAllProcesses(t *testing.T) {
	t.Parallel()
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	url, redis := crm.Start(t), devtest.Redis(t)
	limits := connectortest.Options{Limits: []connectors.Limit{{Name: "burst", Amount: 100, Window: time.Second}}}
	one, two := start(t, redis.URL, 1, limits), start(t, redis.URL, 1, limits)
	crm.SetFaults(func(f *connectortest.Faults) { f.Limited, f.RetryAfter = true, time.Hour })
	status, err := one.send(t.Context(), url+"/check")
	require.NoError(t, err)
	require.Equal(t, 429, status, "the caller sees the answer as it is")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, p := range []process{one, two} {
		_, err := p.send(budget.Urgent(ctx), url+"/check")
		e, is := errors.AsType[*connectors.Error](err)
		require.True(t, is, "%v", err)
		require.Equal(t, connectors.RateLimited, e.Kind)
		require.InDelta(t, time.Hour, e.RetryAfter, float64(10*time.Second))
	}
	require.Equal(t, 1, crm.Requests()["check"])
	_, exhausted := one.Exhausted(time.Minute)
	require.True(t, exhausted)
}

// BenchmarkOverhead is what the budget adds to each request while it flows.
func BenchmarkOverhead(b *testing.B) {
	limits := []connectors.Limit{
		{Name: "burst", Amount: 1e9, Window: 10 * time.Second},
		{Name: "day", Amount: 1e9, Midnight: "America/New_York"},
	}
	redis := devtest.Redis(b)
	for name, o := range map[string]connectortest.Options{"none": {}, "two limits": {Limits: limits}} {
		b.Run(name, func(b *testing.B) {
			l, err := ledger.Open(ledger.Options{URL: redis.URL})
			require.NoError(b, err)
			b.Cleanup(func() { _ = l.Close() })
			p := process{budget.New(l).Transport("acme", 1, nowhere{}), l}
			p.Keep(connectortest.Definition(o))
			b.ReportAllocs()
			for b.Loop() {
				_, err := p.send(b.Context(), "http://crm.invalid/")
				require.NoError(b, err)
			}
		})
	}
}

type nowhere struct{}

// RoundTrip implements http.RoundTripper.
func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

// BenchmarkUse is how much of what a CRM allows is used, and how often it has to
// refuse, with two processes on one budget. One round takes a minute.
func BenchmarkUse(b *testing.B) {
	const rounds = 60 * time.Second
	for name, limits := range map[string][]connectors.Limit{
		"tight": {{Name: "quota", Amount: 5, Window: 10 * time.Second}},
		"hubspot": {
			{Name: "burst", Amount: 190, Window: 10 * time.Second, Cost: noSearch},
			{Name: "search", Amount: 5, Window: time.Second, Cost: onlySearch},
		},
	} {
		b.Run(name, func(b *testing.B) {
			redis := devtest.Redis(b)
			for b.Loop() {
				crm := connectortest.NewCRM(connectortest.CRMOptions{Limits: limits})
				url := crm.Start(b)
				options := connectortest.Options{Limits: limits}
				one, two := start(b, redis.URL, 1, options), start(b, redis.URL, 1, options)
				ctx, cancel := context.WithTimeout(b.Context(), rounds)
				var sent, searched int
				var both sync.WaitGroup
				both.Go(func() { sent, _ = flood(ctx, url+"/check", 8, one, two) })
				if len(limits) > 1 {
					both.Go(func() { searched, _ = flood(ctx, url+"/contacts/search", 4, one, two) })
				}
				both.Wait()
				cancel()
				refused := 0
				for _, n := range crm.Limited() {
					refused += n
				}
				b.ReportMetric(float64(refused), "429s")
				b.ReportMetric(100*float64(sent)/float64(limits[0].Amount)/float64(rounds/limits[0].Window), "%used")
				if len(limits) > 1 {
					b.ReportMetric(100*float64(searched)/5/60, "%search")
				}
			}
		})
	}
}
