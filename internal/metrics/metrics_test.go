package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
	"crmsync/internal/metrics"
	"crmsync/sms"
)

func open(t *testing.T) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(metrics.Options{
		Version: "1.2.3", Accounts: []string{"main"}, Connectors: []string{"hubspot"},
		OnError: func(err error) { t.Error(err) },
	})
	require.NoError(t, err)
	return m
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

// ours are the samples whose name begins with crmsync_, without the buckets.
func ours(page string) (lines []string) {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "crmsync_") && !strings.Contains(line, "_bucket{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// standing is a survey with everything in it.
func standing() metrics.Survey {
	return metrics.Survey{
		Up: true, Waiting: map[string]int64{"hubspot": 3}, Parked: map[string]int64{"hubspot": 2},
		Oldest: map[string]time.Duration{"hubspot": 90 * time.Second}, Reconciled: map[string]time.Duration{"main": time.Minute}, ParkedWorkflows: map[string]int64{"Quarantine": 1},
		Queues: map[metrics.Queue]metrics.QueueState{{Name: "crmsync-hubspot", Type: "activity"}: {Backlog: 4, Pollers: 5, Paused: true}},
	}
}

// lanes are one that has been paused for a while, and one that flows.
func lanes() map[string]time.Duration {
	return map[string]time.Duration{"hubspot": 90 * time.Second, "close": 0}
}

func spool() (ledger.SpoolState, bool) {
	return ledger.SpoolState{Waiting: 8, Dead: 1, Bytes: 4096, Oldest: 12 * time.Second}, true
}

func budgets() map[string]budget.State {
	return map[string]budget.State{"hubspot": {Buckets: []budget.Bucket{{Limit: "burst", Amount: 190, Share: 114, Used: 7}}}}
}

// everything counts one of each.
func everything(t *testing.T, m *metrics.Metrics) {
	t.Helper()
	m.Webhook("main", ingress.Outcome{Result: ingress.Accepted})
	m.Webhook("main", ingress.Outcome{Result: "refused", Reason: ingress.Refused})
	m.Spool(ingress.Spooled)
	m.Delivery("hubspot", sms.Received, connectors.Written)
	m.Attempt("hubspot", "Deliver", string(connectors.RateLimited))
	m.Contact("hubspot", activities.MatchCreated)
	m.Reconciled("main", activities.Counts{Tally: activities.Tally{Listed: 3, Known: 1, Missing: 2, Repaired: 2}}, false)
	m.Redis("seen", nil)
	m.Redis("seen", errors.New("connection refused"))
	m.Redis("seen", ledger.ErrSkipped)
	m.Temporal().WithTags(map[string]string{"operation": "StartWorkflowExecution"}).Counter("temporal_request").Inc(1)
	m.Temporal().Timer("temporal_request_latency").Record(30 * time.Millisecond)
	m.Temporal().Gauge("temporal_num_pollers").Update(2)
	require.NoError(t, m.Watch(metrics.Sources{
		Redis: func() bool { return true }, Spool: spool, Lanes: lanes, Budgets: budgets, Survey: func(context.Context) metrics.Survey { return standing() },
	}))
	get(t, m, "hubspot", http.StatusOK)
}

// get makes one request through the connector's transport.
func get(t *testing.T, m *metrics.Metrics, connector string, status int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	client := &http.Client{Transport: m.Transport(connector, server.Client().Transport)}
	response, err := client.Get(server.URL + "/contacts/+15125551234?token=secret")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
}

func TestPage(t *testing.T) {
	t.Parallel()
	m := open(t)
	everything(t, m)
	page := scrape(t, m)
	for _, line := range []string{
		`crmsync_webhooks_total{account="main",reason="",result="accepted"} 1`,
		`crmsync_webhooks_total{account="main",reason="unauthorized",result="refused"} 1`,
		`crmsync_webhooks_total{account="main",reason="",result="quarantined"} 0`, // an alert looks at its increase
		`crmsync_deliveries_total{connector="hubspot",kind="sms.received",outcome="written"} 1`,
		`crmsync_attempts_total{activity="Deliver",connector="hubspot",result="RATE_LIMITED"} 1`,
		`crmsync_contact_decisions_total{connector="hubspot",decision="created"} 1`,
		`crmsync_crm_requests_total{connector="hubspot",method="GET",status="2xx"} 1`,
		`crmsync_crm_request_duration_seconds_count{connector="hubspot",method="GET"} 1`,
		`crmsync_redis_calls_total{op="seen",result="ok"} 1`,
		`crmsync_redis_calls_total{op="seen",result="error"} 1`,
		`crmsync_redis_calls_total{op="seen",result="skipped"} 1`,
		`crmsync_redis_up 1`,
		`crmsync_spool_events_total{result="spooled"} 1`,
		`crmsync_spool_events_total{result="dead"} 0`, // an alert looks at its increase
		`crmsync_spool_depth 8`,
		`crmsync_spool_oldest_age_seconds 12`,
		`crmsync_spool_size_bytes 4096`,
		`crmsync_spool_dead_letters 1`,
		`crmsync_lane_paused{connector="hubspot"} 1`,
		`crmsync_lane_paused_age_seconds{connector="hubspot"} 90`,
		`crmsync_lane_paused{connector="close"} 0`,
		`crmsync_budget_used{connector="hubspot",limit="burst"} 7`,
		`crmsync_budget_share{connector="hubspot",limit="burst"} 114`,
		`crmsync_lane_paused_age_seconds{connector="close"} 0`,
		`crmsync_queue_paused{queue="crmsync-hubspot",type="activity"} 1`,
		`crmsync_temporal_up 1`,
		`crmsync_waiting_deliveries{connector="hubspot"} 3`,
		`crmsync_parked_deliveries{connector="hubspot"} 2`,
		`crmsync_parked_workflows{workflow="Quarantine"} 1`,
		`crmsync_oldest_waiting_age_seconds{connector="hubspot"} 90`,
		`crmsync_queue_backlog{queue="crmsync-hubspot",type="activity"} 4`,
		`crmsync_queue_pollers{queue="crmsync-hubspot",type="activity"} 5`,
		`temporal_request_total{operation="StartWorkflowExecution"} 1`,
		`temporal_request_latency_seconds_bucket{le="0.025"} 0`,
		`temporal_request_latency_seconds_bucket{le="0.05"} 1`,
		`temporal_num_pollers 2`,
	} {
		require.Contains(t, page, "\n"+line+"\n")
	}
	require.Regexp(t, `crmsync_build_info\{go_version="go1[^"]+",version="1.2.3"\} 1`, page)
	require.Contains(t, page, "\ngo_goroutines ")
	require.NotContains(t, page, "otel_", "nothing of the pipeline shows")
	require.NotContains(t, page, "target_info")
	require.NotContains(t, page, "5551234")
	require.NotContains(t, page, "secret")
}

// TestLint holds the names and types to what Prometheus expects.
func TestLint(t *testing.T) {
	t.Parallel()
	m := open(t)
	everything(t, m)
	problems, err := promlint.New(strings.NewReader(scrape(t, m))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestBoundedSeries: whatever comes from outside, the number of series stays.
func TestBoundedSeries(t *testing.T) {
	t.Parallel()
	m := open(t)
	attack := func(from, to int) {
		for i := range to - from {
			evil := fmt.Sprintf("evil\n\"%d", from+i)
			m.Webhook(evil, ingress.Outcome{Result: ingress.Accepted})
			m.Webhook("main", ingress.Outcome{Result: evil, Reason: evil})
			m.Delivery(evil, sms.Kind(evil), connectors.State(evil))
			m.Attempt(evil, "Deliver", evil)
			m.Contact(evil, activities.Decision(evil))
			m.Reconciled(evil, activities.Counts{}, false)
			request := httptest.NewRequest(http.MethodGet, "http://crm.example.com/"+fmt.Sprint(i), nil)
			request.Method = fmt.Sprintf("EVIL%d", i)
			response, err := m.Transport(evil, answering(200+from+i)).RoundTrip(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
		}
	}
	attack(0, 500)
	before := ours(scrape(t, m))
	require.NotContains(t, strings.ToLower(strings.Join(before, "")), "evil")
	attack(500, 900)
	require.Len(t, ours(scrape(t, m)), len(before))
}

type answering int

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody}, nil
}

func TestStatusClasses(t *testing.T) {
	t.Parallel()
	m := open(t)
	for _, status := range []int{201, 304, 404, 422, 429, 503} {
		get(t, m, "hubspot", status)
	}
	_, err := m.Transport("hubspot", broken{}).RoundTrip(httptest.NewRequest(http.MethodPost, "/", nil)) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, http.ErrServerClosed)
	page := scrape(t, m)
	for class, n := range map[string]int{"2xx": 1, "3xx": 1, "4xx": 2, "429": 1, "5xx": 1} {
		require.Contains(t, page, fmt.Sprintf(`crmsync_crm_requests_total{connector="hubspot",method="GET",status="%s"} %d`, class, n))
	}
	require.Contains(t, page, `crmsync_crm_requests_total{connector="hubspot",method="POST",status="error"} 1`)
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }

// TestSurveys: scraping often asks Temporal once, and what it does not answer
// vanishes.
func TestSurveys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := open(t)
		var asked atomic.Int64
		away := false
		survey := func(ctx context.Context) metrics.Survey {
			asked.Add(1)
			deadline, bounded := ctx.Deadline()
			require.True(t, bounded && time.Until(deadline) <= 5*time.Second)
			if away {
				return metrics.Survey{}
			}
			return standing()
		}
		require.NoError(t, m.Watch(metrics.Sources{Redis: func() bool { return false }, Lanes: lanes, Budgets: budgets, Survey: survey}))
		for range 10 {
			require.Contains(t, scrape(t, m), `crmsync_waiting_deliveries{connector="hubspot"} 3`)
		}
		require.EqualValues(t, 1, asked.Load())

		away = true
		time.Sleep(metrics.SurveyInterval) //nolint:forbidigo // synctest's clock
		page := scrape(t, m)
		require.EqualValues(t, 2, asked.Load())
		require.Contains(t, page, "\ncrmsync_temporal_up 0\n")
		require.Contains(t, page, "\ncrmsync_redis_up 0\n")
		for _, gone := range []string{"waiting_deliveries", "parked_deliveries", "oldest_waiting", "parked_workflows", "reconcile_age", "queue_"} {
			require.NotContains(t, page, "\ncrmsync_"+gone)
		}
	})
}
