package salesforce_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/salesforce"
	"crmsync/connectors/salesforce/fake"
)

func TestUsageIsRead(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][]connectors.Usage{
		"api-usage=10018/100000": {{Limit: "day", Remaining: 89_982}},
		"api-usage=17/15000; per-app-api-usage=17/250(appName=crmsync)": {{Limit: "day", Remaining: 14_983}},
		"per-app-api-usage=17/250(appName=x), api-usage=5/10":           {{Limit: "day", Remaining: 5}},
		"api-usage=12/10": {{Limit: "day"}},
		"api-usage=x/10":  nil,
		"":                nil,
	} {
		require.Equal(t, want, salesforce.Definition().Usage(http.Header{"Sforce-Limit-Info": {said}}), said)
	}
}

func TestLimitIsTheSettings(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{}, "daily_requests: 15000")
	limits := salesforce.Definition().For(o.Connector).Limits
	require.Len(t, limits, 1)
	require.Equal(t, 15_000, limits[0].Amount)
	require.Equal(t, 24*time.Hour, limits[0].Window)
}

func TestSpentLimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{DailyRequests: 1})
	_, err := o.Check(t.Context())
	require.NoError(t, err)
	_, err = o.Check(t.Context())
	e := connectors.AsError("", err)
	require.Equal(t, connectors.RateLimited, e.Kind)
	require.Equal(t, 10*time.Minute, e.RetryAfter)
}
