package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

var ten = connectors.Limit{Name: "burst", Amount: 10, Window: 10 * time.Second}

// flood keeps a transport busy until the test ends.
func flood(t *testing.T, transport *Transport, n int) {
	t.Helper()
	for range n {
		go func() {
			for err := error(nil); err == nil; {
				err = send(t.Context(), transport, "")
			}
		}()
	}
	synctest.Wait()
}

func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		first, second := keep(t, New(shared), 1, crm, ten), keep(t, New(shared), 1, crm, ten)
		flood(t, first, 3)
		flood(t, second, 3)
		most := 0
		watch := func(d time.Duration) {
			for range d / (50 * time.Millisecond) {
				<-time.After(50 * time.Millisecond)
				most = max(most, crm.within(10*time.Second))
			}
		}
		watch(25 * time.Second)
		require.Equal(t, 10, most)
		sent := crm.count()

		shared.set(true)
		watch(65 * time.Second)
		require.Equal(t, 10, most, "two processes, half each, and none sends while it does not know what others sent")
		require.GreaterOrEqual(t, crm.count()-sent, 50, "and they go on")
		require.True(t, first.State().Alone)
		require.Equal(t, 2, first.State().Processes)

		shared.set(false)
		watch(time.Minute)
		require.Equal(t, 10, most, "what was spent alone is told")
		require.False(t, first.State().Alone)
	})
}

func TestAShortFailureOfRedisCostsLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		transport := keep(t, New(shared), 1, crm, ten)
		require.NoError(t, send(t.Context(), transport, ""))
		shared.set(true)
		go func() { <-time.After(300 * time.Millisecond); shared.set(false) }()
		begun := time.Now()
		require.NoError(t, send(t.Context(), transport, ""))
		require.Less(t, time.Since(begun), 600*time.Millisecond)
	})
}

func TestRedisWasNeverThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		shared.set(true)
		transport := keep(t, New(shared), 1, crm, ten, connectors.Limit{Name: "day", Amount: 12, Midnight: "UTC"})
		flood(t, transport, 3)
		<-time.After(10 * time.Second)
		require.Zero(t, crm.count(), "who knows what was sent before")
		<-time.After(time.Second)
		require.Equal(t, 5, crm.count(), "half of it: there may be another process")
		<-time.After(time.Hour)
		require.Equal(t, 6, crm.count(), "the day's part is spent")
		_, exhausted := transport.Exhausted(time.Minute)
		require.False(t, exhausted, "Redis may be back any moment, and know of more")
		shared.set(false)
		<-time.After(time.Hour)
		require.Equal(t, 12, crm.count())
		until, exhausted := transport.Exhausted(time.Minute)
		require.True(t, exhausted)
		require.Equal(t, 24*time.Hour, until.Sub(until.Truncate(24*time.Hour))+24*time.Hour)
	})
}

// What one process spent alone and has not told may be spent again by another,
// but no more, and only until it tells.
func TestWhatIsNotToldIsSpentTwiceAtMostOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		silent, other := keep(t, New(shared), 1, crm, ten), keep(t, New(shared), 1, crm, ten)
		require.NoError(t, send(t.Context(), silent, ""))
		require.NoError(t, send(t.Context(), other, ""))
		<-time.After(time.Minute)
		shared.set(true)
		for range 5 {
			require.NoError(t, send(t.Context(), silent, ""))
		}
		shared.set(false)
		flood(t, other, 20)
		require.Equal(t, 15, crm.within(10*time.Second), "one part on top")
		go func() { _ = send(t.Context(), silent, "") }()
		synctest.Wait()
		require.Equal(t, 15, shared.level(other.current().asks(request(t))[0].question(0, time.Now())).Own, "now it is told")
	})
}
