package budget

import (
	"net/http"
	"time"

	"crmsync/connectors"
	"crmsync/internal/ledger"
)

// parts is into how many slices a rolling window is divided, and margin how much
// longer than the vendor's it is, since a request may be on its way for longer
// than a later one: it may have to connect first.
const (
	parts     = 40
	minMargin = 100 * time.Millisecond
	maxMargin = time.Second
)

func margin(window time.Duration) time.Duration {
	return min(max(window/50, minMargin), maxMargin)
}

// bucket is a limit as it is counted.
type bucket struct {
	connectors.Limit
	key   string        // among the account's buckets
	width time.Duration // of a slice; 0: days
	zone  *time.Location
	share int // of the amount, what is spent at most
}

func (b *bucket) day(now time.Time) (from, to time.Time) { return connectors.Day(now.In(b.zone)) }

// newBucket expects a valid limit. What is spent at the end of one slice counts
// until the begin of another, so that one slice more than the window has must
// count.
func newBucket(l connectors.Limit, share float64) *bucket {
	zone, _ := l.Zone()
	b := &bucket{Limit: l, zone: zone, share: max(int(float64(l.Amount)*share+1e-9), 1)}
	if l.Midnight != "" {
		b.key = l.Name + ":" + l.Midnight
		return b
	}
	b.width = (l.Window + margin(l.Window) + parts*time.Millisecond - 1) / parts
	b.width = b.width.Truncate(time.Millisecond)
	b.key = l.Name + ":" + b.width.String()
	return b
}

const span = parts + 1

// cycle is how long a full bucket takes to be empty again.
func (b *bucket) cycle() time.Duration { return span * b.width }

// place answers the slices that count.
func (b *bucket) place(now time.Time) (oldest, current int64) {
	if b.width == 0 {
		from, _ := b.day(now)
		return from.UnixMilli(), from.UnixMilli()
	}
	current = now.UnixMilli() / b.width.Milliseconds()
	return current - span + 1, current
}

// ends answers when a slice that counts now will not count any more.
func (b *bucket) ends(slice int64, now time.Time) time.Time {
	if b.width == 0 {
		_, to := b.day(now)
		return to
	}
	return time.UnixMilli((slice + span) * b.width.Milliseconds())
}

// ask is what a request wants of a bucket.
type ask struct {
	*bucket
	cost int
	cap  int // what ours may come up to
	ledger.Correction
	paid time.Time // when what is Late was spent, by the clock of this process
}

// asks lists what the request takes, and from where. What costs more than the
// cap at once goes alone.
func (r *rules) asks(request *http.Request) []ask {
	var out []ask
	for _, b := range r.buckets {
		limit := b.share
		if urgent(request.Context()) {
			limit = b.Amount
		}
		if cost := b.CostOf(request); cost > 0 {
			out = append(out, ask{bucket: b, cost: min(cost, limit), cap: limit})
		}
	}
	return out
}

func (k ask) question(owed int, now time.Time) ledger.Bucket {
	q := ledger.Bucket{
		Key: k.key, Cost: k.cost, Cap: k.cap, Amount: k.Amount,
		Width: k.width, Span: span, Correction: k.Correction,
	}
	q.Owed = owed
	if k.width == 0 {
		from, to := k.day(now)
		before, _ := k.day(from.Add(-time.Millisecond))
		q.Midnights = [3]time.Time{before, from, to}
	}
	return q
}
