package ledger

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"crmsync/internal/codec"
)

// The keys of the spool. They are of the deployment and not of a Temporal
// namespace: what is spooled is for whichever Temporal comes. They share a hash
// tag, so that one script may use them in a cluster.
//
//	{name}:spool:{{name}}:consent   a stream: opt-outs and opt-ins
//	{name}:spool:{{name}}:events    a stream: all other events, and quarantined bodies
//	{name}:spool:{{name}}:dead      a stream: what Temporal refused for good
//	{name}:spool:{{name}}:bytes     what the values of all three take
//	{name}:spool:{{name}}:probe     for a second: somebody asked whether there is room
//
// An entry has one field, its value: "sealed" with a key, or "plain". A dead
// letter has the fields "stream" and "why", too. Persisted: append-only.
func spoolKeys(name string) []string {
	var keys []string
	for _, part := range []string{"consent", "events", "dead", "bytes", "probe"} {
		keys = append(keys, name+":spool:{"+name+"}:"+part)
	}
	return keys
}

const (
	// spoolTimeout bounds one call.
	spoolTimeout = 2 * time.Second
	// spoolPurpose binds a sealed value to the spool.
	spoolPurpose = "redis spool"
	// maxWhy is the longest reason that is kept with a dead letter, in bytes.
	maxWhy = 500
)

// ErrFull means that the spool holds as much as it may.
var ErrFull = errors.New("the spool is full")

//go:embed spool.lua
var spoolScript string

var spoolScripts = redis.NewScript(spoolScript)

// SpoolLimits are how many entries a spool holds at most, dead letters among
// them, and how many bytes their values take.
type SpoolLimits struct{ Events, Bytes int64 }

// Spool keeps in Redis what Temporal did not take, until it does: a stream that
// all processes read from. Unlike the memories of [Ledger] it must not be lost,
// so that its methods answer errors. It is safe for concurrent use.
//
// An entry that was taken and not removed comes again: whoever took it may have
// died. So it is removed only after Temporal has what it stands for, and may be
// taken twice.
type Spool struct {
	redis   redis.UniversalClient
	keys    []string
	ring    *codec.Ring
	limits  SpoolLimits
	secrets []string
	onOp    func(string, error)
}

// OpenSpool prepares the client, without any I/O. Of the options Timeout and Log
// do not matter.
func OpenSpool(o Options, limits SpoolLimits) (*Spool, error) {
	silence()
	client, secrets, err := newClient(o.URL, o.Mode, spoolTimeout)
	if err != nil {
		return nil, err
	}
	s := &Spool{redis: client, keys: spoolKeys(cmp.Or(o.Name, "crmsync")), ring: o.Ring, limits: limits, secrets: secrets, onOp: o.OnOp}
	if s.onOp == nil {
		s.onOp = func(string, error) {}
	}
	return s, nil
}

// Close gives the connections back.
func (s *Spool) Close() error { return s.redis.Close() }

// Settings asks Redis how it is set up, as [Ledger.Settings] does.
func (s *Spool) Settings(ctx context.Context) (Settings, error) {
	return settingsOf(ctx, s.redis, s.secrets)
}

// Stream is where an entry waits: those of the first go before any of the second.
type Stream int

// The streams.
const (
	ConsentStream Stream = iota + 1
	EventStream
	deadStream
)

// Entry is something that is spooled.
type Entry struct {
	Stream Stream
	// ID is Redis's, in the order of time.
	ID string
	// Value is empty where Err says why it cannot be read: [codec.ErrUnknownKey],
	// or it is damaged for good.
	Value []byte
	Err   error
	// Why a dead letter is one.
	Why string
}

// At is when the entry was put where it is, by the clock of Redis.
func (e Entry) At() time.Time {
	ms, _, _ := strings.Cut(e.ID, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n).UTC()
}

// Add spools a value, and answers where. It takes up to 2 s, and fails with
// [ErrFull] where there is no room; on any other error the value may have been
// spooled all the same.
func (s *Spool) Add(ctx context.Context, stream Stream, value []byte) (Entry, error) {
	field, stored := "plain", value
	if !s.ring.Empty() {
		field, stored = "sealed", s.ring.Seal(value, spoolPurpose)
	}
	id, err := s.run(ctx, "add", int(stream), field, stored, s.limits.Events, s.limits.Bytes).Text()
	if err == nil && id == "" {
		err = ErrFull
	}
	return Entry{Stream: stream, ID: id, Value: value}, s.failure("add", err)
}

// Take hands out up to n entries, consent first, the oldest of each first. Those
// that were taken before, but not removed for as long as idle, are up to half of
// them.
func (s *Spool) Take(ctx context.Context, n int, idle time.Duration) ([]Entry, error) {
	said, err := s.run(ctx, "take", n, idle.Milliseconds()).Slice()
	if err != nil {
		return nil, s.failure("take", err)
	}
	var entries []Entry
	for _, one := range said {
		if parts, ok := one.([]any); ok && len(parts) == 3 {
			stream, _ := strconv.Atoi(fmt.Sprint(parts[0]))
			entries = append(entries, s.entry(Stream(stream), fmt.Sprint(parts[1]), pairs(parts[2])))
		}
	}
	return entries, s.failure("take", nil)
}

// Remove drops an entry, or a dead letter, and reports whether it was there.
func (s *Spool) Remove(ctx context.Context, e Entry) (bool, error) {
	n, err := s.run(ctx, "remove", int(e.Stream), e.ID).Int()
	return n > 0, s.failure("remove", err)
}

// Drop deletes a dead letter, and reports whether it was there.
func (s *Spool) Drop(ctx context.Context, id string) (bool, error) {
	return s.Remove(ctx, Entry{Stream: deadStream, ID: id})
}

// Bury moves an entry to the dead letters.
func (s *Spool) Bury(ctx context.Context, e Entry, why string) error {
	return s.failure("bury", s.run(ctx, "bury", int(e.Stream), e.ID, why[:min(len(why), maxWhy)]).Err())
}

// Revive has a dead letter tried again, and reports whether there is one with
// this id.
func (s *Spool) Revive(ctx context.Context, id string) (bool, error) {
	n, err := s.run(ctx, "revive", id).Int()
	return n > 0, s.failure("revive", err)
}

// List answers up to n entries that wait, consent first, without taking them.
func (s *Spool) List(ctx context.Context, n int64) ([]Entry, error) {
	consent, err := s.list(ctx, ConsentStream, n)
	if err != nil || int64(len(consent)) >= n {
		return consent, err
	}
	events, err := s.list(ctx, EventStream, n-int64(len(consent)))
	return append(consent, events...), err
}

// Dead answers up to n dead letters, the oldest first.
func (s *Spool) Dead(ctx context.Context, n int64) ([]Entry, error) {
	return s.list(ctx, deadStream, n)
}

func (s *Spool) list(ctx context.Context, stream Stream, n int64) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, spoolTimeout)
	defer cancel()
	said, err := s.redis.XRangeN(ctx, s.keys[stream-1], "-", "+", n).Result()
	entries := make([]Entry, len(said))
	for i, message := range said {
		entries[i] = s.entry(stream, message.ID, message.Values)
	}
	return entries, s.failure("list", err)
}

// SpoolState is how a spool does.
type SpoolState struct {
	// Waiting counts entries, Dead dead letters; Bytes is what both take.
	Waiting, Dead, Bytes int64
	// Oldest is how long the oldest entry has waited; 0 if none waits.
	Oldest time.Duration
}

// State says how the spool does.
func (s *Spool) State(ctx context.Context) (SpoolState, error) {
	n, err := s.run(ctx, "state").Int64Slice()
	if err == nil && len(n) != 4 {
		err = errors.New("redis answers something else")
	}
	if err != nil {
		return SpoolState{}, s.failure("state", err)
	}
	return SpoolState{Waiting: n[0], Dead: n[1], Bytes: n[2], Oldest: time.Duration(n[3]) * time.Millisecond}, s.failure("state", nil)
}

// Check reports whether the spool would take an entry now, or fails.
func (s *Spool) Check(ctx context.Context) error {
	room, err := s.run(ctx, "check", s.limits.Events, s.limits.Bytes).Int()
	if err == nil && room == 0 {
		err = ErrFull
	}
	return s.failure("check", err)
}

func (s *Spool) run(ctx context.Context, function string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, spoolTimeout)
	defer cancel()
	return spoolScripts.Run(ctx, s.redis, s.keys, append([]any{function}, args...)...)
}

// entry opens the value among an entry's fields.
func (s *Spool) entry(stream Stream, id string, fields map[string]any) Entry {
	e := Entry{Stream: stream, ID: id}
	e.Why, _ = fields["why"].(string)
	if plain, ok := fields["plain"].(string); ok {
		e.Value = []byte(plain)
		return e
	}
	sealed, _ := fields["sealed"].(string)
	e.Value, e.Err = s.ring.Open([]byte(sealed), spoolPurpose)
	return e
}

// pairs reads what a script answers of an entry's fields.
func pairs(said any) map[string]any {
	list, _ := said.([]any)
	fields := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		fields[fmt.Sprint(list[i])] = list[i+1]
	}
	return fields
}

// failure counts a call, and hides what its error might repeat.
func (s *Spool) failure(op string, err error) error {
	if err == nil || errors.Is(err, ErrFull) {
		s.onOp("spool_"+op, nil)
		return err
	}
	err = fmt.Errorf("spool in redis: %s: %s", op, clean(err, s.secrets))
	s.onOp("spool_"+op, err)
	return err
}
