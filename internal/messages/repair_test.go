package messages

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// updates is a Temporal whose workflows take updates. What is not parked is
// named.
type updates struct {
	client.Client // nil: nothing else is called
	taken         []workflows.Repair
	notParked     []string
}

type handle struct {
	client.WorkflowUpdateHandle
	err error
}

func (h handle) Get(context.Context, any) error { return h.err }

func (u *updates) UpdateWorkflow(_ context.Context, o client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	r := o.Args[0].(workflows.Repair)
	if slices.Contains(u.notParked, r.Connector) {
		return handle{err: temporal.NewApplicationError("nothing is parked", workflows.NotParked)}, nil
	}
	u.taken = append(u.taken, r)
	return handle{}, nil
}

func TestRepairTakesOnlyWhatIsMeant(t *testing.T) {
	t.Parallel()
	item := Item{Key: "main/msg_1/sms.received", Deliveries: []Delivery{
		{Connector: "close", Error: &Failure{Kind: "INVALID"}},
		{Connector: "hubspot", Error: &Failure{Kind: "INVALID"}},
		{Connector: "pipedrive", Error: &Failure{Kind: "FORBIDDEN"}},
		{Connector: "zoho"},
	}}
	for name, c := range map[string]struct {
		kind, connector string
		notParked       []string
		taken           []string
	}{
		"all that is parked":                 {taken: []string{""}},
		"one connector":                      {connector: "close", taken: []string{"close"}},
		"one kind of error":                  {kind: "INVALID", taken: []string{"close", "hubspot"}},
		"one kind, of which one is repaired": {kind: "INVALID", notParked: []string{"close"}, taken: []string{"hubspot"}},
		"one kind, repaired already":         {kind: "FORBIDDEN", notParked: []string{"pipedrive"}},
		"a kind that it is not parked with":  {kind: "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &updates{notParked: c.notParked}
			m := desk(t)
			m.Temporal = u
			err := m.Repair(t.Context(), item, workflows.UpdateRetry, c.kind, workflows.Repair{Connector: c.connector, Reason: "mended"})
			var taken []string
			for _, r := range u.taken {
				require.Equal(t, "ada", r.By)
				require.Equal(t, "mended", r.Reason)
				taken = append(taken, r.Connector)
			}
			require.Equal(t, c.taken, taken)
			if c.taken == nil {
				require.ErrorIs(t, err, ErrNotParked)
				return
			}
			require.NoError(t, err)
		})
	}
	over := item
	over.Ended = time.Now()
	require.ErrorIs(t, desk(t).Repair(t.Context(), over, workflows.UpdateRetry, "", workflows.Repair{}), ErrNotParked, "nobody is asked")
}

func TestWhatResyncIsFor(t *testing.T) {
	t.Parallel()
	kept := func(keys ...string) []string {
		var kept []string
		for _, item := range Resyncable([]Item{
			{Key: "main/m/sms.sent", Kind: string(sms.Sent)},
			{Key: "main/m/sms.sent@close", Kind: string(sms.Sent)},
			{Key: "main/consent/abc", Kind: KindConsent},
		}, keys) {
			kept = append(kept, item.Key)
		}
		return kept
	}
	require.Equal(t, []string{"main/m/sms.sent"}, kept("main/m"))
	require.Equal(t, []string{"main/m/sms.sent", "main/m/sms.sent@close"}, kept("main/m", "main/m/sms.sent@close"))
	require.Equal(t, []string{"main/m/sms.sent", "main/consent/abc"}, kept("main/consent/abc"), "to be told that it cannot be")

	m := desk(t)
	require.NoError(t, m.mayGo("main", []string{"close", "hubspot"}))
	require.ErrorContains(t, m.mayGo("uk", []string{"hubspot"}), "does not serve account uk: there are close")
	require.ErrorContains(t, m.mayGo("uk", nil), "--to")
}

func TestLinkNeedsOneConnector(t *testing.T) {
	t.Parallel()
	two := Detail{Item: Item{Deliveries: []Delivery{{Connector: "close"}, {Connector: "hubspot", Contact: connectors.Ref{ID: "1"}}}}}
	_, err := soleConnector(two, "")
	require.ErrorContains(t, err, "--connector")
	connector, err := soleConnector(two, "hubspot")
	require.NoError(t, err)
	require.Equal(t, "hubspot", connector)
	two.Deliveries = two.Deliveries[:1]
	connector, err = soleConnector(two, "")
	require.NoError(t, err)
	require.Equal(t, "close", connector)
}

var _ Linker = (*activities.Activities)(nil)
