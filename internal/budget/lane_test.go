package budget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

func TestWaitsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		transport := keep(t, New(shared), 1, crm, five)
		for i := range 12 {
			go func() { _ = send(t.Context(), transport, fmt.Sprint(i)) }()
			synctest.Wait()
		}
		require.Equal(t, 5, crm.count())
		require.Equal(t, 7, transport.State().Waiting)
		<-time.After(11 * time.Second)
		require.Equal(t, 10, crm.count())
		<-time.After(11 * time.Second)
		require.Equal(t, []string{"/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/11"}, crm.seen())
		require.Equal(t, 5+1+5+1+2, shared.count(), "only the first asks, and only when there is hope")
		require.Zero(t, transport.State().Waiting)
	})
}

func TestOneBucketDoesNotHoldTheOthersUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm := &sender{}
		search := func(r *http.Request) int { return strings.Count(r.URL.Path, "search") }
		transport := keep(t, New(newMemory()), 1, crm,
			connectors.Limit{Name: "all", Amount: 50, Window: 10 * time.Second, Cost: func(r *http.Request) int { return 1 - search(r) }},
			connectors.Limit{Name: "search", Amount: 1, Window: time.Minute, Cost: search})
		for range 3 {
			go func() { _ = send(t.Context(), transport, "search") }()
		}
		synctest.Wait()
		require.Equal(t, 1, crm.count())
		for range 3 {
			require.NoError(t, send(t.Context(), transport, "put"))
		}
		require.Equal(t, 4, crm.count())
		<-time.After(3 * time.Minute)
		require.Equal(t, 6, crm.count())
	})
}

func TestUrgentRequestsUseTheHeadRoom(t *testing.T) {
	t.Parallel()
	for share, ordinary := range map[float64]int{0.6: 3, 1: 5} {
		synctest.Test(t, func(t *testing.T) {
			crm := &sender{}
			transport := keep(t, New(newMemory()), share, crm, five)
			for range 10 {
				go func() { _ = send(t.Context(), transport, "put") }()
			}
			synctest.Wait()
			require.Equal(t, ordinary, crm.count())
			for range 3 {
				go func() { _ = send(Urgent(t.Context()), transport, "consent") }()
			}
			synctest.Wait()
			require.Equal(t, 5, crm.count(), "the vendor's amount holds for urgent ones")
			require.Equal(t, 5-ordinary, strings.Count(strings.Join(crm.seen(), " "), "consent"))
			<-time.After(11 * time.Second)
			require.Equal(t, 3, strings.Count(strings.Join(crm.seen(), " "), "consent"), "urgent ones are the first")
			<-time.After(time.Minute)
		})
	}
}

func TestRefusesAtOnceWhatCannotBeSentInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, crm := newMemory(), &sender{}
		transport := keep(t, New(shared), 1, crm, five)
		for range 5 {
			require.NoError(t, send(t.Context(), transport, ""))
		}
		begun := time.Now()
		for left, waits := range map[time.Duration]bool{
			time.Second: false, 11 * time.Second: false, 13 * time.Second: true, // the call itself may take a second
		} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			if !waits {
				err := send(ctx, transport, "")
				after := limited(t, err)
				require.GreaterOrEqual(t, after, 10*time.Second)
				require.Less(t, after, 12*time.Second)
				require.ErrorContains(t, err, "not sent: the request budget (burst) is spent for 10")
				require.Equal(t, begun, time.Now())
			}
			cancel()
		}
		asked := shared.count()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		limited(t, send(ctx, transport, ""))
		require.Equal(t, asked, shared.count(), "what is known is not asked again")
		ctx, cancel = context.WithTimeout(t.Context(), 13*time.Second)
		defer cancel()
		require.NoError(t, send(ctx, transport, ""))
	})
}

func TestRefusesWhoStandsTooFarBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm := &sender{}
		transport := keep(t, New(newMemory()), 1, crm, five)
		errs := make(chan error, 20)
		for range 20 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				errs <- send(ctx, transport, "")
			}()
		}
		begun, sent := time.Now(), 0
		for range 20 {
			if err := <-errs; err == nil {
				sent++
			} else {
				limited(t, err)
			}
		}
		require.Equal(t, 10, sent)
		require.Less(t, time.Since(begun), 12*time.Second, "nobody waits for what will not come")
	})
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm := &sender{}
		transport := keep(t, New(newMemory()), 1, crm, connectors.Limit{Name: "a", Amount: 1, Window: time.Hour})
		require.NoError(t, send(t.Context(), transport, ""))
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		for range 2 { // the one that sleeps, and one that stands behind it
			go func() { errs <- send(ctx, transport, "") }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			err := <-errs
			require.ErrorIs(t, err, context.Canceled)
			e, is := errors.AsType[*connectors.Error](err)
			require.True(t, is)
			require.Equal(t, connectors.Unavailable, e.Kind)
			require.False(t, e.Ambiguous)
		}
		require.Equal(t, 1, crm.count())
		require.Zero(t, transport.State().Waiting)
	})
}

func TestConnectorsOfAnAccountShareIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crm, budgets := &sender{}, New(newMemory())
		one, two := keep(t, budgets, 1, crm, five), keep(t, budgets, 0.8, crm, five)
		for range 6 {
			go func() { _ = send(t.Context(), one, "") }()
			go func() { _ = send(t.Context(), two, "") }()
		}
		synctest.Wait()
		require.Equal(t, 5, crm.count())
		<-time.After(time.Minute)
		require.Equal(t, 12, crm.count())
	})
}
