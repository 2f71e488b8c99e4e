package api

import (
	"net/http"
	"strconv"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// The names of the limits.
const (
	hourly = "hourly"
	burst  = "burst"
)

// callTimeout bounds one request.
const callTimeout = 30 * time.Second

// plan is what an account may request in an hour and in a minute.
type plan struct{ hourly, burst int }

// plans are https://developer.justcall.io/docs/rate-limits. Accounts on older plans
// may have less (https://justcall.io/developer-docs), which the headers then say.
var plans = map[string]plan{
	"team":     {1800, 30},
	"pro":      {3600, 60},
	"business": {5400, 90},
}

// Definition says what the API allows, for [budget.Transport.Keep].
func Definition(s Settings) connectors.Definition {
	p, ok := plans[s.Plan]
	if !ok {
		p = plans["team"]
	}
	return connectors.Definition{
		Name: "justcall", Title: "JustCall", CallTimeout: callTimeout, Usage: usage,
		Limits: []connectors.Limit{
			{Name: hourly, Amount: p.hourly, Window: time.Hour},
			{Name: burst, Amount: p.burst, Window: time.Minute},
		},
	}
}

// headers are those of each limit, by the second part of their names: every answer
// tells what is left, and when all of it is there again, in seconds since 1970.
var headers = map[string]string{hourly: "X-Rate-Limit-", burst: "X-Rate-Limit-Burst-"}

func usage(h http.Header) []connectors.Usage {
	var all []connectors.Usage
	for _, limit := range []string{hourly, burst} {
		if n, err := strconv.Atoi(h.Get(headers[limit] + "Remaining")); err == nil {
			all = append(all, connectors.Usage{Limit: limit, Remaining: max(n, 0), Reset: reset(h, limit)})
		}
	}
	return all
}

// reset is how long until a limit begins anew, by the server's own clock where it
// tells its time; 0 for unknown.
func reset(h http.Header, limit string) time.Duration {
	epoch, err := strconv.ParseInt(h.Get(headers[limit]+"Reset"), 10, 64)
	if err != nil || epoch <= 0 {
		return 0
	}
	now := time.Now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	longest := map[string]time.Duration{hourly: time.Hour, burst: time.Minute}[limit]
	return min(max(time.Unix(epoch, 0).Sub(now), 0), longest)
}

// judge tells when to come again: JustCall's 429 has no Retry-After, but says
// which of the limits is spent and when it begins anew.
func judge(a *rest.Answer, e *connectors.Error) *connectors.Error {
	if e.Kind != connectors.RateLimited || e.RetryAfter > 0 {
		return e
	}
	for _, u := range usage(a.Header) {
		if u.Remaining == 0 {
			e.RetryAfter = max(e.RetryAfter, u.Reset)
		}
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = reset(a.Header, burst)
	}
	return e
}
