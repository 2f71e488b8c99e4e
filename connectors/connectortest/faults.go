package connectortest

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Faults is how a [CRM] misbehaves. The zero value is a CRM in good health.
// Where several apply, the first in this order wins.
type Faults struct {
	// Latency is added to every request, before anything is done.
	Latency time.Duration
	// Down answers 503 while set, DownUntil until that instant.
	Down      bool
	DownUntil time.Time
	// Unauthorized answers 401 while set, UnauthorizedOnce to one request.
	Unauthorized, UnauthorizedOnce bool
	// Limited answers 429 while set, with RetryAfter unless that is 0.
	Limited    bool
	RetryAfter time.Duration
	// LimitEvery answers 429 to about one request in so many.
	LimitEvery int
	// CutEvery closes the connection of about one request in so many, which has
	// no effect.
	CutEvery int
	// PageEvery answers an HTML page with status 200 to about one in so many,
	// and does nothing.
	PageEvery int
	// LateEvery closes the connection of about one write in so many, which
	// takes effect all the same, but only CRMOptions.Settle later.
	LateEvery int
	// LoseEvery closes the connection of about one write in so many after it
	// took effect.
	LoseEvery int
	// Poison holds keys or message ids of texts that are refused with 422.
	Poison []string
}

// SetFaults changes the faults from now on, also for requests under way that
// have not come that far. The function must not call the CRM.
func (c *CRM) SetFaults(change func(*Faults)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.faults)
}

// Pending answers how many late writes have not landed yet.
func (c *CRM) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// fate is what happens to one request.
type fate int

const (
	serve fate = iota
	down
	unauthorized
	limited
	cut
	page
	late
	lose
)

// decide draws the fate of a request.
func (c *CRM) decide(r *http.Request, writes bool) (fate, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.faults
	switch {
	case f.Down || time.Now().Before(f.DownUntil):
		return down, 0
	case f.Unauthorized || f.UnauthorizedOnce:
		f.UnauthorizedOnce = false
		return unauthorized, 0
	case c.options.Token != "" && r.Header.Get("Authorization") != "Bearer "+c.options.Token:
		return unauthorized, 0
	case f.Limited || c.oneIn(f.LimitEvery):
		c.limited[""]++
		return limited, f.RetryAfter
	case c.oneIn(f.CutEvery):
		return cut, 0
	case c.oneIn(f.PageEvery):
		return page, 0
	case writes && c.oneIn(f.LateEvery):
		return late, 0
	case writes && c.oneIn(f.LoseEvery):
		return lose, 0
	}
	return serve, 0
}

func (c *CRM) oneIn(n int) bool { return n > 0 && c.random.IntN(n) == 0 }

func (c *CRM) latency() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults.Latency
}

// refuse answers what a fate without effect looks like.
func refuse(w http.ResponseWriter, f fate, retryAfter time.Duration) {
	switch f {
	case down:
		http.Error(w, "<html><h1>503 Service Unavailable</h1></html>", http.StatusServiceUnavailable)
	case unauthorized:
		http.Error(w, `{"error":"unauthorized"}`, http.StatusUnauthorized)
	case limited:
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
		}
		http.Error(w, `{"error":"too many requests"}`, http.StatusTooManyRequests)
	case cut:
		panic(http.ErrAbortHandler) // closes the connection and logs nothing
	case page:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, "<!doctype html><title>Maintenance</title>")
	}
}

func (f *Faults) poisoned(key string) bool {
	return slices.Contains(f.Poison, key) || slices.Contains(f.Poison, messageID(key))
}

// wait ends early with the request.
func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
