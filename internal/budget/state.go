package budget

import "time"

// State is how an account's budget stands, as far as this process knows without
// asking: as Redis answered its last request.
type State struct {
	Account string `json:"account"`
	// Waiting is how many of this process's requests wait for the budget.
	Waiting int `json:"waiting"`
	// Processes is how many share the budget; 0 where Redis never said.
	Processes int `json:"processes"`
	// Alone: Redis is away, and this process spends its part.
	Alone   bool     `json:"alone"`
	Buckets []Bucket `json:"buckets"`
}

// Bucket is how one limit stands.
type Bucket struct {
	Limit string `json:"limit"`
	// Amount is the vendor's, Share what of it is spent at most, except by
	// urgent requests.
	Amount int `json:"amount"`
	Share  int `json:"share"`
	// Used is what was spent in the current window by all processes, Others what
	// the customer's other applications spent, as far as headers have shown.
	Used   int `json:"used"`
	Others int `json:"others"`
	// Until is when the next request can be sent; the zero time: now.
	Until time.Time `json:"until,omitzero"`
}

// State answers how the budget of the transport's account stands, with the
// limits of its own connector. It asks nobody.
func (t *Transport) State() State {
	a := t.account
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{Account: a.name, Waiting: int(a.waiting.Load()), Processes: a.processes, Alone: !a.lost.IsZero()}
	now := time.Now()
	for _, b := range t.current().buckets {
		level := a.window(b).known(b, now)
		s.Buckets = append(s.Buckets, Bucket{
			Limit: b.Name, Amount: b.Amount, Share: b.share,
			Used: level.Own, Others: level.Others, Until: a.until(b, now),
		})
	}
	return s
}

// Scarce reports whether half of our share of a limit is spent. It asks nobody.
func (t *Transport) Scarce() bool {
	t.account.mu.Lock()
	defer t.account.mu.Unlock()
	now := time.Now()
	for _, b := range t.current().buckets {
		if 2*t.account.window(b).known(b, now).Own >= b.share {
			return true
		}
	}
	return false
}

// Exhausted reports whether a limit allows no request for longer than that, and
// until when: the day's is spent, or the vendor asked for it. It asks nobody.
func (t *Transport) Exhausted(longer time.Duration) (until time.Time, exhausted bool) {
	now := time.Now()
	t.account.mu.Lock()
	defer t.account.mu.Unlock()
	for _, b := range t.current().buckets {
		until = later(until, t.account.until(b, now))
	}
	if until.Sub(now) <= longer {
		return time.Time{}, false
	}
	return until, true
}

// until is when the bucket allows an ordinary request again.
func (a *account) until(b *bucket, now time.Time) time.Time {
	w := a.window(b)
	if until := later(w.until, w.held); until.After(now) {
		return until
	}
	return time.Time{}
}
