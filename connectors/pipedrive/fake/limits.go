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
	limit, times := f.options.Burst, &l.all
	if search && f.options.Search > 0 {
		limit, times = f.options.Search, &l.search
	}
	*times = recent(*times, now)
	spent := f.options.Tokens > 0 && l.tokens+cost > f.options.Tokens
	if spent || limit > 0 && len(*times) >= limit {
		l.refused++
		rateHeaders(w, limit, limit-len(*times))
		refuse(w, failure{http.StatusTooManyRequests, "request over limit", ""})
		return false
	}
	l.tokens += cost
	*times = append(*times, now)
	rateHeaders(w, limit, limit-len(*times))
	return true
}

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
