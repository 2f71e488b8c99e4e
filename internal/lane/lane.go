// Package lane drives everything that is asked of one configured connector.
//
// It joins calls into batches (batcher), lets nothing through while the CRM is
// away (Gate), and keeps a Temporal worker from taking tasks meanwhile (Tuner).
// The budget of requests is package budget's, in the client that the connector
// was opened with.
package lane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"

	"crmsync/connectors"
	"crmsync/sms"
)

// maxCall bounds one call, with all its requests and their waits for budget.
const maxCall = 10 * time.Minute

// singles is how many calls are under way at a time where a call takes only one
// item.
const singles = 16

// pairs is the same for batches where neither the CRM's limits nor its slowness
// speak for full ones: what arrives does not wait for the one call to end.
const pairs = 2

const (
	// sluggish is how long calls take for which full batches are worth a wait.
	sluggish = 100 * time.Millisecond
	// linger is how long a batch waits to fill at most: twice as long as a call
	// takes, which makes a third of the calls under load.
	linger = time.Second
	// maxPace is how long it waits where few requests are left.
	maxPace = 5 * time.Second
)

// ErrGivenBack says that an item was not sent: the lane has stopped, or too
// little time was left for a call.
var ErrGivenBack = errors.New("not sent: the lane stops, or too little time is left for a call")

// wrongLength is a connector's breach of the contract. What became of the items
// nobody knows.
type wrongLength struct{ got, want int }

func (e wrongLength) Error() string {
	return fmt.Sprintf("the connector answered %d outcomes for %d items", e.got, e.want)
}

// Options describe a lane.
type Options struct {
	Name       string // of the configured connector
	Definition connectors.Definition
	Connector  connectors.Connector
	// Scarce reports whether the requests that the CRM allows are running out;
	// nil: never.
	Scarce func() bool
	// Board is where processes tell each other of outages; nil: nowhere.
	Board Board
	Log   hclog.Logger
}

// Lane is all traffic with one configured connector. It is safe for concurrent
// use.
type Lane struct {
	Options
	gate *Gate
	stop context.CancelFunc
	ends context.Context //nolint:containedctx // the lane's life, which is longer than any call's

	find    *batcher[sms.Phone, found]
	put     *batcher[connectors.Record, connectors.Outcome]
	status  *batcher[connectors.StatusChange, connectors.Outcome]
	seek    *batcher[sms.Phone, found] // who carries a number whose consent is to be set
	consent *batcher[connectors.ConsentChange, connectors.Outcome]
	read    *batcher[connectors.Record, read]
	create  *batcher[connectors.NewContact, created]
	owner   *batcher[string, owner]
	adopt   *batcher[connectors.Record, connectors.Outcome]

	caps   atomic.Pointer[connectors.Capabilities]
	asking chan struct{}

	puts, statuses, adopts singleflight.Group // by key: nothing is written twice at a time
	owners                 singleflight.Group // by e-mail address
	running                atomic.Bool
	took                   atomic.Int64 // nanoseconds of the last call
}

type found struct {
	contacts []connectors.Contact
	err      *connectors.Error
}

type read struct {
	ref connectors.Ref
	err *connectors.Error
}

type created struct {
	contact connectors.Contact
	err     *connectors.Error
}

type owner struct {
	id  string
	err *connectors.Error
}

// New makes a lane. It does nothing by itself until Run.
func New(o Options) *Lane {
	if o.Board == nil {
		o.Board = alone{}
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	l := &Lane{Options: o, gate: newGate(o.Name, o.Log), asking: make(chan struct{}, 1)}
	l.ends, l.stop = context.WithCancel(context.Background())
	n := max(o.Definition.MaxBatch, 1)
	l.find = newBatcher(l, n, l.findContacts, func(r found) *connectors.Error { return r.err })
	l.put = newBatcher(l, n, o.Connector.PutMessages, outcomeError)
	l.read = newBatcher(l, n, l.findMessages, func(r read) *connectors.Error { return r.err })
	l.create = newBatcher(l, 1, l.createContact, func(r created) *connectors.Error { return r.err })
	l.owner = newBatcher(l, n, l.findOwners, func(r owner) *connectors.Error { return r.err })
	if adopter, ok := o.Connector.(connectors.Adopter); ok {
		l.adopt = newBatcher(l, n, adopter.AdoptMessages, outcomeError)
		l.adopt.parallel = func(time.Duration) int { return 1 } // so that no two texts take the same record
	}
	if updater, ok := o.Connector.(connectors.StatusUpdater); ok {
		l.status = newBatcher(l, n, updater.UpdateStatus, outcomeError)
	}
	if setter, ok := o.Connector.(connectors.ConsentSetter); ok {
		l.seek = newBatcher(l, n, l.findContacts, func(r found) *connectors.Error { return r.err })
		l.consent = newBatcher(l, n, setter.SetConsent, outcomeError)
		l.seek.linger, l.consent.linger = never, never
	}
	return l
}

func newBatcher[In, Out any](l *Lane, n int, call func(context.Context, []In) []Out, errOf func(Out) *connectors.Error) *batcher[In, Out] {
	b := &batcher[In, Out]{
		max: n, parallel: l.parallel, linger: l.linger,
		timeout: l.Definition.CallTimeout, leave: l.gate.leave, full: make(chan struct{}, 1),
	}
	if n == 1 {
		b.parallel = func(time.Duration) int { return singles }
	}
	b.admit = func() (int, error) {
		most, err := l.gate.enter(l.ends)
		if err != nil {
			return 0, ErrGivenBack
		}
		return most, nil
	}
	b.call = func(ctx context.Context, in []In) []Out {
		begun := time.Now()
		out := call(ctx, in)
		l.took.Store(int64(time.Since(begun)))
		l.gate.report(trouble(out, errOf))
		return out
	}
	b.verdict = func(r Out) verdict { return verdictOf(r, errOf(r)) }
	return b
}

// thrifty reports whether full batches are worth a wait.
func (l *Lane) thrifty(took time.Duration) bool {
	return len(l.Definition.Limits) > 0 || took >= sluggish
}

func (l *Lane) parallel(took time.Duration) int {
	if l.thrifty(took) {
		return 1
	}
	return pairs
}

// never is the linger of what must not wait for company.
func never(time.Duration) time.Duration { return 0 }

// linger is how long a batch waits to fill: twice as long as the CRM takes, or,
// once its requests run out, twice the time for which one of them has to last,
// since other processes spend them too.
func (l *Lane) linger(took time.Duration) time.Duration {
	if !l.thrifty(took) {
		return 0
	}
	patience := min(2*took, linger)
	if l.Scarce == nil || !l.Scarce() {
		return patience
	}
	for _, limit := range l.Definition.Limits {
		window := cmp.Or(limit.Window, 24*time.Hour)
		patience = max(patience, min(2*window/time.Duration(limit.Amount), maxPace))
	}
	return patience
}

// trouble is the error of a call that went wrong for all its items.
func trouble[Out any](results []Out, errOf func(Out) *connectors.Error) *connectors.Error {
	var first *connectors.Error
	for _, r := range results {
		err := errOf(r)
		if err == nil || !troubles(err) {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

func verdictOf(r any, err *connectors.Error) verdict {
	if o, ok := r.(connectors.Outcome); ok && o.State == connectors.NotAttempted {
		return notAttempted
	}
	if err != nil && err.WholeBatch {
		return refusedWhole
	}
	return final
}

func outcomeError(o connectors.Outcome) *connectors.Error { return o.Err }

// Run keeps the gate in step with the fleet's until ctx ends or the lane stops.
func (l *Lane) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ends, cancel)()
	l.running.Store(true)
	defer l.running.Store(false)
	l.gate.watch(ctx, l.Board, l.check)
}

// Stop gives back what was not sent. Calls under way end by themselves.
func (l *Lane) Stop() {
	l.stop()
	l.find.stop()
	l.put.stop()
	l.read.stop()
	l.create.stop()
	l.owner.stop()
	if l.adopt != nil {
		l.adopt.stop()
	}
	if l.status != nil {
		l.status.stop()
	}
	if l.consent != nil {
		l.seek.stop()
		l.consent.stop()
	}
}

// State answers the gate's state.
func (l *Lane) State() State { return l.gate.State() }

// quick is the longest call of a lane that is worth waiting for.
const quick = time.Second

// Quick answers what the connector can do if a call is likely to end within a
// second or so: the lane runs in this process and flows, the last call was fast,
// and no more than a batch waits.
func (l *Lane) Quick() (connectors.Capabilities, bool) {
	if !l.flows() {
		return connectors.Capabilities{}, false
	}
	return *l.caps.Load(), max(l.find.backlog(), l.put.backlog()) <= max(l.Definition.MaxBatch, singles)
}

// Idle reports whether no text waits for a call.
func (l *Lane) Idle() bool { return l.find.backlog()+l.put.backlog() == 0 }

// QuickConsent is Quick for a change of consent, which stands behind no texts.
func (l *Lane) QuickConsent() bool {
	return l.flows() && (l.consent == nil || max(l.seek.backlog(), l.consent.backlog()) <= singles)
}

func (l *Lane) flows() bool {
	return l.caps.Load() != nil && l.running.Load() && l.gate.State().Phase == Flowing && time.Duration(l.took.Load()) <= quick
}

// Running reports whether Run is under way.
func (l *Lane) Running() bool { return l.running.Load() }
