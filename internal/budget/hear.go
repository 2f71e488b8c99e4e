package budget

import (
	"context"
	"net/http"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/internal/ledger"
)

// longestGuess bounds how long a 429 holds that does not say for how long.
const longestGuess = time.Minute

// tell brings what is new to this process and to the others. It costs a call to
// Redis only where there is something.
func (a *account) tell(ctx context.Context, news []ask) {
	if len(news) == 0 {
		return
	}
	a.obey(news, time.Now())
	a.exchange(ctx, news)
}

// late lists the buckets for which a request may have arrived so late that its
// cost must count from then: it had to connect first, say, or a machine was
// busy. Nobody knows when it arrived, but that it was before the answer, by what
// an answer takes at least.
func late(asks []ask, paid receipt, now time.Time) (news []ask) {
	if len(asks) == 0 {
		return nil
	}
	took := now.Sub(paid.here)
	paid.lane.learn(took)
	for _, k := range asks {
		if k.width > 0 && took-paid.usual > margin(k.Window)/2 {
			k.Late, k.Spent, k.Ago, k.cost = k.cost, paid.there, paid.usual, 0
			k.paid = paid.here
			news = append(news, k)
		}
	}
	return news
}

// hear draws the conclusions from an answer.
func (a *account) hear(r *rules, asks []ask, response *http.Response) (news []ask) {
	now := time.Now()
	if r.usage != nil {
		news = a.lessThanKnown(r, r.usage(response.Header), now)
	}
	if response.StatusCode == http.StatusTooManyRequests {
		d := hold(response.Header, asks, now)
		for _, k := range asks {
			k.cost, k.Hold = 0, d
			news = append(news, k)
		}
	}
	return news
}

// lessThanKnown lists the buckets of which the vendor has less left than is
// known here.
func (a *account) lessThanKnown(r *rules, said []connectors.Usage, now time.Time) (news []ask) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range said {
		for _, b := range r.buckets {
			if b.Name != u.Limit {
				continue
			}
			level := a.window(b).known(b, now)
			if b.Amount-u.Remaining > level.Own+level.Others {
				news = append(news, ask{bucket: b, cap: b.Amount, Correction: ledger.Correction{
					Said: true, Remaining: u.Remaining, Reset: max(u.Reset, 0),
				}})
			}
		}
	}
	return news
}

// hold is how long the vendor wants nothing.
func hold(h http.Header, asks []ask, now time.Time) time.Duration {
	if said := rest.RetryAfter(h, now); said > 0 {
		return said
	}
	shortest := longestGuess
	for _, k := range asks {
		if k.width > 0 {
			shortest = min(shortest, k.Window)
		}
	}
	return shortest
}

// obey remembers here what does not depend on Redis.
func (a *account) obey(news []ask, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range news {
		w := a.window(k.bucket)
		if k.Late > 0 {
			w.move(k, now)
		}
		w.held = later(w.held, now.Add(k.Hold))
		if k.Said && k.Remaining <= 0 {
			w.held = later(w.held, now.Add(k.Reset))
		}
	}
}
