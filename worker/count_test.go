package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdk "go.temporal.io/sdk/worker"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/metrics"
	"crmsync/sms"
)

// TestAttemptsAreCounted: what an attempt came to, and which delivery it ended.
func TestAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	text := activities.DeliverInput{Event: sms.Event{Kind: sms.Received}}
	waits := temporal.NewApplicationErrorWithOptions("", "WAITING", temporal.ApplicationErrorOptions{})
	parks := temporal.NewNonRetryableApplicationError("", "INVALID", nil)
	for name, c := range map[string]struct {
		in, out any
		err     error
		result  string
		kind    string
		outcome string
	}{
		"a text is written":    {in: text, out: activities.DeliverResult{State: connectors.Written}, result: "OK", kind: "sms.received", outcome: "written"},
		"a text asks first":    {in: text, out: activities.DeliverResult{Asked: true}, result: "OK"},
		"a text is parked":     {in: text, err: parks, result: "INVALID", kind: "sms.received", outcome: "parked"},
		"a text waits":         {in: text, err: waits, result: "WAITING"},
		"a text is cancelled":  {in: text, err: context.Canceled, result: "CANCELED"},
		"a text fails oddly":   {in: text, err: errors.New("odd"), result: "other"},
		"a status is set":      {in: activities.StatusInput{Event: sms.Event{Kind: sms.Failed}}, out: activities.DeliverResult{State: connectors.Existed}, result: "OK", kind: "sms.failed", outcome: "existed"},
		"an opt-out is set":    {in: activities.ConsentInput{Consent: sms.Consent{OptedOut: true}}, out: activities.ConsentResult{State: connectors.Written}, result: "OK", kind: "sms.optout", outcome: "written"},
		"an opt-in has no use": {in: activities.ConsentInput{}, out: activities.ConsentResult{State: connectors.NotApplicable}, result: "OK", kind: "sms.optin", outcome: "not_applicable"},
		"a contact is found":   {in: activities.FindInput{}, out: activities.Found{}, result: "OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := metrics.New(metrics.Options{Connectors: []string{"crm"}})
			require.NoError(t, err)
			counted := &counting{connector: "crm", metrics: m}
			require.Equal(t, c.result, resultOf(c.err))
			counted.delivery("crm", c.in, c.out, c.err)
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if c.outcome == "" {
				require.NotContains(t, w.Body.String(), "crmsync_deliveries_total{")
				return
			}
			require.Contains(t, w.Body.String(), fmt.Sprintf(`crmsync_deliveries_total{connector="crm",kind="%s",outcome="%s"} 1`, c.kind, c.outcome))
		})
	}
}

// The SDK hands inputs and results on as the types that they are, on a lane's
// worker as on that of the workflows, which try at once.
func TestAttemptsAreIntercepted(t *testing.T) {
	t.Parallel()
	for name, connector := range map[string]string{"a lane's": "crm", "the workflows'": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attemptsAreIntercepted(t, connector)
		})
	}
}

func attemptsAreIntercepted(t *testing.T, connector string) {
	t.Helper()
	m, err := metrics.New(metrics.Options{Connectors: []string{"crm"}})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(sdk.Options{Interceptors: []interceptor.WorkerInterceptor{&counting{connector: connector, metrics: m}}})
	deliver := func(context.Context, activities.DeliverInput) (activities.DeliverResult, error) {
		return activities.DeliverResult{State: connectors.Written}, nil
	}
	env.RegisterActivity(deliver)
	_, err = env.ExecuteActivity(deliver, activities.DeliverInput{Connector: "crm", Event: sms.Event{Kind: sms.Sent}})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Contains(t, w.Body.String(), `crmsync_deliveries_total{connector="crm",kind="sms.sent",outcome="written"} 1`)
	require.Contains(t, w.Body.String(), `connector="crm",result="OK"} 1`)
}
