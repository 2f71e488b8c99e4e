package pipedrive_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/pipedrive"
)

func limits(t *testing.T, settings string) map[string]connectors.Limit {
	t.Helper()
	c, err := pipedrive.Definition().Open(connectortest.Config("x", settings), connectors.Env{})
	require.NoError(t, err)
	byName := map[string]connectors.Limit{}
	for _, l := range pipedrive.Definition().For(c).Limits {
		require.NoError(t, l.Validate())
		byName[l.Name] = l
	}
	return byName
}

func TestLimitsOfPlanSeatsAndCredential(t *testing.T) {
	t.Parallel()
	const token = "base_url: https://acme.pipedrive.com\ntoken: x\n"
	for settings, want := range map[string][2]int{ // tokens of a day, burst
		token:                                  {30000, 20},
		token + "plan: growth\nseats: 3":       {180000, 40},
		token + "plan: premium":                {150000, 100},
		token + "plan: ultimate\nseats: 2":     {420000, 120},
		token + "tokens_per_day: 99":           {99, 20},
		"plan: premium # signed in with OAuth": {150000, 400},
	} {
		got := limits(t, settings)
		require.Equal(t, want, [2]int{got["tokens"].Amount, got["burst"].Amount}, settings)
		require.Equal(t, 10, got["search"].Amount)
	}
	require.Equal(t, "America/New_York", limits(t, "reset_zone: America/New_York")["tokens"].Midnight)
	require.Equal(t, 2*time.Second, limits(t, "")["burst"].Window)
}

func TestWhatRequestsCost(t *testing.T) {
	t.Parallel()
	all := limits(t, "")
	for request, want := range costs {
		r := httptest.NewRequest(request[0], "https://acme.pipedrive.com"+request[1], nil)
		require.Equal(t, want, all["tokens"].CostOf(r), request)
		require.Equal(t, 1, all["burst"].CostOf(r), request)
	}
	searches := func(path string) int { return all["search"].CostOf(httptest.NewRequest(http.MethodGet, path, nil)) }
	require.Equal(t, 1, searches("/api/v2/persons/search?term=5125550100"))
	require.Equal(t, 0, searches("/api/v2/persons?ids=1"))
}

// costs are those of the requests that the connector makes.
var costs = map[[2]string]int{
	{"POST", "/api/v2/activities"}:      5,
	{"PATCH", "/api/v2/activities/7"}:   5,
	{"GET", "/api/v2/activities/7"}:     1,
	{"GET", "/api/v2/activities"}:       10,
	{"GET", "/api/v2/persons/search"}:   20,
	{"GET", "/api/v2/persons"}:          10,
	{"GET", "/api/v2/persons/7"}:        1,
	{"POST", "/api/v2/persons"}:         5,
	{"PATCH", "/api/v2/persons/7"}:      5,
	{"GET", "/api/v2/personFields"}:     10,
	{"GET", "/api/v2/personFields/abc"}: 1,
	{"POST", "/api/v2/personFields"}:    5,
	{"GET", "/v1/users"}:                20,
	{"GET", "/v1/activityTypes"}:        20,
	{"POST", "/v1/activityTypes"}:       10,
	{"POST", "/oauth/token"}:            0,
}

func TestUsage(t *testing.T) {
	t.Parallel()
	usage := pipedrive.Definition().Usage
	header := func(limit, left, reset string) http.Header {
		h := http.Header{}
		h.Set("x-ratelimit-limit", limit)
		h.Set("x-ratelimit-remaining", left)
		h.Set("x-ratelimit-reset", reset)
		return h
	}
	require.Equal(t, []connectors.Usage{{Limit: "burst", Remaining: 19, Reset: time.Second}}, usage(header("20", "19", "1")))
	require.Equal(t, []connectors.Usage{{Limit: "search", Remaining: 0, Reset: 2 * time.Second}}, usage(header("10", "0", "2")))
	require.Equal(t, 2*time.Second, usage(header("20", "0", "1790000000"))[0].Reset, "no longer than the window")
	require.Zero(t, usage(header("20", "0", "soon"))[0].Reset)
	require.Empty(t, usage(http.Header{}))
	require.Empty(t, usage(header("20", "many", "1")))
}
