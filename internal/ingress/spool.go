package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"crmsync/activities"
	"crmsync/internal/ledger"
	"crmsync/sms"
)

// liveFor is how long a spooled event counts as one that came just now. What an
// old copy of Redis brings back was written to its CRMs long ago.
const liveFor = 24 * time.Hour

// addTimeout is how long the spool may take before Temporal is asked, too.
const addTimeout = 200 * time.Millisecond

// parcel is what is taken in: an event, or a body that could not be decoded. The
// spool keeps it as JSON: fields are append-only.
type parcel struct {
	// At is when it came, in UTC; zero for what did not come from a webhook.
	At    time.Time               `json:"at,omitzero"`
	Event *sms.Event              `json:"event,omitempty"`
	Body  *activities.Quarantined `json:"body,omitempty"`
	// ID is that of the body's workflow.
	ID string `json:"id,omitempty"`
}

// live reports whether it came from a webhook, young whether it did so lately.
func (p parcel) live() bool { return !p.At.IsZero() }

func (p parcel) young() bool { return p.live() && time.Since(p.At) < liveFor }

// key is the id under which Temporal knows it, or a text of it.
func (p parcel) key() string {
	if p.Event != nil {
		return p.Event.Key()
	}
	return p.ID
}

// stream is where it is spooled.
func (p parcel) stream() ledger.Stream {
	if p.Event != nil && p.Event.Kind.Consent() {
		return ledger.ConsentStream
	}
	return ledger.EventStream
}

// SpooledKey answers the event key, or workflow id, of what is spooled.
func SpooledKey(entry ledger.Entry) (string, error) {
	p, err := unpack(entry)
	if err != nil {
		return "", err
	}
	return p.key(), nil
}

var errNoSpool = errors.New("there is no spool")

// attempt is a start that goes on when nobody waits for it any more.
type attempt struct {
	begun  time.Time
	done   chan struct{}
	result string
	err    error
}

// launch starts a parcel's workflow in the background, and gives its room back
// at the end.
func (d *Door) launch(ctx context.Context, p parcel, patience time.Duration, done func()) *attempt {
	a := &attempt{begun: time.Now(), done: make(chan struct{})}
	d.attempts.Store(p.key(), a)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	go func() {
		defer close(a.done)
		defer done()
		defer cancel()
		a.result, a.err = d.enter(ctx, p)
		d.forget(p, a)
	}()
	return a
}

// forget drops an attempt that has ended. One that succeeded is known until its
// entry has left the spool.
func (d *Door) forget(p parcel, a *attempt) {
	drop := func() { d.attempts.CompareAndDelete(p.key(), a) }
	if a.err == nil {
		time.AfterFunc(drainEvery, drop)
	} else {
		drop()
	}
}

// within reports whether the attempt has succeeded before a limit is over, counted
// from when it began.
func (a *attempt) within(limit time.Duration) bool {
	if a == nil {
		return false
	}
	timer := time.NewTimer(time.Until(a.begun.Add(limit)))
	defer timer.Stop()
	select {
	case <-a.done:
		return a.err == nil
	case <-timer.C:
		return false
	}
}

// failed reports whether the attempt has ended, and badly.
func (a *attempt) failed() bool {
	select {
	case <-a.done:
		return a.err != nil
	default:
		return false
	}
}

// keep takes a live parcel in: by Temporal if that takes it promptly, else by the
// spool or Temporal, whichever does first. A sender that goes away changes nothing.
func (d *Door) keep(ctx context.Context, p parcel) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	a := d.try(ctx, p)
	if a.within(d.breaker.patience()) {
		d.breaker.passed(a)
		d.remember(ctx, p)
		return a.result, nil
	}
	switch {
	case a == nil:
	case a.failed():
		d.breaker.missed(a)
	default:
		go d.judge(a)
	}
	return d.either(ctx, p, a)
}

// judge tells the breaker whether Temporal takes an event in time.
func (d *Door) judge(a *attempt) {
	if a.within(StartTimeout) {
		d.breaker.passed(a)
	} else {
		d.breaker.missed(a)
	}
}

// storeOutcome is what Temporal or the spool made of a parcel.
type storeOutcome struct {
	result string
	err    error
}

// either spools a parcel, and waits for Temporal, too, where an attempt is under
// way. Else Temporal is asked once the spool has failed, or takes too long.
func (d *Door) either(ctx context.Context, p parcel, a *attempt) (string, error) {
	spool := ask(func() (o storeOutcome) {
		// What is sent to Redis is followed, also when Temporal was first.
		lasting := context.WithoutCancel(ctx)
		ctx, cancel := context.WithTimeout(lasting, Patience)
		defer cancel()
		var entry ledger.Entry
		if entry, o.err = d.spool(ctx, p); o.err == nil {
			go d.follow(lasting, a, p, entry)
		}
		return o
	})
	patience := addTimeout
	if a != nil {
		patience = 0
	}
	hurry := time.NewTimer(patience)
	defer hurry.Stop()
	var temporal <-chan storeOutcome
	var spoolErr, startErr error
	for spoolErr == nil || startErr == nil {
		select {
		case o := <-spool:
			if o.err == nil {
				return Accepted, nil
			}
			spoolErr = o.err
			hurry.Reset(0)
		case <-hurry.C:
			if temporal == nil {
				temporal = ask(func() (o storeOutcome) { o.result, o.err = d.await(ctx, p, a); return o })
			}
		case o := <-temporal:
			if o.err == nil {
				return o.result, nil
			}
			startErr = o.err
		}
	}
	d.count(NotSpooled)
	d.Log.Warn("a webhook is refused: neither Temporal nor the spool takes its event", "event", p.key(), "temporal", startErr, "spool", spoolErr)
	return "", startErr
}

func ask(store func() storeOutcome) <-chan storeOutcome {
	answer := make(chan storeOutcome, 1)
	go func() { answer <- store() }()
	return answer
}

// try starts a live parcel, unless Temporal has just missed its deadline or has
// enough to do. Opt-outs are few, and are not kept away: one that is spooled is
// tried meanwhile all the same.
func (d *Door) try(ctx context.Context, p parcel) *attempt {
	select {
	case d.starts <- struct{}{}:
	default:
		return nil
	}
	if !d.breaker.allow(p.stream() == ledger.ConsentStream) {
		<-d.starts
		return nil
	}
	return d.launch(ctx, p, lateTimeout, func() { d.breaker.ended(); <-d.starts })
}

// wait takes a parcel in that is not spooled.
func (d *Door) wait(ctx context.Context, p parcel) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return d.await(ctx, p, nil)
}

// await waits for an attempt, or for room to make one, until ctx ends.
func (d *Door) await(ctx context.Context, p parcel, a *attempt) (string, error) {
	if a == nil {
		done, err := d.begin(ctx)
		if err != nil {
			return "", err
		}
		a = d.launch(ctx, p, lateTimeout, done)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return "", notTaken(ctx.Err())
	}
	if a.err != nil {
		return "", a.err
	}
	d.remember(ctx, p)
	return a.result, nil
}

// spool keeps a parcel in Redis until Temporal takes it.
func (d *Door) spool(ctx context.Context, p parcel) (ledger.Entry, error) {
	if d.Spool == nil {
		return ledger.Entry{}, errNoSpool
	}
	value, err := json.Marshal(p)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("spool: %w", err)
	}
	entry, err := d.Spool.Add(ctx, p.stream(), value)
	if err == nil {
		d.count(Spooled)
		d.drain.wakeUp()
	}
	return entry, err
}

// follow waits for an attempt whose parcel was spooled meanwhile; if it succeeds
// after all, nobody has to make another.
func (d *Door) follow(ctx context.Context, a *attempt, p parcel, entry ledger.Entry) {
	if a == nil {
		return
	}
	<-a.done
	if a.err == nil {
		d.settle(ctx, p, entry)
	}
}

// settle drops an entry whose workflow was started. Should that fail it comes
// again, and Temporal says that it is a duplicate.
func (d *Door) settle(ctx context.Context, p parcel, entry ledger.Entry) {
	d.remember(ctx, p)
	if removed, err := d.Spool.Remove(ctx, entry); err == nil && removed {
		d.count(Drained)
	}
}

func (d *Door) count(what SpoolEvent) {
	if d.Metrics != nil {
		d.Metrics.Spool(what)
	}
}
