package messages

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"crmsync/workflows"
)

func items(n int) []Item {
	list := make([]Item, n)
	for i := range list {
		list[i].Key = fmt.Sprintf("main/msg_%d/sms.received", i)
	}
	return list
}

func TestEachTells(t *testing.T) {
	t.Parallel()
	told := 0
	tally, err := Each(t.Context(), items(100), func(_ context.Context, item Item) error {
		switch item.Key {
		case "main/msg_3/sms.received":
			return errors.New("refused")
		case "main/msg_5/sms.received":
			return fmt.Errorf("%w: just now", ErrNotParked)
		}
		return nil
	}, func(now Tally) { told++; require.Equal(t, told, now.Tried()) })
	require.NoError(t, err)
	require.Equal(t, Tally{Found: 100, Done: 98, NotParked: 1, Failed: []Problem{{"main/msg_3/sms.received", "refused"}}}, tally)
	require.Equal(t, 100, told)

	tally, err = Each(t.Context(), nil, nil, nil)
	require.NoError(t, err)
	require.Zero(t, tally.Tried())
}

// An interrupt lets what is under way end, and begins nothing new.
func TestEachIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		interrupted := make(chan struct{})
		var begun atomic.Int32
		tally, err := Each(ctx, items(500), func(work context.Context, _ Item) error {
			switch n := begun.Add(1); {
			case n == 100:
				cancel()
				close(interrupted)
			case n > 100:
				<-interrupted
			}
			return work.Err()
		}, func(Tally) {})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, int(begun.Load()), tally.Done, "what had begun is counted")
		require.Equal(t, 500-tally.Done, tally.Left)
		require.GreaterOrEqual(t, tally.Left, 500-100-inFlight)
	})
}

// What does not end is given up after a grace, and nobody knows how it ended.
func TestEachInterruptedWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { synctest.Wait(); cancel() }()
		tally, err := Each(ctx, items(20), func(work context.Context, _ Item) error {
			<-work.Done()
			return work.Err()
		}, func(Tally) {})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, Tally{Found: 20, Left: 20, Failed: []Problem{}}, tally)
	})
}

func TestEachEndsWithoutWorkers(t *testing.T) {
	t.Parallel()
	tally, err := Each(t.Context(), items(500), func(context.Context, Item) error { return ErrNoWorker }, func(Tally) {})
	require.ErrorIs(t, err, ErrNoWorker)
	require.Positive(t, tally.Left)
}

// One workflow that is stuck does not hold the others back.
func TestEachPassesWhatIsStuck(t *testing.T) {
	t.Parallel()
	others := make(chan struct{})
	var done atomic.Int32
	tally, err := Each(t.Context(), items(50), func(_ context.Context, item Item) error {
		if item.Key == "main/msg_0/sms.received" {
			<-others
			return ErrNoWorker
		}
		if done.Add(1) == 40 {
			close(others)
		}
		return nil
	}, func(Tally) {})
	require.NoError(t, err)
	require.Equal(t, 49, tally.Done)
	require.Len(t, tally.Failed, 1)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want error
	}{
		{t.Context(), nil, nil},
		{t.Context(), temporal.NewApplicationError("nothing is parked", workflows.NotParked), ErrNotParked},
		{t.Context(), serviceerror.NewNotFound("workflow execution already completed"), ErrNotParked},
		{late, context.DeadlineExceeded, ErrNoWorker},
	} {
		require.ErrorIs(t, verdict(c.ctx, c.err), c.want)
	}
	require.ErrorContains(t, verdict(t.Context(), errors.New("unknown update link")), "unknown update link")
}
