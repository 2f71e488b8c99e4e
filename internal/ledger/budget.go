package ledger

import (
	"context"
	_ "embed"
	"time"

	"github.com/redis/go-redis/v9"
)

// The keys of a CRM account's budget. They are of the deployment and not of a
// Temporal namespace, since a CRM counts on whatever becomes of that. Those of
// an account share a hash tag, so that one script may use them in a cluster.
//
//	{name}:budget:{{account}}:processes
//	{name}:budget:{{account}}:bucket:{key of the bucket}
func budgetKey(name, account, part string) string { return name + ":budget:{" + account + "}:" + part }

// processTTL is how long a process that asks for nothing is counted.
const processTTL = 5 * time.Minute

//go:embed budget.lua
var budgetScript string

var budget = redis.NewScript(budgetScript)

// Bucket is a bucket of a CRM account's request limits, and what a request does
// to it. Durations and instants are taken to the millisecond.
type Bucket struct {
	// Key tells the account's buckets apart, and those of another shape that had
	// the same name before.
	Key string
	// Cost is what the request spends: our own spending may come up to Cap, and
	// everybody's to Amount. It must not exceed Cap.
	Cost, Cap, Amount int
	// A rolling window is counted in slices: what is spent in one counts until
	// Span slices later begin, that one included.
	Width time.Duration
	Span  int
	// Midnights stands in place of a rolling window where Width is 0: when the
	// day began, when the next one does, and before them the day before.
	Midnights [3]time.Time
	Correction
}

// Correction is what is known of a bucket beside what Redis counts.
type Correction struct {
	// Owed is what was spent while Redis was away.
	Owed int
	// Said says that the vendor has told that Remaining is left, and all again
	// after Reset, unless that is 0.
	Said      bool
	Remaining int
	Reset     time.Duration
	// Hold is how long nothing may be sent at all; 0 for no such thing.
	Hold time.Duration
	// Late is how much of what was spent at Spent (as Taken.At was) may have
	// reached the CRM as late as Ago before now.
	Late  int
	Spent time.Time
	Ago   time.Duration
}

// Taken is how buckets stand after a call of Take.
type Taken struct {
	// Wait is how long to wait at least before asking again; 0: all was spent.
	Wait time.Duration
	// At is when, by the clock of Redis.
	At time.Time
	// Processes is how many have asked for the account within five minutes.
	Processes int
	Buckets   []Level
}

// Level is what is spent of a bucket.
type Level struct {
	Own, Others int
	// Wait is how long this bucket alone would make the request wait.
	Wait time.Duration
}

// Take spends the request's cost in all of the buckets, or in none where one of
// them does not allow it. Either way it applies what corrects them; a Cost of 0
// does only that. Time is that of Redis. False means that Redis did not answer,
// in which case something may have been spent all the same.
func (l *Ledger) Take(ctx context.Context, account, process string, buckets []Bucket) (Taken, bool) {
	const op = "budget"
	if !l.health.allow() {
		l.onOp(op, ErrSkipped)
		return Taken{}, false
	}
	keys := []string{budgetKey(l.name, account, "processes")}
	args := []any{process, processTTL.Milliseconds()}
	for _, b := range buckets {
		keys = append(keys, budgetKey(l.name, account, "bucket:"+b.Key))
		args = append(args, b.args()...)
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	said, err := budget.Run(bounded, l.redis, keys, args...).Int64Slice()
	if !l.finish(ctx, op, write, err) || len(said) != 3+3*len(buckets) {
		return Taken{}, false
	}
	return taken(said), true
}

// args are in the order of FIELDS in budget.lua.
func (b Bucket) args() []any {
	remaining := int64(-1)
	if b.Said {
		remaining = int64(max(b.Remaining, 0))
	}
	return []any{
		b.Cost, b.Owed, b.Cap, b.Amount, b.Width.Milliseconds(), b.Span,
		b.Midnights[0].UnixMilli(), b.Midnights[1].UnixMilli(), b.Midnights[2].UnixMilli(),
		remaining, b.Reset.Milliseconds(), b.Hold.Milliseconds(),
		b.Late, b.Spent.UnixMilli(), b.Ago.Milliseconds(),
	}
}

func taken(said []int64) Taken {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	t := Taken{Wait: ms(said[0]), At: time.UnixMilli(said[1]), Processes: int(said[2])}
	for rest := said[3:]; len(rest) > 0; rest = rest[3:] {
		t.Buckets = append(t.Buckets, Level{Own: int(rest[0]), Others: int(rest[1]), Wait: ms(rest[2])})
	}
	return t
}
