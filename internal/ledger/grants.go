package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"crmsync/internal/codec"
)

// The key of a connector's grant, a hash. It is of the deployment and not of a
// Temporal namespace, since a sign-in holds whatever becomes of that.
//
//	{name}:grant:{connector}
func grantKey(name, connector string) string { return name + ":grant:" + connector }

// grantTimeout bounds one call. Nothing but a renewal waits for it.
const grantTimeout = 3 * time.Second

// syncTimeout bounds how long a write waits until Redis has it on its disk:
// with appendfsync everysec that takes a second, or two under load.
const syncTimeout = 2500 * time.Millisecond

// Errors of a store of grants.
var (
	// ErrLocked: somebody else renews this grant.
	ErrLocked = errors.New("somebody else renews the sign-in")
	// ErrFenced: somebody whose lock is younger has written a grant.
	ErrFenced = errors.New("a younger grant is kept already")
	// ErrNoKeys: grants would lie in Redis in the clear.
	ErrNoKeys = errors.New("privacy.keys is not set, and grants are not kept in Redis unencrypted: " +
		"set it, or grants.file on a single machine")
)

// Grant is a connector's grant as it is stored.
type Grant struct {
	// Value is the grant; empty where there is none.
	Value []byte
	// Version is the number of the lock under which Value was written, 0 for
	// none.
	Version int64
	// Note is what is known of this Value.
	Note []byte
}

// Grants are the grants of connectors in Redis, encrypted with the keys of the
// ring. They are the one thing there that must not be lost, so that unlike those
// of [Ledger] its methods answer errors. It is safe for concurrent use.
//
// A lock has a number that grows with each. A grant is only ever replaced by one
// that was written under a higher number, so that whoever comes back to life
// after its lock has run out cannot put an old grant over a new one.
type Grants struct {
	redis   redis.UniversalClient
	name    string
	ring    *codec.Ring
	secrets []string
	log     hclog.Logger
}

// OpenGrants prepares the client, without any I/O. OnOp and Timeout do not
// matter; a ring without keys is refused with ErrNoKeys.
func OpenGrants(o Options) (*Grants, error) {
	silence()
	if o.Ring.Empty() {
		return nil, ErrNoKeys
	}
	client, secrets, err := newClient(o.URL, o.Mode, grantTimeout)
	if err != nil {
		return nil, err
	}
	g := &Grants{redis: client, name: cmp.Or(o.Name, "crmsync"), ring: o.Ring, secrets: secrets, log: o.Log}
	if g.log == nil {
		g.log = hclog.NewNullLogger()
	}
	return g, nil
}

// Close gives the connections back.
func (g *Grants) Close() error { return g.redis.Close() }

// Settings asks Redis how it is set up, as [Ledger.Settings] does.
func (g *Grants) Settings(ctx context.Context) (Settings, error) {
	return settingsOf(ctx, g.redis, g.secrets)
}

// ReadGrant answers what is stored of a connector.
func (g *Grants) ReadGrant(ctx context.Context, connector string) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	var stored struct {
		Value   string `redis:"value"`
		Version int64  `redis:"version"`
		Note    string `redis:"note"`
	}
	err := g.redis.HMGet(ctx, grantKey(g.name, connector), "value", "version", "note").Scan(&stored)
	if err != nil {
		return Grant{}, g.failure("read", err)
	}
	grant := Grant{Version: stored.Version, Note: []byte(stored.Note)}
	if stored.Value == "" {
		return grant, nil
	}
	if grant.Value, err = g.ring.Open([]byte(stored.Value), "redis grant:"+connector); err != nil {
		return Grant{}, fmt.Errorf("read the sign-in of %s: %w", connector, err)
	}
	return grant, nil
}

var lockGrant = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local is = redis.call('HMGET', KEYS[1], 'holder', 'until', 'fence')
if is[1] and is[1] ~= ARGV[1] and tonumber(is[2]) > now then return 0 end
local fence = math.max(tonumber(is[3] or '0'), tonumber(ARGV[2])) + 1
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[3]), 'fence', string.format('%.0f', fence))
return fence
`)

// LockGrant takes the connector's lock for the holder and answers its number,
// which is above any that Redis knows, and above known. It fails with ErrLocked
// while another holder has it, which ends with the lease.
func (g *Grants) LockGrant(ctx context.Context, connector, holder string, known int64, lease time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	keys := []string{grantKey(g.name, connector)}
	fence, err := lockGrant.Run(ctx, g.redis, keys, holder, known, lease.Milliseconds()).Int64()
	switch {
	case err != nil:
		return 0, g.failure("lock", err)
	case fence == 0:
		return 0, ErrLocked
	}
	return fence, nil
}

// UnlockGrant gives the lock back, if the holder still has it.
func (g *Grants) UnlockGrant(ctx context.Context, connector, holder string) error {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	return g.failure("unlock", unlockGrant.Run(ctx, g.redis, []string{grantKey(g.name, connector)}, holder).Err())
}

var unlockGrant = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HDEL', KEYS[1], 'holder', 'until') end
return 1
`)

// writeGrant also lifts the fence, for a Redis that has lost it.
const writeGrant = `
if tonumber(redis.call('HGET', KEYS[1], 'version') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'value', ARGV[2])
redis.call('HDEL', KEYS[1], 'note')
if tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'fence', ARGV[1]) end
return 1
`

// WriteGrant puts a grant, or none, in the place of all that was written under a
// lower number, and drops the note. It fails with ErrFenced if there is one of a
// higher number; writing twice is writing once. It returns once Redis has it on
// its disk, where Redis is 7.2 or newer and keeps what it holds at all.
func (g *Grants) WriteGrant(ctx context.Context, connector string, fence int64, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	if len(value) > 0 {
		value = g.ring.Seal(value, "redis grant:"+connector)
	}
	key := grantKey(g.name, connector)
	node, err := g.node(ctx, key)
	if err != nil {
		return g.failure("write", err)
	}
	// In one pipeline, since Redis waits for what came on the same connection.
	pipe := node.Pipeline()
	written := pipe.Eval(ctx, writeGrant, []string{key}, fence, value)
	synced := pipe.Do(ctx, "WAITAOF", 1, 0, syncTimeout.Milliseconds())
	_, _ = pipe.Exec(ctx)
	done, err := written.Int()
	switch {
	case err != nil:
		return g.failure("write", err)
	case done == 0:
		return ErrFenced
	}
	// A Redis without WAITAOF, or without a file to wait for, answers an error: that
	// is said at the start ([Settings.Risk]).
	if local, err := synced.Int64Slice(); err == nil && len(local) > 0 && local[0] == 0 {
		g.log.Warn("redis has a renewed sign-in, but not on its disk within 2.5 s", "connector", connector)
	}
	return nil
}

// node is the server that holds a key: in a cluster one of many.
func (g *Grants) node(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := g.redis.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return g.redis, nil
}

var noteGrant = redis.NewScript(`
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], 'note') else redis.call('HSET', KEYS[1], 'note', ARGV[2]) end
return 1
`)

// NoteGrant keeps a note for as long as the grant is that of the version.
func (g *Grants) NoteGrant(ctx context.Context, connector string, version int64, note []byte) error {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	return g.failure("note", noteGrant.Run(ctx, g.redis, []string{grantKey(g.name, connector)}, version, note).Err())
}

// failure hides what an error might repeat.
func (g *Grants) failure(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the sign-in in redis: %s", what, clean(err, g.secrets))
}

// GrantRisk says how Redis may lose a grant, and what to do about it; empty: it
// does not, or does not say.
func (s Settings) GrantRisk() string {
	if risk := s.Risk(); risk != "" {
		return risk
	}
	if s.AppendSync == "everysec" && s.before(7, 2) {
		return "may lose the last second, and a sign-in that was renewed in it: use 7.2 or newer, or set appendfsync always"
	}
	return ""
}

// before reports whether the server is older than a version.
func (s Settings) before(major, minor int) bool {
	var is [2]int
	if _, err := fmt.Sscanf(s.Version, "%d.%d", &is[0], &is[1]); err != nil {
		return false
	}
	return is[0] < major || is[0] == major && is[1] < minor
}
