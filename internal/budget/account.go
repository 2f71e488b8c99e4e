package budget

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crmsync/internal/ledger"
)

const (
	// retrial is how often those who wait ask whether Redis is back.
	retrial = 500 * time.Millisecond
	// returning is how long those who spent alone give each other to tell.
	returning = 3 * retrial
	// unknown is how many processes there are where Redis never said.
	unknown = 2
	// patience bounds what is promised without Redis, which may be back soon.
	patience = 30 * time.Second
)

// account is a CRM account's budget, as this process sees it.
type account struct {
	name, process string
	shared        Shared
	waiting       atomic.Int64

	mu        sync.Mutex
	windows   map[string]*window // by the bucket's key
	lanes     map[string]*lane
	processes int       // as Redis said last; 0: never
	lost      time.Time // since when Redis is away; zero: it is not
}

// denial says why a request has to wait; without a wait, that it has not, and
// when its cost was spent.
type denial struct {
	limit string
	wait  time.Duration
	alone bool // without Redis
	receipt
}

// receipt is when a cost was spent at the earliest, by the clocks of this process
// and of Redis.
type receipt struct {
	here, there time.Time
	lane        *lane
	usual       time.Duration // as the lane knew then
}

// take spends what the request costs, or says what denies it.
func (a *account) take(ctx context.Context, asks []ask) denial {
	begun := time.Now()
	asked, telling := a.orTell(asks)
	taken, ok := a.exchange(ctx, asked)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case !ok:
		return a.alone(asks, now)
	case telling:
		return denial{limit: asks[0].Name, wait: returning}
	}
	var d denial
	for i, level := range taken.Buckets {
		if d.wait < level.Wait {
			d = denial{limit: asks[i].Name, wait: level.Wait}
		}
	}
	for i, k := range asks {
		w := a.window(k.bucket)
		if d.wait == 0 {
			w.spend(k, now)
		}
		if k.cap == k.share {
			w.until = now.Add(taken.Buckets[i].Wait)
		}
	}
	d.receipt = receipt{here: begun, there: taken.At}
	return d
}

// orTell answers the asks without their costs where Redis does not know yet what
// was spent of their buckets. It is to hear that first, from others too.
func (a *account) orTell(asks []ask) ([]ask, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, telling := time.Now(), false
	tell := slices.Clone(asks)
	for i, k := range asks {
		oldest, _ := k.place(now)
		telling = telling || a.window(k.bucket).untold.sum(oldest) > 0
		tell[i].cost = 0
	}
	if telling {
		return tell, true
	}
	return asks, false
}

// alone decides without Redis.
func (a *account) alone(asks []ask, now time.Time) denial {
	processes := a.processes
	if processes == 0 {
		processes = unknown
	}
	var d denial
	for _, k := range asks {
		if wait := a.window(k.bucket).alone(k, processes, a.lost, now); wait > d.wait {
			d = denial{limit: k.Name, wait: min(wait, patience), alone: true}
		}
	}
	for _, k := range asks {
		if d.wait == 0 {
			a.window(k.bucket).spend(k, now)
			a.window(k.bucket).owe(k, now)
		}
	}
	d.receipt = receipt{here: now}
	return d
}

// exchange asks Redis, tells it what was spent without it, and remembers the
// answer, even where the caller has had enough meanwhile.
func (a *account) exchange(ctx context.Context, asks []ask) (ledger.Taken, bool) {
	questions, owed := a.questions(asks)
	taken, ok := a.shared.Take(context.WithoutCancel(ctx), a.name, a.process, questions)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for i, k := range asks {
		w := a.window(k.bucket)
		if ok {
			w.level, w.seen = taken.Buckets[i], now
			continue
		}
		oldest, _ := k.place(now)
		for slice, n := range owed[i] {
			w.untold = w.untold.with(oldest, slice, n)
		}
	}
	switch {
	case ok:
		a.processes, a.lost = taken.Processes, time.Time{}
	case a.lost.IsZero():
		a.lost = now
	}
	return taken, ok
}

// questions takes along what Redis does not know, so that it is told once.
func (a *account) questions(asks []ask) ([]ledger.Bucket, []tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	questions, owed := make([]ledger.Bucket, len(asks)), make([]tally, len(asks))
	for i, k := range asks {
		w := a.window(k.bucket)
		owed[i], w.untold = w.untold, nil
		oldest, _ := k.place(now)
		questions[i] = k.question(owed[i].sum(oldest), now)
	}
	return questions, owed
}

func (a *account) window(b *bucket) *window {
	w := a.windows[b.key]
	if w == nil {
		w = &window{}
		a.windows[b.key] = w
	}
	return w
}
