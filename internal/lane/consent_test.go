package lane_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/lane"
	"crmsync/sms"
)

// setter is a crm that takes consent.
type setter struct{ *crm }

func (s *setter) SetConsent(_ context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	out := make([]connectors.Outcome, len(changes))
	if s.begin(len(changes)) == nil {
		for i := range out {
			out[i].State = connectors.Written
		}
	}
	return out
}

// A STOP stands behind no search for a text, and waits for no company.
func TestConsentWaitsForNoText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &setter{newCRM()}
		l := lane.New(lane.Options{Name: "crm", Connector: c, Definition: connectors.Definition{
			Name: "test", MaxBatch: batch, CallTimeout: 10 * time.Second,
			Limits: []connectors.Limit{{Name: "burst", Amount: 1000, Window: time.Second}},
		}})
		var texts sync.WaitGroup
		for i := range 5 * batch {
			texts.Go(func() { _, _ = l.FindContacts(t.Context(), sms.Phone(fmt.Sprint(i))) })
		}
		synctest.Wait()
		for range 2 {
			begun := time.Now()
			found, err := l.FindCarriers(t.Context(), "+15125551234")
			require.NoError(t, err)
			require.Len(t, found, 1)
			done := l.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: connectors.Ref{ID: "1"}}, {Contact: connectors.Ref{ID: "2"}}})
			require.Equal(t, connectors.Written, done[1].State)
			require.Equal(t, 2*c.latency, time.Since(begun))
		}
		texts.Wait()
		l.Stop()
		_, err := l.FindCarriers(t.Context(), "+15125551234")
		require.Error(t, err)
	})
}
