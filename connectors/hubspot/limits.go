package hubspot

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// The names of the limits.
const (
	limitBurst  = "burst"
	limitSearch = "search"
	limitDaily  = "daily"
)

// plan is what an account may request per app in 10 s, and in all in a day; 0 for
// no such limit.
type plan struct{ burst, daily int }

// plans are https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
var plans = map[string]plan{
	"starter":      {100, 250_000},
	"professional": {190, 625_000},
	"enterprise":   {190, 1_000_000},
	// A publicly distributed app (OAuth).
	"marketplace": {110, 0},
}

const (
	// Any number of limit increases raises the burst to this, each adds that to
	// the day.
	increasedBurst = 250
	increaseDaily  = 1_000_000
	// searches are those of all apps on an account in a second.
	// https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
	searches = 5
	window   = 10 * time.Second
)

// Define implements connectors.Definer: the plan decides on the limits.
func (c *Connector) Define(d connectors.Definition) connectors.Definition {
	d.Limits = c.cfg.limits()
	return d
}

func (c Config) limits() []connectors.Limit {
	p := plans[c.Plan]
	if c.LimitIncreases > 0 && p.daily > 0 {
		p = plan{increasedBurst, p.daily + c.LimitIncreases*increaseDaily}
	}
	all := []connectors.Limit{
		{Name: limitBurst, Amount: p.burst, Window: window, Cost: unlessSearch},
		{Name: limitSearch, Amount: searches, Window: time.Second, Cost: ifSearch},
	}
	if p.daily > 0 {
		all = append(all, connectors.Limit{Name: limitDaily, Amount: p.daily, Midnight: c.TimeZone})
	}
	return all
}

// Searches have a limit of their own, and are not part of the one in 10 s.
func ifSearch(r *http.Request) int {
	if strings.HasSuffix(r.URL.Path, "/search") {
		return 1
	}
	return 0
}

func unlessSearch(r *http.Request) int { return 1 - ifSearch(r) }

// usage reads the headers that every answer has but those of searches; those of
// the day are missing with OAuth.
func usage(h http.Header) []connectors.Usage {
	var all []connectors.Usage
	for header, limit := range map[string]string{
		"X-HubSpot-RateLimit-Remaining":       limitBurst,
		"X-HubSpot-RateLimit-Daily-Remaining": limitDaily,
	} {
		if n, err := strconv.Atoi(h.Get(header)); err == nil {
			all = append(all, connectors.Usage{Limit: limit, Remaining: max(n, 0)})
		}
	}
	return all
}
