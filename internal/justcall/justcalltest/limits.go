package justcalltest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limits count requests in windows that begin with the first one.
type limits struct {
	mu      *sync.Mutex
	windows []*window
}

type window struct {
	header string
	amount int
	length time.Duration
	begun  time.Time
	used   int
}

func newLimits(o Options) limits {
	l := limits{mu: &sync.Mutex{}}
	for _, w := range []window{
		{header: "X-Rate-Limit-", amount: o.PerHour, length: time.Hour},
		{header: "X-Rate-Limit-Burst-", amount: o.PerMinute, length: time.Minute},
	} {
		if w.amount > 0 {
			l.windows = append(l.windows, &w)
		}
	}
	return l
}

// allow counts a request, and says in its headers what is left: 429 has no
// Retry-After, but the instant at which the window ends.
func (l limits) allow(h http.Header) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, allowed := time.Now(), true
	for _, w := range l.windows {
		if now.Sub(w.begun) >= w.length {
			w.begun, w.used = now, 0
		}
		allowed = allowed && w.used < w.amount
	}
	for _, w := range l.windows {
		if allowed {
			w.used++
		}
		h.Set(w.header+"Limit", strconv.Itoa(w.amount))
		h.Set(w.header+"Remaining", strconv.Itoa(w.amount-w.used))
		h.Set(w.header+"Reset", strconv.FormatInt(w.begun.Add(w.length).Unix()+1, 10))
	}
	return allowed
}
