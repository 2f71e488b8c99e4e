package ledger_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"crmsync/internal/codec"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

func ringOf(t *testing.T, keys ...string) *codec.Ring {
	t.Helper()
	var raw [][]byte
	for _, k := range keys {
		raw = append(raw, bytes.Repeat([]byte(k), 32))
	}
	ring, err := codec.NewRing(raw)
	require.NoError(t, err)
	return ring
}

func openGrants(t *testing.T, url string, ring *codec.Ring, change ...func(*ledger.Options)) *ledger.Grants {
	t.Helper()
	o := ledger.Options{URL: url, Ring: ring}
	for _, f := range change {
		f(&o)
	}
	g, err := ledger.OpenGrants(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

const grantText = "a grant with an s3cret"

func keepGrant(t *testing.T, g *ledger.Grants, value string) int64 {
	t.Helper()
	fence, err := g.LockGrant(t.Context(), "crm", "holder", 0, time.Minute)
	require.NoError(t, err)
	require.NoError(t, g.WriteGrant(t.Context(), "crm", fence, []byte(value)))
	require.NoError(t, g.UnlockGrant(t.Context(), "crm", "holder"))
	return fence
}

func readGrant(t *testing.T, g *ledger.Grants) ledger.Grant {
	t.Helper()
	grant, err := g.ReadGrant(t.Context(), "crm")
	require.NoError(t, err)
	return grant
}

func TestGrantsAreRefusedWithoutKeys(t *testing.T) {
	t.Parallel()
	for _, ring := range []*codec.Ring{nil, {}} {
		_, err := ledger.OpenGrants(ledger.Options{URL: "redis://localhost:6379/0", Ring: ring})
		require.ErrorIs(t, err, ledger.ErrNoKeys)
		require.ErrorContains(t, err, "grants.file")
	}
}

func TestAGrantIsKeptEncrypted(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	g := openGrants(t, server.URL, ringOf(t, "a"))
	require.Zero(t, readGrant(t, g).Version)
	fence := keepGrant(t, g, grantText)
	require.Equal(t, ledger.Grant{Value: []byte(grantText), Version: fence, Note: []byte{}}, readGrant(t, g))

	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	fields, err := c.HGetAll(t.Context(), "crmsync:grant:crm").Result()
	require.NoError(t, err)
	require.NotContains(t, fields["value"], "s3cret")
	ttl, err := c.TTL(t.Context(), "crmsync:grant:crm").Result()
	require.NoError(t, err)
	require.Negative(t, ttl, "it is kept for ever")
}

func TestKeysOfGrantsRotateByList(t *testing.T) {
	t.Parallel()
	url := devtest.Redis(t).URL
	keepGrant(t, openGrants(t, url, ringOf(t, "a")), grantText)
	both := openGrants(t, url, ringOf(t, "b", "a"))
	require.Equal(t, grantText, string(readGrant(t, both).Value), "the old key still reads")
	_, err := openGrants(t, url, ringOf(t, "b")).ReadGrant(t.Context(), "crm")
	require.ErrorIs(t, err, codec.ErrUnknownKey)
	keepGrant(t, both, grantText) // the next renewal
	require.Equal(t, grantText, string(readGrant(t, openGrants(t, url, ringOf(t, "b"))).Value))
}

func TestDeploymentsAndConnectorsDoNotShareGrants(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	ring := ringOf(t, "a")
	g := openGrants(t, server.URL, ring)
	keepGrant(t, g, grantText)
	require.Zero(t, readGrant(t, openGrants(t, server.URL, ring, func(o *ledger.Options) { o.Name = "other" })).Version)
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.Copy(t.Context(), "crmsync:grant:crm", "crmsync:grant:second", 0, true).Err())
	_, err := g.ReadGrant(t.Context(), "second")
	require.Error(t, err, "a sealed grant means nothing elsewhere")
}

func TestTheLockOfAGrantEndsWithItsLease(t *testing.T) {
	t.Parallel()
	g := openGrants(t, devtest.Redis(t).URL, ringOf(t, "a"))
	first, err := g.LockGrant(t.Context(), "crm", "one", 0, 2*time.Second)
	require.NoError(t, err)
	_, err = g.LockGrant(t.Context(), "crm", "two", 0, time.Minute)
	require.ErrorIs(t, err, ledger.ErrLocked)
	_, err = g.LockGrant(t.Context(), "other", "two", 0, time.Minute)
	require.NoError(t, err, "another connector's is free")
	var second int64
	require.Eventually(t, func() bool {
		second, err = g.LockGrant(t.Context(), "crm", "two", 0, time.Minute)
		return err == nil
	}, patient, 10*time.Millisecond)
	require.Greater(t, second, first)
	require.NoError(t, g.UnlockGrant(t.Context(), "crm", "one"))
	_, err = g.LockGrant(t.Context(), "crm", "one", 0, time.Minute)
	require.ErrorIs(t, err, ledger.ErrLocked, "a lock that has run out cannot give another's back")
	require.NoError(t, g.UnlockGrant(t.Context(), "crm", "two"))
	_, err = g.LockGrant(t.Context(), "crm", "one", 0, time.Minute)
	require.NoError(t, err)
}

func TestAnOldHolderCannotOverwriteANewerGrant(t *testing.T) {
	t.Parallel()
	g := openGrants(t, devtest.Redis(t).URL, ringOf(t, "a"))
	old := keepGrant(t, g, "1")
	require.NoError(t, g.WriteGrant(t.Context(), "crm", old, []byte("1")), "writing twice is writing once")
	younger := keepGrant(t, g, "2")
	require.ErrorIs(t, g.WriteGrant(t.Context(), "crm", old, []byte("1")), ledger.ErrFenced)
	require.Equal(t, "2", string(readGrant(t, g).Value))
	require.NoError(t, g.WriteGrant(t.Context(), "crm", younger+1, nil), "a person signs out")
	require.ErrorIs(t, g.WriteGrant(t.Context(), "crm", younger, []byte("2")), ledger.ErrFenced)
	require.Empty(t, readGrant(t, g).Value)
}

func TestANoteIsOfOneGrant(t *testing.T) {
	t.Parallel()
	g := openGrants(t, devtest.Redis(t).URL, ringOf(t, "a"))
	version := keepGrant(t, g, "1")
	require.NoError(t, g.NoteGrant(t.Context(), "crm", version, []byte("refused")))
	require.Equal(t, "refused", string(readGrant(t, g).Note))
	require.NoError(t, g.NoteGrant(t.Context(), "crm", version-1, []byte("old")))
	require.Equal(t, "refused", string(readGrant(t, g).Note))
	keepGrant(t, g, "2")
	require.Empty(t, readGrant(t, g).Note)
}

func TestARedisThatStartedAnewKeepsCounting(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	g := openGrants(t, server.URL, ringOf(t, "a"))
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	for range 3 {
		keepGrant(t, g, "1")
	}
	require.NoError(t, c.FlushAll(t.Context()).Err())
	fence, err := g.LockGrant(t.Context(), "crm", "holder", 3, time.Minute)
	require.NoError(t, err)
	require.Equal(t, int64(4), fence, "above what the process knows")
	require.NoError(t, c.FlushAll(t.Context()).Err())
	require.NoError(t, g.WriteGrant(t.Context(), "crm", fence, []byte("1")))
	next, err := g.LockGrant(t.Context(), "crm", "holder", 0, time.Minute)
	require.NoError(t, err)
	require.Equal(t, int64(5), next)
}

// A Redis of 7.2 or newer is asked to have the write on its disk.
func TestAWriteWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	var synced int
	disk := 1
	require.NoError(t, fake.Server().Register("WAITAOF", func(c *server.Peer, _ string, args []string) {
		synced++
		require.Equal(t, []string{"1", "0", "2500"}, args)
		c.WriteLen(2)
		c.WriteInt(disk)
		c.WriteInt(0)
	}))
	var log bytes.Buffer
	g := openGrants(t, "redis://"+fake.Addr(), ringOf(t, "a"), func(o *ledger.Options) {
		o.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	keepGrant(t, g, "1")
	require.Equal(t, 1, synced)
	require.Empty(t, log.String())
	disk = 0
	keepGrant(t, g, "2")
	require.Contains(t, log.String(), "not on its disk")
	require.Equal(t, "2", string(readGrant(t, g).Value))
}

func TestErrorsOfGrantsHoldNoSecret(t *testing.T) {
	t.Parallel()
	g := openGrants(t, "redis://:s3cret@127.0.0.1:1/0", ringOf(t, "a"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, read := g.ReadGrant(ctx, "crm")
	_, lock := g.LockGrant(ctx, "crm", "h", 0, time.Minute)
	for _, err := range []error{
		read, lock, g.UnlockGrant(ctx, "crm", "h"),
		g.WriteGrant(ctx, "crm", 1, []byte(grantText)), g.NoteGrant(ctx, "crm", 1, []byte("n")),
	} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestGrantsInACluster(t *testing.T) {
	t.Parallel()
	address := startServer(t, "--cluster-enabled", "yes")
	c := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return c.Set(t.Context(), "probe", "1", 0).Err() == nil
	}, patient, 10*time.Millisecond)
	g := openGrants(t, "redis://"+address, ringOf(t, "a"), func(o *ledger.Options) { o.Mode = "cluster" })
	keepGrant(t, g, grantText)
	require.Equal(t, grantText, string(readGrant(t, g).Value))
}

func TestRedisThatMayLoseGrantsIsNamed(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]ledger.Settings{
		"":                  {Version: "7.2.4", AppendOnly: "1", AppendSync: "everysec", MaxMemory: "0", Policy: "noeviction"},
		"when it restarts":  {Version: "7.2.4", AppendOnly: "0", AppendSync: "everysec", MaxMemory: "0"},
		"to the system":     {Version: "7.2.4", AppendOnly: "1", AppendSync: "no", MaxMemory: "0"},
		"throws them away":  {Version: "7.2.4", AppendOnly: "1", AppendSync: "always", MaxMemory: "1000", Policy: "allkeys-lru"},
		"lose the last sec": {Version: "7.0.15", AppendOnly: "1", AppendSync: "everysec", MaxMemory: "0"},
	} {
		require.Contains(t, s.GrantRisk(), want)
		if want == "" {
			require.Empty(t, s.GrantRisk())
		}
	}
	require.Empty(t, ledger.Settings{Version: "7.0.15", AppendOnly: "1", AppendSync: "always"}.GrantRisk())
	require.Empty(t, ledger.Settings{Version: "7.0.15", AppendOnly: "1", MaxMemory: "9", Policy: "volatile-lru"}.GrantRisk(), "grants have no time limit")
	require.Empty(t, ledger.Settings{}.GrantRisk(), "a managed Redis says nothing")
}

// A user who may do only what the store of grants does, as docs/deployment.md says.
func TestGrantsWithAccessList(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "crmsync", "on", ">s3cret", "~crmsync:*",
		"+hello", "+select", "+eval", "+evalsha", "+time", "+hmget", "+hget", "+hset", "+hdel").Err())
	g := openGrants(t, "redis://crmsync:s3cret@"+server.Address+"/0", ringOf(t, "a"))
	version := keepGrant(t, g, grantText)
	require.NoError(t, g.NoteGrant(t.Context(), "crm", version, []byte("note")))
	require.Equal(t, "note", string(readGrant(t, g).Note))
	_, err := g.ReadGrant(t.Context(), "other")
	require.NoError(t, err)
	foreign := openGrants(t, "redis://crmsync:s3cret@"+server.Address+"/0", ringOf(t, "a"), func(o *ledger.Options) { o.Name = "other" })
	_, err = foreign.LockGrant(t.Context(), "crm", "holder", 0, time.Minute)
	require.ErrorContains(t, err, "NOPERM")
	require.NotContains(t, err.Error(), "s3cret")
}
