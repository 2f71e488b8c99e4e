package budget

import (
	"time"

	"crmsync/internal/ledger"
)

// tally counts by slice.
type tally map[int64]int

func (t tally) sum(oldest int64) (n int) {
	for slice, spent := range t {
		if slice >= oldest {
			n += spent
		}
	}
	return n
}

// with adds, and forgets what does not count any more.
func (t tally) with(oldest, slice int64, n int) tally {
	if t == nil {
		t = tally{}
	}
	for s := range t {
		if s < oldest {
			delete(t, s)
		}
	}
	t[slice] += n
	return t
}

// window is what this process knows of one bucket.
type window struct {
	spent  tally     // by this process
	untold tally     // of it, what Redis does not know
	held   time.Time // until when the vendor wants nothing

	// As Redis answered last:
	level ledger.Level
	seen  time.Time
	until time.Time // when an ordinary request fits again
}

// settling is the longest window that is waited for when Redis has gone.
const settling = time.Minute

// alone answers how long the request waits at least where each of so many
// processes spends its part.
func (w *window) alone(k ask, processes int, lost, now time.Time) time.Duration {
	part := max(k.cap/processes, 1)
	oldest, current := k.place(now)
	need, free := w.spent.sum(oldest)+min(k.cost, part), now
	for slice := oldest; slice <= current && need > part; slice++ {
		if n := w.spent[slice]; n > 0 {
			need, free = need-n, k.ends(slice, now)
		}
	}
	if k.width > 0 && k.Window <= settling {
		free = later(free, lost.Add(k.cycle()))
	}
	return later(free, w.held).Sub(now)
}

func (w *window) spend(k ask, now time.Time) {
	oldest, current := k.place(now)
	w.spent = w.spent.with(oldest, current, k.cost)
}

func (w *window) owe(k ask, now time.Time) {
	oldest, current := k.place(now)
	w.untold = w.untold.with(oldest, current, k.cost)
}

// move counts what was paid then as if it were now, in both tallies that have it.
func (w *window) move(k ask, now time.Time) {
	_, then := k.place(k.paid)
	oldest, current := k.place(now)
	for _, t := range []tally{w.spent, w.untold} {
		if t[then] >= k.Late {
			t[then] -= k.Late
			t.with(oldest, current, k.Late)
		}
	}
}

// known answers what is spent of the bucket, as far as this process knows.
func (w *window) known(b *bucket, now time.Time) ledger.Level {
	oldest, _ := b.place(now)
	level := w.level
	if _, seen := b.place(w.seen); seen < oldest {
		level = ledger.Level{}
	}
	level.Own = max(level.Own, w.spent.sum(oldest))
	return level
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
