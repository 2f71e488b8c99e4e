package rest

import (
	"net/http"
	"strconv"
	"time"

	"crmsync/connectors"
)

// MaxRetryAfter is the longest wait that is believed.
const MaxRetryAfter = 24 * time.Hour

// KindOf is the default meaning of a status that is not a success.
func KindOf(status int) connectors.Kind {
	switch status {
	case http.StatusUnauthorized:
		return connectors.Auth
	case http.StatusForbidden:
		return connectors.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return connectors.NotFound
	case http.StatusConflict:
		return connectors.Conflict
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return connectors.Invalid
	case http.StatusTooManyRequests:
		return connectors.RateLimited
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return connectors.Unavailable
	}
	if status >= 500 {
		return connectors.Unavailable
	}
	return connectors.Unknown
}

func (c *Client) verdict(r Request, a *Answer) *connectors.Error {
	e := &connectors.Error{
		Op:         r.Op,
		Kind:       KindOf(a.Status),
		Status:     a.Status,
		RetryAfter: RetryAfter(a.Header, time.Now()),
		Ambiguous:  a.Status >= 500 && r.writes(),
	}
	e.WholeBatch = a.Status == http.StatusRequestEntityTooLarge || r.Items > 1 && refusal(e.Kind)
	judge := c.judge
	if r.Judge != nil {
		judge = r.Judge
	}
	if judge == nil {
		return e
	}
	if own := judge(a, e); own != nil {
		return own
	}
	return e
}

// refusal reports whether one item among many can be the reason for k.
func refusal(k connectors.Kind) bool {
	return k == connectors.Invalid || k == connectors.NotFound || k == connectors.Conflict
}

// RetryAfter reads the header of that name: seconds or an HTTP date (RFC 9110
// §10.2.3), which is compared with the answer's own Date where it has one, since
// clocks differ. It answers 0 for none, and at most MaxRetryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	raw := h.Get("Retry-After")
	if raw == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(raw, 64); err == nil && seconds == seconds { // not NaN
		seconds = min(max(seconds, 0), MaxRetryAfter.Seconds())
		return time.Duration(seconds * float64(time.Second))
	}
	at, err := http.ParseTime(raw)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
