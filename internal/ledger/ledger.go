// Package ledger is what crmsync remembers to be fast, never to be right.
//
// It keeps five things in Redis: which event keys were accepted, which contact
// a number belongs to, which record a text became, which user an e-mail address
// is, and who was first to intend a write that a CRM cannot make idempotent. All of it may be lost at any moment:
// a lost memory costs a call to Temporal or to a CRM and nothing else.
//
// So no method answers an error. Where Redis is away or slow, a read is a miss,
// a write does nothing, and [Ledger.WinIntent] answers false. A call takes at
// most Options.Timeout; after a failure the following calls do not even try for
// half a second, but for one trial, so that a hanging Redis does not slow every
// event. The change between up and down is logged once, each call is counted
// through Options.OnOp.
//
// Every key carries the deployment's name and the identity of the Temporal
// namespace ([Ledger.Bind]): memories of one Temporal never hide events from
// another that was restored or set up anew.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"crmsync/internal/codec"
)

// DefaultTimeout bounds one call.
const DefaultTimeout = 100 * time.Millisecond

// pingTimeout bounds Ping, which a person or a probe waits for.
const pingTimeout = 2 * time.Second

// Options says where Redis is and who wants to know how it does.
type Options struct {
	// URL is redis://user:password@host:6379/0; rediss for TLS. Settings of
	// go-redis may follow as a query, such as pool_size=50; in sentinel mode
	// master_name must, and further sentinels and nodes do as addr=host:port.
	// Timeouts, retries and the protocol are the ledger's own.
	URL string
	// Mode is "single" (or empty), "sentinel" or "cluster".
	Mode string
	// Name is the deployment's name, the first part of every key; empty means
	// crmsync.
	Name string
	// Ring encrypts the values; nil leaves them as they are. Keys hold no number
	// either way, only keyed hashes.
	Ring *codec.Ring
	// Timeout bounds one call; 0 means DefaultTimeout.
	Timeout time.Duration
	// Log gets a line when Redis goes down or comes up; nil logs nothing.
	Log hclog.Logger
	// OnOp is told of every call: its name, and nil or why it failed. A call that
	// was not even tried has ErrSkipped. It must be safe for concurrent use, and
	// fast; nil counts nothing. A miss is no error.
	OnOp func(op string, err error)
}

// Errors that OnOp is told of.
var (
	// ErrSkipped: Redis failed a moment ago, and the call was not tried.
	ErrSkipped = errors.New("redis is down: call skipped")
	// ErrUnbound: the ledger does not know the Temporal namespace yet.
	ErrUnbound = errors.New("ledger is not bound to a namespace")
)

// Ledger is the memory. It is safe for concurrent use.
type Ledger struct {
	redis   redis.UniversalClient
	name    string
	ring    *codec.Ring
	timeout time.Duration
	onOp    func(string, error)
	health  health
	prefix  atomic.Pointer[string] // nil until Bind
}

// quiet drops what go-redis prints to stderr for the whole process: all of it
// comes back as an error too, and is told once instead of many times.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

// Open prepares the client. It does no I/O: a Redis that is away is no error,
// a URL that cannot be used is one, and does not repeat the password.
func Open(o Options) (*Ledger, error) {
	silence()
	timeout := cmp.Or(o.Timeout, DefaultTimeout)
	client, secrets, err := newClient(o.URL, o.Mode, timeout)
	if err != nil {
		return nil, err
	}
	l := &Ledger{redis: client, name: cmp.Or(o.Name, "crmsync"), ring: o.Ring, timeout: timeout, onOp: o.OnOp}
	if l.onOp == nil {
		l.onOp = func(string, error) {}
	}
	l.health.init(o.Log, secrets)
	return l, nil
}

// Bind sets the identity of the Temporal namespace that the memories belong to.
// Before it every read is a miss and every write does nothing. Binding again to
// another namespace leaves the old memories behind.
func (l *Ledger) Bind(namespaceID string) {
	p := prefix(l.name, namespaceID)
	l.prefix.Store(&p)
}

// Ping reports whether Redis answers, whatever the last calls did. It takes up
// to two seconds, or less as ctx says. Its error holds no password.
func (l *Ledger) Ping(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err := l.redis.Ping(bounded).Err()
	l.finish(ctx, "ping", read, err)
	return l.health.mask(err)
}

// State says whether Redis is up, since when, and what went wrong last.
func (l *Ledger) State() State { return l.health.state() }

// Close gives the connections back. Calls after it are misses.
func (l *Ledger) Close() error { return l.redis.Close() }

// do makes one call under all the rules of this package. It reports whether
// Redis answered.
func (l *Ledger) do(ctx context.Context, op string, a access, part string, call func(ctx context.Context, key string) error) bool {
	p := l.prefix.Load()
	if p == nil {
		l.onOp(op, ErrUnbound)
		return false
	}
	if !l.health.allow() {
		l.onOp(op, ErrSkipped)
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.finish(ctx, op, a, call(bounded, *p+part))
}

// finish counts a call that was made and draws the conclusion on Redis's health.
// A caller that gave up says nothing about Redis.
func (l *Ledger) finish(ctx context.Context, op string, a access, err error) bool {
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	err = l.health.mask(err)
	l.onOp(op, err)
	switch {
	case err == nil:
		l.health.succeeded(a)
	case ctx.Err() == nil:
		l.health.failed(a, err)
	}
	return err == nil
}
