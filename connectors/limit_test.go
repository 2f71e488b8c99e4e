package connectors_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

func TestLimitIsChecked(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]connectors.Limit{
		"":                           {Name: "a", Amount: 1, Window: time.Second},
		"needs a name":               {Amount: 1, Window: time.Second},
		"amount must be above 0":     {Name: "a", Window: time.Second},
		"window must be 1ms":         {Name: "a", Amount: 1},
		"with a midnight is a day":   {Name: "a", Amount: 1, Window: time.Hour, Midnight: "UTC"},
		`no time zone "Mars/Utopia"`: {Name: "a", Amount: 1, Midnight: "Mars/Utopia"},
	} {
		if want == "" {
			require.NoError(t, l.Validate())
			continue
		}
		require.ErrorContains(t, l.Validate(), want)
	}
	twice := connectors.Limit{Name: "a", Amount: 1, Midnight: "Europe/Berlin"}
	require.NoError(t, connectors.ValidateLimits([]connectors.Limit{twice}))
	_, err := connectors.NewRegistry(connectors.Definition{
		Name: "crm", Limits: []connectors.Limit{twice, twice},
		Open: func(connectors.Config, connectors.Env) (connectors.Connector, error) { return minimal{}, nil },
	})
	require.ErrorContains(t, err, `connector "crm": limit a is there twice`)
}

func TestCostOfARequest(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, connectors.Limit{}.CostOf(nil))
	for said, want := range map[int]int{20: 20, 0: 0, -3: 0} {
		l := connectors.Limit{Cost: func(*http.Request) int { return said }}
		require.Equal(t, want, l.CostOf(nil))
	}
}

func TestDay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ zone, now, from, to string }{
		"UTC":                        {"UTC", "2026-11-21T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		"the vendor's day":           {"America/New_York", "2026-11-21T03:00:00Z", "2026-11-20T05:00:00Z", "2026-11-21T05:00:00Z"},
		"at midnight":                {"Europe/Berlin", "2026-11-20T23:00:00Z", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"},
		"end of a month":             {"Europe/Berlin", "2026-11-30T12:00:00Z", "2026-11-29T23:00:00Z", "2026-11-30T23:00:00Z"},
		"of 23 hours":                {"Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		"of 25 hours":                {"America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"without a midnight":         {"Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"},
		"the day before such a one":  {"Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z"},
		"with two midnights":         {"America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"with two, between them":     {"America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"skipped by the date line":   {"Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		"no zone is read as UTC too": {"", "2026-11-21T12:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
	} {
		at := func(s string) time.Time {
			parsed, err := time.Parse(time.RFC3339, s)
			require.NoError(t, err)
			return parsed
		}
		zone, err := connectors.Limit{Midnight: c.zone}.Zone()
		require.NoError(t, err)
		from, to := connectors.Day(at(c.now).In(zone))
		require.Equal(t, c.from, from.UTC().Format(time.RFC3339), name)
		require.Equal(t, c.to, to.UTC().Format(time.RFC3339), name)
	}
}
