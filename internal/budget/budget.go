// Package budget keeps the request limits of CRM accounts, so that a CRM never
// has to refuse a request for coming too soon.
//
//	budgets := budget.New(ledger)                          // one for the process
//	transport := budgets.Transport("acme", 0.8, next)      // one for each connector
//	connector, err := definition.Open(cfg, connectors.Env{Client: &http.Client{Transport: transport}})
//	transport.Keep(definition.For(connector))              // the limits, once they are known
//
// A [Transport] stands in the client that a connector is given. Before each
// request it takes what the request costs from all buckets ([connectors.Limit])
// that apply to it, or from none, and waits until they allow it; those who wait
// for the same buckets are served in order of arrival. The buckets of an account
// are shared by all connectors that name it and, through Redis, by all
// processes.
//
// # How much
//
// In no stretch of time as long as a window does crmsync spend more than its
// share of the bucket. The rest is head-room for the customer's other
// applications, and for requests marked with [Urgent]. Time is counted in
// slices, forty to a window, by the clock of Redis; what is spent in a slice
// counts until no window can hold it any more, and a little longer, since one
// request may be on its way for longer than a later one. Where an answer took
// much longer than usual, the request counts from when it may have arrived at the
// latest. That costs less than five percent of what a rolling window of 5 s or
// longer allows, and thirteen of one of a second.
//
// # What the vendor says
//
// Headers ([connectors.Definition].Usage) that tell of less than is known here
// mean that others have spent it: then everybody's spending is kept below the
// vendor's amount. More than the share is never believed. An answer 429 holds
// the buckets of that request in all processes for its Retry-After, or for the
// shortest of their windows where it does not say.
//
// # Without Redis
//
// Each process then spends its part of the share: as many parts as processes
// have asked for the account in the last five minutes, as Redis said last, or
// two where it never did, and at least one request a window. What it spent
// itself before counts, too. What others spent is not known any more, so that
// nothing is sent for one window first, if that is a minute or shorter: most
// often Redis is back before. Once it is, a process first tells what it spent
// alone, and waits a second and a half for others to do so. What one does not tell, since it
// has nothing to send, others may spend once more: at most its part.
//
// # Waiting
//
// A request that has to wait for longer than its context leaves for it, which is
// the deadline less the connector's CallTimeout, is refused at once: with a
// [*connectors.Error] of kind RATE_LIMITED that says when to come again, and
// nothing was sent. Only then CallTimeout begins, which bounds the request and
// the reading of its answer. So callers give as deadline when they need the
// result, not how long one request may take.
package budget

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"

	"crmsync/internal/ledger"
)

// Shared is what the processes know in common; *[ledger.Ledger] implements it.
type Shared interface {
	// Take spends in all buckets or in none. False means that nobody answered.
	Take(ctx context.Context, account, process string, buckets []ledger.Bucket) (ledger.Taken, bool)
}

// Budgets are those of all accounts. It is safe for concurrent use.
type Budgets struct {
	shared  Shared
	process string

	mu       sync.Mutex
	accounts map[string]*account
}

// New makes the budgets of a process.
func New(shared Shared) *Budgets {
	return &Budgets{shared: shared, process: rand.Text(), accounts: map[string]*account{}}
}

// Transport carries the requests of one connector to next once the account's
// budget allows them. share, above 0 and up to 1, is the part of each limit that
// may be spent. There are no limits before [Transport.Keep].
func (b *Budgets) Transport(account string, share float64, next http.RoundTripper) *Transport {
	return &Transport{account: b.account(account), share: share, next: next}
}

func (b *Budgets) account(name string) *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[name]
	if a == nil {
		a = &account{name: name, process: b.process, shared: b.shared, windows: map[string]*window{}, lanes: map[string]*lane{}}
		b.accounts[name] = a
	}
	return a
}

type urgentKey struct{}

// Urgent marks the requests that are made with the context as such that may use
// the head-room too, like an opt-out. The vendor's own limit holds for them all
// the same.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

func urgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }
