package pipedrive

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// The limits (https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting):
// the company's tokens of a day, and requests of one credential in two seconds,
// of all kinds and of searches.
const (
	dayLimit    = "tokens"
	burstLimit  = "burst"
	searchLimit = "search"

	burstWindow = 2 * time.Second
	// searchBurst is the same for every plan and credential
	// (https://developers.pipedrive.com/changelog/post/announcing-search-api-rate-limit).
	searchBurst = 10
	// baseTokens is what one seat of the smallest plan adds to a day.
	baseTokens = 30000
	// oauthFactor is how much more a signed-in app may send at once than an API
	// token.
	oauthFactor = 4
)

// plan is what a company's plan allows. The burst of each plan is not confirmed
// for its present name.
type plan struct {
	tokens int // times baseTokens for each seat
	burst  int // requests in burstWindow with an API token
}

var plans = map[string]plan{
	"lite":     {1, 20},
	"growth":   {2, 40},
	"premium":  {5, 100},
	"ultimate": {7, 120},
}

func (c Config) limits() []connectors.Limit {
	p := plans[c.Plan]
	day, burst := p.tokens*baseTokens*c.Seats, p.burst
	if c.TokensPerDay > 0 {
		day = c.TokensPerDay
	}
	if c.Token == "" {
		burst *= oauthFactor
	}
	return []connectors.Limit{
		{Name: dayLimit, Amount: day, Midnight: c.ResetZone, Cost: tokens},
		{Name: burstLimit, Amount: burst, Window: burstWindow},
		{Name: searchLimit, Amount: searchBurst, Window: burstWindow, Cost: searches},
	}
}

// tokens is what a request costs, as each page of the API's reference says
// (x-token-cost in https://developers.pipedrive.com/docs/api/v1/openapi-v2.yaml).
// Version 1 costs twice as much as version 2.
func tokens(r *http.Request) int {
	if _, path, ok := strings.Cut(r.URL.Path, "/v2/"); ok {
		return tokensOf(r.Method, path)
	}
	if _, path, ok := strings.Cut(r.URL.Path, "/v1/"); ok {
		return 2 * tokensOf(r.Method, path)
	}
	return 0
}

func tokensOf(method, path string) int {
	switch {
	case strings.HasSuffix(path, "/search"):
		return 20
	case method != http.MethodGet:
		return 5
	case strings.Contains(path, "/"): // one record
		return 1
	}
	return 10
}

func searches(r *http.Request) int {
	if strings.HasSuffix(r.URL.Path, "/search") {
		return 1
	}
	return 0
}

// usage reads what is left of the burst. Of the day's tokens no header tells.
func usage(h http.Header) []connectors.Usage {
	left, err := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	if err != nil {
		return nil
	}
	name := burstLimit
	if h.Get("X-Ratelimit-Limit") == strconv.Itoa(searchBurst) {
		name = searchLimit
	}
	return []connectors.Usage{{Limit: name, Remaining: left, Reset: reset(h)}}
}

// reset is how long until the window of the burst begins anew; 0 for unknown.
func reset(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("X-Ratelimit-Reset"))
	if err != nil {
		return 0
	}
	return min(max(time.Duration(seconds)*time.Second, 0), burstWindow)
}
