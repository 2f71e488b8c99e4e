package lane

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// batcher joins calls that come at the same time, like a group commit: an idle
// one calls at once with a single item; what arrives while a call is under way
// makes up the next one. So there is no delay at rest and full batches under
// load. It is safe for concurrent use.
type batcher[In, Out any] struct {
	// max is the largest number of items in a call.
	max int
	// parallel is how many calls may be under way at a time, where the last one
	// took so long.
	parallel func(took time.Duration) int
	// timeout is how long a call may take. An item that has less time left is not
	// sent, so that no write happens after its caller has given up.
	timeout time.Duration
	// linger is how long a batch may wait to fill after one of several items that
	// took so long.
	linger func(took time.Duration) time.Duration
	// admit waits until a call may be made. It answers how many items it may have
	// (0: as many as fit), and an error once the lane has stopped.
	// leave says that an admitted call was not made.
	admit func() (int, error)
	leave func()
	// call makes one call, and answers one result for each item.
	call func(context.Context, []In) []Out
	// verdict reads a result.
	verdict func(Out) verdict

	mu      sync.Mutex
	waiting []*item[In, Out]
	running int
	last    call
	stopped bool
	full    chan struct{} // something waits that fills a batch
}

// call is one that has ended.
type call struct {
	size  int
	took  time.Duration
	ended time.Time
}

// verdict says what a result means for its batch.
type verdict int

const (
	final        verdict = iota
	notAttempted         // the item can go again at once
	refusedWhole         // one of the items is the reason: split
)

type item[In, Out any] struct {
	ctx  context.Context
	in   In
	most int // of its batch; 0: any number
	done chan struct{}
	out  Out
	err  error
}

// do adds an item to the next call and waits for its result. An item that was
// not sent answers ErrGivenBack, or the context's error. Once it was sent, do
// waits for the end of the call whatever the context says: what has ended must
// not write any more.
func (b *batcher[In, Out]) do(ctx context.Context, in In) (Out, error) {
	items := b.add(ctx, in)
	return b.wait(ctx, items[0])
}

// wait waits for one item that was added.
func (b *batcher[In, Out]) wait(ctx context.Context, it *item[In, Out]) (Out, error) {
	select {
	case <-it.done:
	case <-ctx.Done():
		if b.withdraw(it) {
			return it.out, ctx.Err()
		}
		<-it.done
	}
	return it.out, it.err
}

// add adds items together.
func (b *batcher[In, Out]) add(ctx context.Context, in ...In) []*item[In, Out] {
	items := make([]*item[In, Out], len(in))
	for i := range in {
		items[i] = &item[In, Out]{ctx: ctx, in: in[i], done: make(chan struct{})}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		finish(items, ErrGivenBack)
		return items
	}
	b.waiting = append(b.waiting, items...)
	if len(b.waiting) >= b.max {
		select {
		case b.full <- struct{}{}:
		default:
		}
	}
	if b.running < b.parallel(b.last.took) && len(items) > 0 {
		b.running++
		go b.run()
	}
	return items
}

// withdraw reports whether the item had not been taken yet.
func (b *batcher[In, Out]) withdraw(it *item[In, Out]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, it)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	return true
}

func (b *batcher[In, Out]) backlog() int {
	_, waiting := b.state()
	return waiting
}

// stop gives back what was not sent, now and from now on. Calls under way end.
func (b *batcher[In, Out]) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	finish(b.waiting, ErrGivenBack)
	b.waiting = nil
}

// run makes calls until nothing waits.
func (b *batcher[In, Out]) run() {
	for b.more() {
		b.gather()
		most, err := b.admit()
		batch := b.take(most)
		switch {
		case err != nil:
			finish(batch, err)
		case len(batch) == 0:
			b.leave()
		default:
			begun := time.Now()
			b.settle(batch, b.callFor(batch))
			b.note(call{size: len(batch), took: time.Since(begun), ended: time.Now()})
		}
	}
}

func (b *batcher[In, Out]) note(c call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = c
}

// state answers the last call, and how many items wait.
func (b *batcher[In, Out]) state() (last call, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, len(b.waiting)
}

// gather waits for a batch to fill. At rest nothing waits.
func (b *batcher[In, Out]) gather() {
	select {
	case <-b.full: // an old one, or it is full
	default:
	}
	last, waiting := b.state()
	wait := time.Until(last.ended.Add(b.linger(last.took)))
	if last.size <= 1 || wait <= 0 || waiting >= b.max {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.full:
	}
}

// more reports whether there is anything to do, and otherwise ends the run.
func (b *batcher[In, Out]) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 {
		return true
	}
	b.running--
	return false
}

// take takes the items that can be sent together, and gives those back whose
// time is too short.
func (b *batcher[In, Out]) take(most int) []*item[In, Out] {
	b.mu.Lock()
	defer b.mu.Unlock()
	most = min(cmp.Or(most, b.max), b.max)
	var batch []*item[In, Out]
	for len(b.waiting) > 0 && len(batch) < most {
		it := b.waiting[0]
		if it.most > 0 {
			most = min(most, it.most)
		}
		b.waiting = b.waiting[1:]
		if hasTime(it.ctx, b.timeout) {
			batch = append(batch, it)
		} else {
			finish([]*item[In, Out]{it}, ErrGivenBack)
		}
	}
	return batch
}

func hasTime(ctx context.Context, need time.Duration) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() == nil && (!bounded || time.Until(deadline) >= need)
}

func finish[In, Out any](batch []*item[In, Out], err error) {
	for _, it := range batch {
		it.err = err
		close(it.done)
	}
}

// callFor makes the call, which ends before the first of its members has to.
// A connector that panics must not end the process.
func (b *batcher[In, Out]) callFor(batch []*item[In, Out]) (out []Out) {
	ends := time.Now().Add(maxCall)
	in := make([]In, len(batch))
	for i, it := range batch {
		in[i] = it.in
		if deadline, bounded := it.ctx.Deadline(); bounded && deadline.Before(ends) {
			ends = deadline
		}
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(batch[0].ctx), ends)
	defer cancel()
	defer func() {
		if recover() != nil {
			out = nil
			b.leave() // else a probing gate would wait for this call for ever
		}
	}()
	return b.call(ctx, in)
}

// settle gives out the results. Items that were refused with others are halved
// until the reason stands alone, which takes two calls for each halving; items
// that the call was not about go again. Either goes before what has come since.
func (b *batcher[In, Out]) settle(batch []*item[In, Out], results []Out) {
	if len(results) != len(batch) {
		finish(batch, wrongLength{len(results), len(batch)})
		return
	}
	stuck := all(results, b.verdict, notAttempted)
	var whole, again []*item[In, Out]
	for i, it := range batch {
		switch v := b.verdict(results[i]); {
		case v == refusedWhole && len(batch) > 1:
			whole = append(whole, it)
		case v == notAttempted && !stuck:
			again = append(again, it)
		default:
			it.out = results[i]
			close(it.done)
		}
	}
	half := len(whole) / 2
	inBatchesOf(half, whole[:half])
	inBatchesOf(len(whole)-half, whole[half:])
	b.again(append(whole, again...))
}

// inBatchesOf keeps other items from joining these.
func inBatchesOf[In, Out any](most int, items []*item[In, Out]) {
	for _, it := range items {
		it.most = most
	}
}

func (b *batcher[In, Out]) again(items []*item[In, Out]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		finish(items, ErrGivenBack)
		return
	}
	b.waiting = append(items, b.waiting...)
}

func all[Out any](results []Out, of func(Out) verdict, v verdict) bool {
	return !slices.ContainsFunc(results, func(r Out) bool { return of(r) != v })
}
