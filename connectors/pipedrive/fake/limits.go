package fake

import (
	"net/http"
	"strconv"
	"time"
)

// window is that of the burst.
const window = 2 * time.Second

// limiter counts what requests took.
type limiter struct {
	tokens  int
	all     []time.Time // of the last window
	search  []time.Time
	refused int
}

// admit lets a request through, or answers 429, without Retry-After, and in the
// end the page of Cloudflare.
func (f *Fake) admit(w http.ResponseWriter, search bool, cost int) bool {
	l, now := &f.limiter, time.Now()
	if f.options.BlockAfter > 0 && l.refused >= f.options.BlockAfter {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Access denied | Cloudflare</title>"))
		return false
	}
	l.all, l.search = recent(l.all, now), recent(l.search, now)
	limit, used := f.options.Burst, len(l.all)
	over := full(limit, used) || full(f.options.Tokens, l.tokens+cost-1)
	if search && f.options.Search > 0 {
		limit, used = f.options.Search, len(l.search)
		over = over || full(limit, used)
	}
	if over {
		l.refused++
		rateHeaders(w, limit, limit-used)
		refuse(w, failure{http.StatusTooManyRequests, "request over limit", ""})
		return false
	}
	l.tokens += cost
	l.all = append(l.all, now)
	if search {
		l.search = append(l.search, now)
	}
	rateHeaders(w, limit, limit-used-1)
	return true
}

// full reports whether nothing is left of a limit; 0 is none.
func full(limit, used int) bool { return limit > 0 && used >= limit }

func recent(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= window {
		times = times[1:]
	}
	return times
}

func rateHeaders(w http.ResponseWriter, limit, left int) {
	if limit <= 0 {
		return
	}
	w.Header().Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-Ratelimit-Remaining", strconv.Itoa(max(left, 0)))
	w.Header().Set("X-Ratelimit-Reset", strconv.Itoa(int(window.Seconds())))
}
