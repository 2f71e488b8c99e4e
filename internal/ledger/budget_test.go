package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

// start is at the begin of a slice.
var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// burst is a bucket of 5 in 10 s, in slices of a second.
func burst(cost int) ledger.Bucket {
	return ledger.Bucket{Key: "burst", Cost: cost, Cap: 4, Amount: 5, Width: time.Second, Span: 11}
}

func daily(cost int) ledger.Bucket {
	midnight := start.Truncate(24 * time.Hour)
	return ledger.Bucket{Key: "day", Cost: cost, Cap: 10, Amount: 10, Midnights: [3]time.Time{
		midnight.AddDate(0, 0, -1), midnight, midnight.AddDate(0, 0, 1),
	}}
}

// spender asks for one account, at instants of the test.
type spender struct {
	*testing.T
	*ledger.Ledger
	mini *miniredis.Miniredis
}

func newSpender(t *testing.T) spender {
	t.Helper()
	m := miniredis.RunT(t)
	m.SetTime(start)
	return spender{t, open(t, ledger.Options{URL: "redis://" + m.Addr(), Name: "test"}), m}
}

// take asks so long after the start.
func (s spender) take(after time.Duration, buckets ...ledger.Bucket) ledger.Taken {
	s.Helper()
	s.mini.SetTime(start.Add(after))
	taken, ok := s.Take(s.Context(), "acme", "p1", buckets)
	require.True(s, ok)
	require.Equal(s, start.Add(after), taken.At.UTC())
	taken.At = time.Time{}
	return taken
}

func TestBudgetIsSpentUntilTheWindowHasPassed(t *testing.T) {
	t.Parallel()
	s := newSpender(t)
	require.Equal(t, ledger.Taken{Processes: 1, Buckets: []ledger.Level{{Own: 3}}}, s.take(0, burst(3)))
	require.Equal(t, ledger.Taken{Processes: 1, Buckets: []ledger.Level{{Own: 4}}}, s.take(4500*time.Millisecond, burst(1)))
	denied := s.take(5*time.Second, burst(2))
	require.Equal(t, 6*time.Second, denied.Wait, "the first slice ends to count eleven seconds after its begin")
	require.Equal(t, 4, denied.Buckets[0].Own, "what is denied costs nothing")
	require.Equal(t, 10*time.Second, s.take(5*time.Second, burst(4)).Wait, "it needs the second one too")
	require.Equal(t, time.Millisecond, s.take(10999*time.Millisecond, burst(2)).Wait)
	require.Zero(t, s.take(11*time.Second, burst(2)).Wait)
}

func TestBudgetIsTakenFromAllBucketsOrNone(t *testing.T) {
	t.Parallel()
	s := newSpender(t)
	require.Zero(t, s.take(0, burst(4), daily(9)).Wait)
	denied := s.take(time.Second, burst(1), daily(1))
	require.Equal(t, 10*time.Second, denied.Wait)
	require.Equal(t, []ledger.Level{{Own: 4, Wait: 10 * time.Second}, {Own: 9}}, denied.Buckets)
	denied = s.take(11*time.Second, burst(1), daily(2))
	require.Equal(t, 12*time.Hour-11*time.Second, denied.Wait)
	require.Zero(t, s.take(11*time.Second, burst(1), daily(1)).Wait)
}

func TestBudgetOfADay(t *testing.T) {
	t.Parallel()
	s := newSpender(t)
	require.Zero(t, s.take(0, daily(10)).Wait)
	require.Equal(t, time.Second, s.take(12*time.Hour-time.Second, daily(1)).Wait)
	// A caller whose clock is late has not noticed that the day has ended.
	require.Equal(t, 1, s.take(12*time.Hour, daily(1)).Buckets[0].Own)
	next := daily(1)
	for i := range next.Midnights {
		next.Midnights[i] = next.Midnights[i].AddDate(0, 0, 1)
	}
	require.Equal(t, 2, s.take(12*time.Hour+time.Second, next).Buckets[0].Own, "one that has means the same day")
	s = newSpender(t)
	require.Zero(t, s.take(0, daily(10)).Wait)
	require.Equal(t, 12*time.Hour, s.take(0, next).Wait, "nor does one that is early begin it")
}

func TestBudgetIsCorrected(t *testing.T) {
	t.Parallel()
	said := func(cost, remaining int, reset time.Duration) ledger.Bucket {
		b := burst(cost)
		b.Correction = ledger.Correction{Said: true, Remaining: remaining, Reset: reset}
		return b
	}
	s := newSpender(t)
	require.Equal(t, ledger.Level{Own: 1}, s.take(0, burst(1)).Buckets[0])
	require.Equal(t, ledger.Level{Own: 1}, s.take(0, said(0, 5, 0)).Buckets[0], "more than is known is not believed")
	require.Equal(t, ledger.Level{Own: 1, Others: 2}, s.take(time.Second, said(0, 2, 0)).Buckets[0])
	require.Equal(t, ledger.Level{Own: 1, Others: 2}, s.take(time.Second, said(0, 2, 0)).Buckets[0], "nor counted twice")
	require.Equal(t, ledger.Level{Own: 3, Others: 2}, s.take(2*time.Second, burst(2)).Buckets[0])
	require.Equal(t, 8*time.Second, s.take(3*time.Second, burst(1)).Wait, "others leave nothing, though our share has one left")

	s = newSpender(t)
	require.Equal(t, 3*time.Second, s.take(0, said(1, 0, 3*time.Second)).Wait, "it comes back when the vendor says")
	require.Zero(t, s.take(3*time.Second, burst(4)).Wait)

	held := burst(0)
	held.Hold = 7 * time.Second
	s = newSpender(t)
	require.Zero(t, s.take(0, held).Wait, "a correction does not wait")
	held.Hold = time.Second
	s.take(time.Second, held)
	require.Equal(t, 5*time.Second, s.take(2*time.Second, burst(1)).Wait, "the longest hold counts")

	owing := burst(1)
	owing.Owed = 3
	s = newSpender(t)
	require.Equal(t, 4, s.take(0, owing).Buckets[0].Own)
	require.Equal(t, ledger.Level{Own: 7, Wait: 11 * time.Second}, s.take(0, owing).Buckets[0], "what was spent was spent")
}

func TestBudgetCountsWhenSomethingArrived(t *testing.T) {
	t.Parallel()
	late := func(n int, spent time.Duration) ledger.Bucket {
		b := burst(0)
		b.Late, b.Spent = n, start.Add(spent)
		return b
	}
	s := newSpender(t)
	s.take(0, burst(4))
	there := late(3, 0)
	there.Ago = time.Second
	require.Equal(t, 4, s.take(4*time.Second, there).Buckets[0].Own)
	require.Equal(t, 4, s.take(4*time.Second, late(4, 3*time.Second)).Buckets[0].Own, "there are but three")
	s.mini.SetTime(start)
	require.Equal(t, 8*time.Second, s.take(3*time.Second, burst(1)).Wait)
	require.Zero(t, s.take(11*time.Second, burst(1)).Wait)
	require.Equal(t, 3*time.Second, s.take(11*time.Second, burst(1)).Wait)
	require.Equal(t, 4, s.take(11*time.Second, late(3, 2*time.Second)).Buckets[0].Own, "nothing was spent then")
	require.Equal(t, 4, s.take(11*time.Second, late(1, -time.Hour)).Buckets[0].Own)
}

func TestBudgetCountsProcesses(t *testing.T) {
	t.Parallel()
	s := newSpender(t)
	ask := func(process string) int {
		taken, ok := s.Take(t.Context(), "acme", process, nil)
		require.True(t, ok)
		return taken.Processes
	}
	require.Equal(t, 1, ask("p1"))
	require.Equal(t, 2, ask("p2"))
	s.mini.SetTime(start.Add(4 * time.Minute))
	require.Equal(t, 2, ask("p2"))
	s.mini.SetTime(start.Add(6 * time.Minute))
	require.Equal(t, 2, ask("p3"), "p1 has not asked for long")
}

func TestBudgetKeysEnd(t *testing.T) {
	t.Parallel()
	s := newSpender(t)
	s.take(0, burst(1), daily(1))
	require.Equal(t, []string{
		"test:budget:{acme}:bucket:burst", "test:budget:{acme}:bucket:day", "test:budget:{acme}:processes",
	}, s.mini.Keys(), "names are persisted: append-only")
	require.Equal(t, 11*time.Second, s.mini.TTL("test:budget:{acme}:bucket:burst"))
	require.Equal(t, 12*time.Hour, s.mini.TTL("test:budget:{acme}:bucket:day"))
	require.Equal(t, 5*time.Minute, s.mini.TTL("test:budget:{acme}:processes"))
	held := burst(0)
	held.Hold = time.Hour
	s.take(0, held)
	s.take(0, burst(1))
	require.Equal(t, time.Hour, s.mini.TTL("test:budget:{acme}:bucket:burst"))

	for i := range 100 {
		s.take(time.Hour+time.Duration(i)*10*time.Second, burst(1))
	}
	fields, err := s.mini.HKeys("test:budget:{acme}:bucket:burst")
	require.NoError(t, err)
	slices.Sort(fields)
	require.Len(t, fields, 3, "slices that do not count are removed: %v", fields)
}

func TestBudgetWithoutRedis(t *testing.T) {
	t.Parallel()
	f := newFixture(t, time.Second)
	_, ok := f.Take(t.Context(), "acme", "p1", []ledger.Bucket{burst(1)})
	require.True(t, ok)
	f.proxy.mute.Store(true)
	_, ok = f.Take(t.Context(), "acme", "p1", []ledger.Bucket{burst(1)})
	require.False(t, ok)
	require.False(t, f.State().Up)
	_, ok = f.Take(t.Context(), "acme", "p1", []ledger.Bucket{burst(1)})
	require.False(t, ok)
	require.ErrorIs(t, f.ops.lastOf("budget"), ledger.ErrSkipped)
	f.proxy.mute.Store(false)
	f.clock.pass()
	taken, ok := f.Take(t.Context(), "acme", "p1", []ledger.Bucket{burst(1)})
	require.True(t, ok)
	require.Equal(t, 3, taken.Buckets[0].Own, "the lost call was spent all the same")
}

// All that the daemon does with a budget, on the keys that are its own.
func TestBudgetOnRealServers(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = admin.Close() })
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "crmsync", "on", ">s3cret", "~crmsync:*", "+ping", "+hello", "+select",
		"+eval", "+evalsha", "+time", "+hgetall", "+hset", "+hincrby", "+hdel", "+pexpire", "+zadd", "+zremrangebyscore", "+zcard").Err())
	single := open(t, ledger.Options{URL: "redis://crmsync:s3cret@" + server.Address + "/0"})

	address := startServer(t, "--cluster-enabled", "yes")
	node := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { _ = node.Close() })
	require.NoError(t, node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return node.Set(t.Context(), "probe", "1", 0).Err() == nil
	}, patient, 10*time.Millisecond)
	cluster := open(t, ledger.Options{URL: "redis://" + address, Mode: "cluster"})

	for _, l := range []*ledger.Ledger{single, cluster} {
		long := ledger.Bucket{Key: "hour", Cap: 4, Amount: 5, Width: time.Hour, Span: 41, Cost: 3, Correction: ledger.Correction{Said: true, Remaining: 4}}
		taken, ok := l.Take(t.Context(), "acme", "p1", []ledger.Bucket{long, daily(0)})
		require.True(t, ok, l.State().LastError)
		require.WithinDuration(t, time.Now(), taken.At, time.Minute)
		taken.At = time.Time{}
		require.Equal(t, ledger.Taken{Processes: 1, Buckets: []ledger.Level{{Own: 3, Others: 1}, {}}}, taken)
		taken, ok = l.Take(t.Context(), "acme", "p2", []ledger.Bucket{long})
		require.True(t, ok)
		require.Equal(t, 2, taken.Processes)
		require.Greater(t, taken.Wait, 40*time.Hour)
		require.LessOrEqual(t, taken.Wait, 41*time.Hour)
	}
}

func BenchmarkTake(b *testing.B) {
	l, err := ledger.Open(ledger.Options{URL: devtest.Redis(b).URL})
	require.NoError(b, err)
	b.Cleanup(func() { _ = l.Close() })
	long := ledger.Bucket{Key: "burst", Cap: 1e9, Amount: 1e9, Width: 250 * time.Millisecond, Span: 41, Cost: 1}
	for b.Loop() {
		_, ok := l.Take(b.Context(), "acme", "p1", []ledger.Bucket{long, daily(0)})
		require.True(b, ok)
	}
}
