package activities_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
)

// Workflows see nothing of a failure but this.
func TestFailureBecomesTemporals(t *testing.T) {
	t.Parallel()
	for kind, permanent := range map[connectors.Kind]bool{
		connectors.Unavailable: false, connectors.RateLimited: false, connectors.Unknown: false, connectors.Auth: false,
		connectors.Invalid: true, connectors.Forbidden: true, connectors.Conflict: true, connectors.Unsupported: true,
		connectors.NotFound: true,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.put = outcome[connectors.Record](connectors.Failed, &connectors.Error{
				Op: "put messages", Kind: kind, Status: 418, RetryAfter: 90 * time.Second, Ambiguous: true, Err: errors.New("the CRM said no"),
			})
			in := to("")
			_, err := w.deliver(in)
			app := failed(t, err)
			require.Equal(t, string(kind), app.Type())
			require.Equal(t, permanent, app.NonRetryable())
			require.Equal(t, 90*time.Second, app.NextRetryDelay())
			require.Equal(t, "put messages: "+string(kind)+" (HTTP 418): the CRM said no", app.Message())
			var detail activities.FailureDetail
			require.NoError(t, app.Details(&detail))
			require.Equal(t, activities.FailureDetail{Ambiguous: true, RetryAfter: 90 * time.Second, Status: 418}, detail)
			require.Equal(t, !permanent, app.Category() == temporal.ApplicationErrorCategoryBenign, "only what waits for a person is alarming")
			require.NoError(t, errors.Unwrap(app), "Go's chain of causes is not shown to anybody")
		})
	}
}

// A failure says nothing of the person who texts.
func TestFailureRepeatsNothingOfTheText(t *testing.T) {
	t.Parallel()
	for _, kind := range []connectors.Kind{connectors.Unavailable, connectors.Invalid, connectors.NotFound} {
		w := newWorld(t)
		w.crm.put = fails[connectors.Record](kind)
		_, err := w.deliver(to(""))
		for _, private := range []string{string(phone), "5551234", "hello", "Ada", "ada@example.com"} {
			require.NotContains(t, err.Error(), private)
		}
	}
}

func TestOutcomesThatBreakTheContract(t *testing.T) {
	t.Parallel()
	none := func(connectors.Record) []connectors.Outcome { return nil }
	two := func(connectors.Record) []connectors.Outcome { return make([]connectors.Outcome, 2) }
	for name, c := range map[string]struct {
		put       func(connectors.Record) []connectors.Outcome
		kind      string
		ambiguous bool
		message   string
	}{
		"none":                    {none, "UNKNOWN", true, "answered 0 outcomes"},
		"two for one":             {two, "UNKNOWN", true, "answered 2 outcomes"},
		"failed without an error": {outcome[connectors.Record](connectors.Failed, nil), "UNKNOWN", true, "without an error"},
		"not attempted":           {outcome[connectors.Record](connectors.NotAttempted, nil), activities.GivenBack, false, "not attempted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.put = c.put
			_, err := w.deliver(to("1"))
			retried(t, c.kind, err)
			app := failed(t, err)
			require.Contains(t, app.Message(), c.message)
			if c.ambiguous {
				var detail activities.FailureDetail
				require.NoError(t, app.Details(&detail))
				require.True(t, detail.Ambiguous, "nobody knows what was written")
			}
			require.Empty(t, w.record())
		})
	}
}
