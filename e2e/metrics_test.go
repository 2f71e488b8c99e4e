package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
)

// page is what a scrape of /metrics answered.
type page string

func (p *process) scrape() page {
	p.st.t.Helper()
	response, err := http.Get("http://" + p.admin + "/metrics")
	require.NoError(p.st.t, err)
	defer response.Body.Close()
	require.Equal(p.st.t, http.StatusOK, response.StatusCode)
	text, err := io.ReadAll(response.Body)
	require.NoError(p.st.t, err)
	return page(text)
}

// value is a sample's, -1 where there is none.
func (p page) value(t *testing.T, sample string) float64 {
	t.Helper()
	for line := range strings.Lines(string(p)) {
		if rest, ok := strings.CutPrefix(line, sample+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			require.NoError(t, err)
			return value
		}
	}
	return -1
}

// names are those of all metrics on the page, as an expression writes them.
func (p page) names() map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(string(p)) {
		if name := regexp.MustCompile(`^[a-z0-9_]+`).FindString(line); name != "" {
			names[name] = true
		}
	}
	return names
}

// TestMetrics counts a text, a hostile webhook and a parked one on their way
// through the whole daemon, and holds the alerts to what is really there.
func TestMetrics(t *testing.T) {
	t.Parallel()
	_, account := fakeJustCall(t, justcalltest.Options{Dialect: justcall.V21})
	st := newStack(t, setup{justcall: account, connector: connectortest.Options{
		Limits: []connectors.Limit{{Name: "burst", Amount: 1000, Window: time.Second}},
	}})
	p := st.daemon()
	p.accepted(inbound("msg_metrics", sarah, "hello").json())
	st.result("main/msg_metrics/sms.received")
	require.Equal(t, "duplicate", p.post(inbound("msg_metrics", sarah, "hello").json()).Result)
	require.Equal(t, "quarantined", p.post([]byte(`{"event":`)).Result)
	eventually(t, 10*time.Second, "the parked body can be listed", func() bool {
		return st.count("WorkflowType = 'Quarantine' AND crmsync_state = 'parked'") == 1
	})
	p.accepted(consentEvent("stop", "sms.optout", time.Now()))
	eventually(t, 10*time.Second, "the opt-out is in the CRM, and waits no longer", func() bool {
		return st.count("WorkflowType = 'SyncConsent' AND crmsync_state = 'opted_out'") == 1
	})
	eventually(t, 30*time.Second, "the account's schedules are there", func() bool { return len(st.schedules()) == 2 })
	before := p.scrape()
	for sample, want := range map[string]float64{
		`crmsync_webhooks_total{account="main",reason="",result="accepted"}`:              2,
		`crmsync_webhooks_total{account="main",reason="",result="duplicate"}`:             1,
		`crmsync_webhooks_total{account="main",reason="",result="quarantined"}`:           1,
		`crmsync_deliveries_total{connector="crm",kind="sms.received",outcome="written"}`: 1,
		`crmsync_contact_decisions_total{connector="crm",decision="created"}`:             1,
		`crmsync_attempts_total{activity="CreateContact",connector="crm",result="OK"}`:    1,
		`crmsync_budget_share{connector="crm",limit="burst"}`:                             800,
		`crmsync_consent_duration_seconds_count{change="opt_out",connector="crm"}`:        1,
		`crmsync_suppressed_numbers_total{account="main",result="added"}`:                 0,
		`crmsync_temporal_up`: 1,
		`crmsync_redis_up`:    1,
		`crmsync_parked_workflows{workflow="Quarantine"}`:            1,
		`crmsync_waiting_deliveries{connector="crm"}`:                0,
		`crmsync_oldest_waiting_age_seconds{connector="crm"}`:        0,
		`crmsync_queue_pollers{queue="crmsync-crm",type="activity"}`: 1,
	} {
		require.InDelta(t, want, before.value(t, sample), 0, sample)
	}
	require.Positive(t, before.value(t, `crmsync_crm_requests_total{connector="crm",method="POST",status="2xx"}`))
	require.NotContains(t, before, "5551234")
	require.NotContains(t, before, token)
	alertsNameOnly(t, before.names())
	documented(t, string(before))

	for i := range 50 {
		a, err := send(http.MethodPost, fmt.Sprintf("http://%s/webhooks/justcall/evil%d/%d", p.address, i, i), nil, strings.NewReader("{}"))
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, a.Status)
		a, err = send(http.MethodPost, fmt.Sprintf("http://%s/webhooks/justcall/main/%s", p.address, token), nil,
			strings.NewReader(fmt.Sprintf(`{"event":"evil.%d","data":{"message_id":"x"}}`, i)))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.Status)
	}
	after := p.scrape()
	require.InDelta(t, 50, after.value(t, `crmsync_webhooks_total{account="other",reason="unknown_account",result="refused"}`), 0)
	require.Equal(t, strings.Count(string(before), "\ncrmsync_webhooks_total{"), strings.Count(string(after), "\ncrmsync_webhooks_total{"))
	require.NotContains(t, after, "evil")
}

// alertsNameOnly holds every metric in the alerts to those that exist.
func alertsNameOnly(t *testing.T, exist map[string]bool) {
	t.Helper()
	text, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	manual, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			require.Contains(t, string(manual), "\n| `"+rule.Alert+"` |")
			found := regexp.MustCompile(`(crmsync|temporal)_[a-z_]+`).FindAllString(rule.Expr, -1)
			require.NotEmpty(t, found, rule.Alert)
			for _, name := range found {
				require.True(t, exist[name], "%s: no metric is called %s", rule.Alert, name)
			}
		}
	}
}

// documented holds the table in the manual to what is there.
func documented(t *testing.T, page string) {
	t.Helper()
	manual, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	list := func(pattern, text string) map[string]bool {
		names := map[string]bool{}
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			names[found[1]] = true
		}
		return names
	}
	require.Equal(t, list("(?m)^# TYPE (crmsync_[a-z_]+) ", page), list("(?m)^\\| `(crmsync_[a-z_]+)` \\|", string(manual)))
}

// TestWhatWaitsIsMeasured: while a CRM is down its texts wait, and that shows.
func TestWhatWaitsIsMeasured(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	p := st.daemon()
	p.accepted(inbound("msg_waits", "+15125551234", "hello").json())
	eventually(t, 10*time.Second, "the waiting text can be listed", func() bool {
		return st.count("crmsync_deliveries = 'crm=syncing'") == 1
	})
	now := p.scrape()
	require.InDelta(t, 1, now.value(t, `crmsync_waiting_deliveries{connector="crm"}`), 0)
	require.InDelta(t, 0, now.value(t, `crmsync_parked_deliveries{connector="crm"}`), 0)
	require.Positive(t, now.value(t, `crmsync_oldest_waiting_age_seconds{connector="crm"}`))
	require.Positive(t, now.value(t, `crmsync_attempts_total{activity="Deliver",connector="crm",result="UNAVAILABLE"}`))
	eventually(t, 30*time.Second, "the lane is paused", func() bool {
		now = p.scrape()
		return now.value(t, `crmsync_lane_paused{connector="crm"}`) == 1
	})
	require.Positive(t, now.value(t, `crmsync_lane_paused_age_seconds{connector="crm"}`))
}
