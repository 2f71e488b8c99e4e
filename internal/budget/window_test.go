package budget

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/ledger"
)

// grant is what was spent, and when.
type grant struct {
	at   time.Time
	cost int
}

// fullest answers the most that any stretch of the window's length holds. Those
// that begin with a grant are enough to look at.
func fullest(grants []grant, window time.Duration) (most int) {
	for i, first := range grants {
		sum := 0
		for _, g := range grants[i:] {
			if g.at.Sub(first.at) >= window {
				break
			}
			sum += g.cost
		}
		most = max(most, sum)
	}
	return most
}

// counter is one of the two ways to spend, at instants of the test.
type counter interface {
	take(k ask, now time.Time) (wait time.Duration)
}

type inRedis struct {
	*testing.T
	*ledger.Ledger
	mini *miniredis.Miniredis
}

func newInRedis(t *testing.T) counter {
	m := miniredis.RunT(t)
	l, err := ledger.Open(ledger.Options{URL: "redis://" + m.Addr(), Timeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return inRedis{t, l, m}
}

func (r inRedis) take(k ask, now time.Time) time.Duration {
	r.mini.SetTime(now)
	taken, ok := r.Take(r.Context(), "acme", "p1", []ledger.Bucket{k.question(0, now)})
	require.True(r, ok, r.State().LastError)
	return taken.Wait
}

type inMemory struct{ *window }

func (m inMemory) take(k ask, now time.Time) time.Duration {
	wait := m.alone(k, 1, time.Time{}, now)
	if wait == 0 {
		m.spend(k, now)
	}
	return wait
}

// counters are to behave the same.
var counters = map[string]func(*testing.T) counter{
	"with Redis":    newInRedis,
	"without Redis": func(*testing.T) counter { return inMemory{&window{}} },
}

var limits = map[string]connectors.Limit{
	"1s":    {Name: "a", Amount: 5, Window: time.Second},
	"2s":    {Name: "a", Amount: 40, Window: 2 * time.Second},
	"10s":   {Name: "a", Amount: 190, Window: 10 * time.Second},
	"tight": {Name: "a", Amount: 5, Window: 10 * time.Second},
	"5m":    {Name: "a", Amount: 600, Window: 5 * time.Minute},
	"hour":  {Name: "a", Amount: 1000, Window: time.Hour},
}

var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestNoWindowIsEverExceeded(t *testing.T) {
	t.Parallel()
	for way, start := range counters {
		for name, l := range limits {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(1, uint64(len(name))))
				b, c := newBucket(l, 1), start(t)
				var grants []grant
				for now := begin; len(grants) < 1000; {
					cost := 1 + random.IntN(max(l.Amount/10, 2))
					k := ask{bucket: b, cost: cost, cap: l.Amount}
					wait := c.take(k, now)
					if wait == 0 {
						grants = append(grants, grant{now, cost})
						// Bursts, and pauses up to two windows.
						wait = time.Duration(random.ExpFloat64() * float64(l.Window) / 10 * float64(random.IntN(3)))
					} else if random.IntN(2) == 0 {
						wait = time.Duration(random.Int64N(int64(wait))) // somebody does not listen
					}
					now = now.Add(wait)
				}
				require.LessOrEqual(t, fullest(grants, l.Window), l.Amount)
			})
		}
	}
}

func TestNearlyAllIsUsed(t *testing.T) {
	t.Parallel()
	atLeast := map[string]float64{"1s": 0.87, "2s": 0.92}
	for way, start := range counters {
		for name, l := range limits {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				b, c := newBucket(l, 1), start(t)
				spent, now, end := 0, begin.Add(b.width/3), begin.Add(30*l.Window)
				for now.Before(end) {
					cost := max(l.Amount/20, 1)
					wait := c.take(ask{bucket: b, cost: cost, cap: l.Amount}, now)
					if wait == 0 {
						spent += cost
					}
					now = now.Add(wait)
				}
				used := float64(spent) / float64(l.Amount*30)
				want, short := atLeast[name]
				if !short {
					want = 0.95
				}
				require.GreaterOrEqual(t, used, want)
				t.Logf("%.1f %% of %d", 100*used, l.Amount*30)
			})
		}
	}
}

// A day's bucket is full again at the vendor's midnight, whatever clocks do.
func TestDaysBegin(t *testing.T) {
	t.Parallel()
	for way, start := range counters {
		for name, c := range map[string]struct{ zone, now, next string }{
			"UTC":          {"UTC", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z"},
			"zone":         {"America/New_York", "2026-11-21T10:00:00Z", "2026-11-22T05:00:00Z"},
			"short day":    {"Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T22:00:00Z"},
			"long day":     {"America/New_York", "2026-11-01T04:30:00Z", "2026-11-02T05:00:00Z"},
			"no mindnight": {"Africa/Cairo", "2026-04-23T21:30:00Z", "2026-04-23T22:00:00Z"},
		} {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				now, err := time.Parse(time.RFC3339, c.now)
				require.NoError(t, err)
				next, err := time.Parse(time.RFC3339, c.next)
				require.NoError(t, err)
				b, counter := newBucket(connectors.Limit{Name: "day", Amount: 3, Midnight: c.zone}, 1), start(t)
				k := ask{bucket: b, cost: 3, cap: 3}
				require.Zero(t, counter.take(k, now))
				k.cost = 1
				require.Equal(t, next.Sub(now), counter.take(k, now))
				require.Equal(t, time.Millisecond, counter.take(k, next.Add(-time.Millisecond)))
				require.Zero(t, counter.take(k, next))
			})
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount int
		share  float64
		want   int
	}{{100, 0.6, 60}, {190, 1, 190}, {5, 0.8, 4}, {100, 0.29, 29}, {1, 0.1, 1}} {
		require.Equal(t, c.want, newBucket(connectors.Limit{Amount: c.amount, Window: time.Second}, c.share).share)
	}
}

func TestAPartOfTheShare(t *testing.T) {
	t.Parallel()
	l := connectors.Limit{Name: "a", Amount: 10, Window: 10 * time.Second}
	for _, c := range []struct{ processes, cost, want int }{
		{1, 1, 10}, {2, 1, 5}, {3, 1, 3}, {20, 1, 1}, {2, 3, 1}, {2, 9, 1},
	} {
		w, n := &window{}, 0
		for k := (ask{bucket: newBucket(l, 1), cost: c.cost, cap: 10}); w.alone(k, c.processes, time.Time{}, begin) == 0; n++ {
			w.spend(k, begin)
		}
		require.Equal(t, c.want, n, "%+v", c)
	}
}
