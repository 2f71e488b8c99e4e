package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"crmsync/internal/codec"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

var roomy = ledger.SpoolLimits{Events: 1000, Bytes: 1 << 20}

func openSpool(t *testing.T, o ledger.Options, limits ledger.SpoolLimits) *ledger.Spool {
	t.Helper()
	s, err := ledger.OpenSpool(o, limits)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// realSpool is one in a redis-server of the test's own.
func realSpool(t *testing.T, limits ledger.SpoolLimits) (*ledger.Spool, *redis.Client) {
	t.Helper()
	server := devtest.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	return openSpool(t, ledger.Options{URL: server.URL}, limits), c
}

func add(t *testing.T, s *ledger.Spool, stream ledger.Stream, values ...string) (entries []ledger.Entry) {
	t.Helper()
	for _, v := range values {
		e, err := s.Add(t.Context(), stream, []byte(v))
		require.NoError(t, err)
		entries = append(entries, e)
	}
	return entries
}

func take(t *testing.T, s *ledger.Spool, n int, idle time.Duration) []ledger.Entry {
	t.Helper()
	entries, err := s.Take(t.Context(), n, idle)
	require.NoError(t, err)
	return entries
}

func valuesOf(entries []ledger.Entry) (values []string) {
	for _, e := range entries {
		values = append(values, string(e.Value))
	}
	return values
}

func remove(t *testing.T, s *ledger.Spool, e ledger.Entry) bool {
	t.Helper()
	removed, err := s.Remove(t.Context(), e)
	require.NoError(t, err)
	return removed
}

func stateOf(t *testing.T, s *ledger.Spool) ledger.SpoolState {
	t.Helper()
	state, err := s.State(t.Context())
	require.NoError(t, err)
	return state
}

// spools goes the way of entries once, and leaves nothing behind.
func spools(t *testing.T, s *ledger.Spool) {
	t.Helper()
	require.NoError(t, s.Check(t.Context()))
	require.Empty(t, take(t, s, 10, time.Minute))
	require.Zero(t, stateOf(t, s))
	add(t, s, ledger.EventStream, "one", "two", "three")
	add(t, s, ledger.ConsentStream, "STOP")

	state := stateOf(t, s)
	require.EqualValues(t, 4, state.Waiting)
	require.Positive(t, state.Bytes)
	listed, err := s.List(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, []string{"STOP", "one", "two"}, valuesOf(listed), "which takes nothing")

	taken := take(t, s, 3, time.Minute)
	require.Equal(t, []string{"STOP", "one", "two"}, valuesOf(taken), "consent first, then the oldest")
	require.InDelta(t, time.Now().UnixMilli(), taken[0].At().UnixMilli(), 60_000)
	taken = append(taken, take(t, s, 3, time.Minute)...)
	require.Len(t, taken, 4)

	require.NoError(t, s.Bury(t.Context(), taken[3], "because"))
	require.NoError(t, s.Bury(t.Context(), taken[3], "twice is once"))
	dead, err := s.Dead(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{"three"}, valuesOf(dead))
	require.Equal(t, "because", dead[0].Why)
	require.EqualValues(t, 1, stateOf(t, s).Dead)
	revived, err := s.Revive(t.Context(), dead[0].ID)
	require.NoError(t, err)
	require.True(t, revived)
	again := take(t, s, 3, time.Minute)
	require.Equal(t, []string{"three"}, valuesOf(again))

	for _, e := range append(taken[:3], again...) {
		require.True(t, remove(t, s, e))
		require.False(t, remove(t, s, e), "once")
	}
	require.Zero(t, stateOf(t, s))
}

func TestSpool(t *testing.T) {
	t.Parallel()
	s, c := realSpool(t, roomy)
	spools(t, s)
	keys, err := c.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, "crmsync:spool:{crmsync}:"), key)
	}
}

// TestSpoolInTheProcess: dev has a Redis in the process where there is no other.
func TestSpoolInTheProcess(t *testing.T) {
	t.Parallel()
	spools(t, openSpool(t, ledger.Options{URL: "redis://" + miniredis.RunT(t).Addr()}, roomy))
}

// TestSpoolIsBounded: by number and by bytes, dead letters among them; what goes
// makes room.
func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := realSpool(t, ledger.SpoolLimits{Events: 3, Bytes: 30})
	const ten = "0123456789"
	first := add(t, s, ledger.EventStream, ten, ten, "12345")
	_, err := s.Add(t.Context(), ledger.ConsentStream, []byte("x"))
	require.ErrorIs(t, err, ledger.ErrFull, "by number")
	require.ErrorIs(t, s.Check(t.Context()), ledger.ErrFull)
	require.NoError(t, s.Bury(t.Context(), first[0], "why"))
	_, err = s.Add(t.Context(), ledger.ConsentStream, []byte("x"))
	require.ErrorIs(t, err, ledger.ErrFull, "a dead letter is still there")

	remove(t, s, first[2])
	require.NoError(t, s.Check(t.Context()))
	_, err = s.Add(t.Context(), ledger.EventStream, []byte(ten+"1"))
	require.ErrorIs(t, err, ledger.ErrFull, "by bytes")
	add(t, s, ledger.EventStream, ten)
	require.EqualValues(t, 30, stateOf(t, s).Bytes)
}

// TestSpoolOfTheDead: what a process took and did not remove is another's after
// a while, and not before.
func TestSpoolOfTheDead(t *testing.T) {
	t.Parallel()
	dead, c := realSpool(t, roomy)
	other := openSpool(t, ledger.Options{URL: "redis://" + c.Options().Addr}, roomy)
	add(t, dead, ledger.EventStream, "1", "2", "3", "4")
	require.Equal(t, []string{"1", "2"}, valuesOf(take(t, dead, 2, time.Hour)))
	require.Equal(t, []string{"3"}, valuesOf(take(t, other, 1, time.Hour)))
	require.Equal(t, []string{"1", "4"}, valuesOf(take(t, other, 2, 0)), "half of what is handed out is what was before")
	require.Equal(t, []string{"1", "2"}, valuesOf(take(t, other, 4, 0)))
}

// TestSpoolCountsOnce: however many remove an entry, bury it or bring it back,
// its bytes are given back once.
func TestSpoolCountsOnce(t *testing.T) {
	t.Parallel()
	s, _ := realSpool(t, roomy)
	for i := range 20 {
		kept := add(t, s, ledger.EventStream, "kept")[0]
		gone := add(t, s, ledger.EventStream, fmt.Sprintf("gone %d", i))[0]
		var wg sync.WaitGroup
		var removed atomic.Int32
		for range 8 {
			wg.Go(func() {
				if ok, err := s.Remove(t.Context(), gone); err == nil && ok {
					removed.Add(1)
				}
			})
			wg.Go(func() { _ = s.Bury(t.Context(), gone, "why") })
		}
		wg.Wait()
		dead, err := s.Dead(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 1, int(removed.Load())+len(dead), "it went one way")
		for _, e := range dead {
			dropped, err := s.Drop(t.Context(), e.ID)
			require.NoError(t, err)
			require.True(t, dropped)
		}
		require.Equal(t, ledger.SpoolState{Waiting: 1, Bytes: 4}, withoutAge(stateOf(t, s)))
		require.True(t, remove(t, s, kept))
		require.Zero(t, stateOf(t, s))
	}
}

func withoutAge(s ledger.SpoolState) ledger.SpoolState {
	s.Oldest = 0
	return s
}

// TestSpoolSurvives: a Redis that keeps what it was given has it after a crash,
// one that comes back empty begins anew.
func TestSpoolSurvives(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprint(kept), func(t *testing.T) {
			t.Parallel()
			server, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{Dir: t.TempDir(), AOF: kept})
			require.NoError(t, err)
			t.Cleanup(func() { _ = server.Stop() })
			s := openSpool(t, ledger.Options{URL: server.URL}, roomy)
			add(t, s, ledger.EventStream, "taken", "waits")
			before := take(t, s, 1, time.Hour)
			require.NoError(t, server.Kill())
			require.Error(t, s.Check(t.Context()))
			require.NoError(t, server.Start(t.Context()))
			require.Equal(t, kept, remove(t, s, before[0]))
			add(t, s, ledger.EventStream, "new")
			want := []string{"new"}
			if kept {
				want = []string{"waits", "new"}
			}
			require.Equal(t, want, valuesOf(take(t, s, 9, time.Hour)))
		})
	}
}

// TestSpoolOfAnotherType: somebody else's key is an error, and nothing is changed.
func TestSpoolOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"consent", "events", "dead", "bytes"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			s, c := realSpool(t, roomy)
			require.NoError(t, c.SAdd(t.Context(), "crmsync:spool:{crmsync}:"+part, "foreign").Err())
			_, err := s.Add(t.Context(), ledger.EventStream, []byte("x"))
			require.ErrorContains(t, err, "spool in redis: add: WRONGTYPE")
			require.NotErrorIs(t, err, ledger.ErrFull)
			require.Error(t, s.Check(t.Context()))
			keys, err := c.Keys(t.Context(), "*").Result()
			require.NoError(t, err)
			require.NotContains(t, strings.Join(keys, " "), ":{crmsync}:events:", "nothing else was written")
			require.LessOrEqual(t, len(keys), 2)
		})
	}
}

// TestSpoolIsSealed: nothing can be read without the key, which may be missing
// for a while, and what was spooled before there was one still can.
func TestSpoolIsSealed(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	with := func(ring *codec.Ring) *ledger.Spool {
		return openSpool(t, ledger.Options{URL: server.URL, Ring: ring}, roomy)
	}
	plain, old, both, none := with(nil), with(ringOf(t, "a")), with(ringOf(t, "b", "a")), with(ringOf(t, "c"))
	add(t, plain, ledger.EventStream, "in the clear")
	add(t, old, ledger.EventStream, "a secret")
	add(t, both, ledger.EventStream, "another")
	listed, err := both.List(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{"in the clear", "a secret", "another"}, valuesOf(listed))
	for _, s := range []*ledger.Spool{plain, none} {
		listed, err := s.List(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, "in the clear", string(listed[0].Value))
		require.ErrorIs(t, listed[1].Err, codec.ErrUnknownKey)
		require.ErrorIs(t, listed[2].Err, codec.ErrUnknownKey)
	}
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	raw, err := c.XRange(t.Context(), "crmsync:spool:{crmsync}:events", "-", "+").Result()
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(raw[1:]), "secret")
	require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{
		Stream: "crmsync:spool:{crmsync}:events", Values: []any{"sealed", raw[1].Values["sealed"].(string) + "x"},
	}).Err())
	damaged, err := both.List(t.Context(), 10)
	require.NoError(t, err)
	require.Error(t, damaged[3].Err)
	require.NotErrorIs(t, damaged[3].Err, codec.ErrUnknownKey, "no key will mend it")
}

// TestSpoolIsAway: it says so in good time, also where Redis only hangs, and
// without the password.
func TestSpoolIsAway(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	hanging := newProxy(t, server.Address)
	hanging.mute.Store(true)
	for name, url := range map[string]string{
		"away": "redis://user:s3cret@127.0.0.1:1/0", "hangs": hanging.url(),
	} {
		s := openSpool(t, ledger.Options{URL: url}, roomy)
		begun := time.Now()
		_, err := s.Add(t.Context(), ledger.EventStream, []byte("x"))
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "s3cret")
		require.Less(t, time.Since(begun), 4*time.Second, name) // 2 s, and what a busy machine adds
		_, err = s.Take(t.Context(), 1, 0)
		require.Error(t, err, name)
	}
}
