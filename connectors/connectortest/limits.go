package connectortest

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// limiter counts what requests took from one bucket, exactly and at the moment
// of their arrival: no stretch of time as long as the window holds more than the
// amount. A request that is refused takes nothing.
type limiter struct {
	connectors.Limit
	zone  *time.Location
	taken []taken
	used  int
}

type taken struct {
	at   time.Time
	cost int
}

func newLimiters(limits []connectors.Limit) []*limiter {
	out := make([]*limiter, len(limits))
	for i, l := range limits {
		zone, err := l.Zone()
		if err != nil {
			panic(err)
		}
		out[i] = &limiter{Limit: l, zone: zone}
	}
	return out
}

// expire forgets what the window does not hold any more.
func (l *limiter) expire(now time.Time) {
	begin := now.Add(-l.Window).Add(1) // what is exactly one window old is out of it
	if l.Midnight != "" {
		begin, _ = connectors.Day(now.In(l.zone))
	}
	for len(l.taken) > 0 && l.taken[0].at.Before(begin) {
		l.used -= l.taken[0].cost
		l.taken = l.taken[1:]
	}
}

func (l *limiter) take(now time.Time, cost int) {
	if cost > 0 {
		l.taken, l.used = append(l.taken, taken{now, cost}), l.used+cost
	}
}

func (l *limiter) left() int { return max(l.Amount-l.used, 0) }

// admit takes a request's cost from all buckets, or answers the first that has
// not enough.
func (c *CRM) admit(w http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	full := ""
	for _, l := range c.limiters {
		l.expire(now)
		if cost := l.CostOf(r); full == "" && cost > 0 && l.used+cost > l.Amount {
			full = l.Name
		}
	}
	for _, l := range c.limiters {
		cost := l.CostOf(r)
		if full == "" {
			l.take(now, cost)
		}
		if cost > 0 {
			w.Header().Add(remainingHeader, l.Name+"="+strconv.Itoa(l.left()))
		}
	}
	if full != "" {
		c.limited[full]++
	}
	return full == ""
}

// Spend takes n from the named bucket, as the customer's other applications do.
// It answers how much they got: less where less is left.
func (c *CRM) Spend(limit string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.limiters {
		if l.Name == limit {
			now := time.Now()
			l.expire(now)
			n = min(n, l.left())
			l.take(now, n)
			return n
		}
	}
	return 0
}

// Limited answers how many requests got 429, by the limit that was spent; ""
// stands for those that Faults refused.
func (c *CRM) Limited() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.limited)
}

// remainingHeader says with each answer what is left of every bucket that the
// request takes from: name=12.
const remainingHeader = "X-Limit-Remaining"

// usage reads what admit wrote.
func usage(h http.Header) []connectors.Usage {
	var out []connectors.Usage
	for _, said := range h.Values(remainingHeader) {
		name, left, _ := strings.Cut(said, "=")
		if n, err := strconv.Atoi(left); err == nil {
			out = append(out, connectors.Usage{Limit: name, Remaining: n})
		}
	}
	return out
}
