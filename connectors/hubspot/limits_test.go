package hubspot_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/fake"
)

func TestLimitsByPlan(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]map[string]int{
		"":                                      {"burst": 100, "search": 5, "daily": 250_000},
		"plan: professional":                    {"burst": 190, "search": 5, "daily": 625_000},
		"plan: enterprise\nlimit_increases: 2":  {"burst": 250, "search": 5, "daily": 3_000_000},
		"plan: marketplace\nlimit_increases: 1": {"burst": 110, "search": 5},
	} {
		got := map[string]int{}
		limits := open(t, fake.Options{}, settings+"\ntime_zone: America/New_York\n").Define(hubspot.Definition()).Limits
		require.NoError(t, connectors.ValidateLimits(limits))
		for _, l := range limits {
			got[l.Name] = l.Amount
			require.True(t, l.Name != "daily" || l.Midnight == "America/New_York")
		}
		require.Equal(t, want, got, settings)
	}
	require.NoError(t, connectors.ValidateLimits(hubspot.Definition().Limits))
}

// Searches take from their own limit and the day's, all else from the others.
func TestCostOfRequests(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]map[string]int{
		"/crm/objects/2026-03/contacts/search":             {"burst": 0, "search": 1, "daily": 1},
		"/crm/objects/2026-03/communications/batch/create": {"burst": 1, "search": 0, "daily": 1},
	} {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		for _, l := range hubspot.Definition().Limits {
			require.Equal(t, want[l.Name], l.CostOf(r), "%s of %s", l.Name, path)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Burst: 10, Daily: 100}, "")
	var headers []http.Header
	a.served.Transport = listener{http.DefaultTransport, &headers}
	_, err := connect(t, a.served).Check(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []connectors.Usage{{Limit: "burst", Remaining: 8}, {Limit: "daily", Remaining: 98}}, hubspot.Definition().Usage(headers[1]))
	require.Empty(t, hubspot.Definition().Usage(http.Header{"X-Hubspot-Ratelimit-Remaining": {"many"}}))
}

type listener struct {
	next  http.RoundTripper
	heard *[]http.Header
}

// RoundTrip implements http.RoundTripper.
func (l listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err == nil {
		*l.heard = append(*l.heard, res.Header)
	}
	return res, err
}

// local serves a request in the same goroutine, so that clocks can be made up.
type local struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w.Result(), nil
}

// A day's limit that is spent lasts until midnight where the account is.
func TestDayIsSpentUntilMidnight(t *testing.T) {
	t.Parallel()
	const body = `{"status":"error","message":"You have reached your daily limit.","errorType":"RATE_LIMIT","policyName":"DAILY"}`
	spent := local{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(body))
	})}
	synctest.Test(t, func(t *testing.T) {
		// A bubble's clock begins at midnight UTC, 2000-01-01.
		time.Sleep(30 * time.Hour) //nolint:forbidigo // in the bubble's own time
		for zone, want := range map[string]time.Duration{"UTC": 18 * time.Hour, "America/New_York": 23 * time.Hour, "Asia/Kolkata": 12*time.Hour + 30*time.Minute} {
			settings := "base_url: http://fake\ntoken: x\ntime_zone: " + zone
			c, err := hubspot.Definition().Open(connectortest.Config("x", settings), connectors.Env{Client: &http.Client{Transport: spent}})
			require.NoError(t, err)
			_, err = c.Check(t.Context())
			e := connectors.AsError("", err)
			require.Equal(t, connectors.RateLimited, e.Kind)
			require.Equal(t, want, e.RetryAfter, zone)
		}
	})
}

func TestLimitsOfTheFake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{Burst: 2, Search: 1, Daily: 6})
		c, err := hubspot.Definition().Open(connectortest.Config("x", f.Config("http://fake")), connectors.Env{Client: &http.Client{Transport: local{f}}})
		require.NoError(t, err)
		check := func() *connectors.Error { return failure(c.Check(t.Context())) }
		require.Nil(t, check(), "two requests")
		require.Equal(t, 10*time.Second, check().RetryAfter)
		time.Sleep(10*time.Second + time.Millisecond) //nolint:forbidigo // in the bubble's own time
		require.Nil(t, check())
		time.Sleep(time.Minute) //nolint:forbidigo // in the bubble's own time
		require.Nil(t, check())
		time.Sleep(time.Minute) //nolint:forbidigo // in the bubble's own time
		require.Greater(t, check().RetryAfter, 23*time.Hour)
		require.Equal(t, 2, f.Limited())
	})
}

func failure(_ connectors.Capabilities, err error) *connectors.Error {
	if err == nil {
		return nil
	}
	return connectors.AsError("", err)
}
