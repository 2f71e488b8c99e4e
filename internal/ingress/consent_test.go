package ingress

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"crmsync/activities"
	"crmsync/sms"
	"crmsync/workflows"
)

// TestScopeOfConsent: a workflow has one number, and keeps the company's lines
// apart where the configuration says so.
func TestScopeOfConsent(t *testing.T) {
	t.Parallel()
	number := strings.Replace(twoCRMs, "region: US,", "region: US, consent: { scope: number },", 1)
	for name, c := range map[string]struct {
		config string
		line   sms.Phone
		keeps  bool
	}{
		"account":                   {twoCRMs, "+15125550100", false},
		"number":                    {number, "+15125550100", true},
		"number, of a line unknown": {number, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.config)
			e := event(sms.OptOut)
			e.Message.Line, e.Received = c.line, noon.Add(1)
			_, err := b.door.Accept(t.Context(), e, true)
			require.NoError(t, err)
			s := b.temporal.taken()[0]
			signal := s.signal.(activities.ConsentSignal)
			require.Equal(t, noon.Add(1), signal.Received)
			require.Equal(t, workflows.ConsentRevision, s.input.(workflows.SyncConsentInput).Revision)
			require.NotContains(t, signal.Line, "5550100")
			require.Equal(t, c.keeps, signal.Line != "")
		})
	}
}

// TestSuppress: what a workflow says already it is not told.
func TestSuppress(t *testing.T) {
	t.Parallel()
	const running, terminated = enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
	for name, c := range map[string]struct {
		status enums.WorkflowExecutionStatus
		state  string
		want   activities.Standing
		told   int
	}{
		"opted out":                   {running, workflows.StateOptedOut, activities.OptedOut, 0},
		"opted in":                    {running, workflows.StateOptedIn, activities.NotOptedOut, 1},
		"being brought to connectors": {running, workflows.StateSyncing, activities.Unsettled, 1},
		"parked":                      {running, workflows.StateParked, activities.Unsettled, 1},
		"without attributes":          {running, "", activities.Unsettled, 1},
		"ended long ago":              {terminated, workflows.StateOptedOut, activities.NotOptedOut, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, twoCRMs)
			b.temporal.status, b.temporal.state = c.status, c.state
			listed := sms.Consent{Phone: "+15125551234", OptedOut: true, At: noon}
			standing, err := b.door.Suppress(t.Context(), "main", listed)
			require.NoError(t, err)
			require.Equal(t, c.want, standing)
			require.Len(t, b.temporal.taken(), c.told)
			for _, s := range b.temporal.taken() {
				signal := s.signal.(activities.ConsentSignal)
				require.True(t, signal.Listed)
				require.Equal(t, listed, signal.Consent)
				require.Equal(t, []string{"one", "two"}, signal.Connectors)
				require.Equal(t, activities.ConsentID("main", b.door.Hasher.Phone("+15125551234")), s.options.ID)
			}
		})
	}
}

// TestSuppressInDoubt fails where nobody can say how the number stands.
func TestSuppressInDoubt(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.door.Suppress(ctx, "main", sms.Consent{Phone: "+15125551234", OptedOut: true, At: noon})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "5551234")
	require.Empty(t, b.temporal.taken())
}

// TestAdmitText: a text that JustCall was asked for is taken in as any other that
// did not come live; one that goes nowhere is not, and its status is told where
// it does not go.
func TestAdmitText(t *testing.T) {
	t.Parallel()
	since := strings.ReplaceAll(twoCRMs, " }\n  two", ", since: 2026-03-13T00:00:00Z }\n  two")
	b := newBench(t, since)
	notFor, err := b.door.AdmitText(t.Context(), event(sms.Sent))
	require.NoError(t, err)
	require.Empty(t, notFor)
	in := b.temporal.taken()[0].input.(workflows.SyncInput)
	require.Equal(t, []string{"two"}, in.Targets)
	require.False(t, in.Live)

	b = newBench(t, strings.ReplaceAll(since, ":2 }", ":2, since: 2026-03-13T00:00:00Z }"))
	notFor, err = b.door.AdmitText(t.Context(), event(sms.Sent))
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two"}, notFor)
	require.Empty(t, b.temporal.taken())
}
