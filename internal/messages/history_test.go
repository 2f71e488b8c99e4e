package messages

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/workflows"
)

// told reads one of the histories that package workflows replays. Listed are the
// search attributes.
func told(t *testing.T, name string, events int, listed ...string) Detail {
	t.Helper()
	file, err := os.Open("../../workflows/testdata/replay/" + name + ".json")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	history, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{LastEventID: int64(events)})
	require.NoError(t, err)
	s := newStory(desk(t), Item{Deliveries: deliveriesOf(listed)})
	for _, event := range history.GetEvents() {
		require.NoError(t, s.read(event))
	}
	return s.end()
}

const all = 0

func TestStoryOfAnEvent(t *testing.T) {
	t.Parallel()
	written := Delivery{
		Connector: "crm", State: "written", Record: connectors.Ref{ID: "r1"}, Contact: connectors.Ref{ID: "c1"}, How: "only match", Attempts: 1,
	}
	d := told(t, "SyncEvent-written", all)
	require.Equal(t, "written", d.Event.Message.ID)
	require.Equal(t, []Delivery{written}, d.Deliveries)

	d = told(t, "SyncEvent-listed-parks-retry", all)
	written.Attempts = 2
	require.Equal(t, []Delivery{written}, d.Deliveries, "the last error is over")
	require.Len(t, d.Repairs, 1)
	require.Equal(t, workflows.UpdateRetry, d.Repairs[0].Verb)
	require.Equal(t, "the field is optional now", d.Repairs[0].Reason)
	require.NotEmpty(t, d.Repairs[0].Identity)

	d = told(t, "SyncEvent-parks-skip", all)
	require.Equal(t, "skipped", d.Deliveries[0].State)
	require.Equal(t, "spam", d.Deliveries[0].Reason)
	d = told(t, "SyncEvent-status-waits-for-its-text", all)
	require.Equal(t, "written", d.Deliveries[0].State)
	d = told(t, "SyncEvent-asks", all)
	require.Equal(t, "c2", told(t, "SyncEvent-parks-link", all).Repairs[0].Contact)
	require.Equal(t, 1, d.Deliveries[0].Attempts, "to ask for the contact is none")
}

func TestStoryOfWhatIsParked(t *testing.T) {
	t.Parallel()
	d := told(t, "SyncEvent-listed-parks-retry", 14, "crm=parked", "crm!INVALID")
	require.Equal(t, workflows.StateParked, d.Deliveries[0].State)
	require.Equal(t, "INVALID", d.Deliveries[0].Error.Kind)
	require.Equal(t, "no", d.Deliveries[0].Error.Message)
	require.False(t, d.Deliveries[0].Error.At.IsZero())

	d = told(t, "SyncEvent-listed-parks-retry", 14)
	require.Equal(t, workflows.StateParked, d.Deliveries[0].State, "also where there are no search attributes")
	d = told(t, "SyncEvent-listed-parks-retry", 5, "crm=parked", "crm!NOT_FOUND", "text=parked")
	require.Equal(t, "NOT_FOUND", d.Deliveries[0].Error.Kind, "the workflow knows better than its activities")
	require.Equal(t, workflows.LotText, d.Deliveries[1].Connector)
	d = told(t, "SyncEvent-listed-parks-retry", 19, "crm=syncing")
	require.Equal(t, workflows.StateSyncing, d.Deliveries[0].State)
}

func TestStoryOfConsentAndQuarantine(t *testing.T) {
	t.Parallel()
	d := told(t, "SyncConsent-listed-parked", all, "crm=written")
	require.True(t, d.Consent.OptedOut)
	require.Equal(t, "1 contacts have the number", d.Deliveries[0].How)
	require.False(t, told(t, "SyncConsent-parked-then-out-then-in", all).Consent.OptedOut, "the latest")

	d = told(t, "Quarantine-retried-twice", all)
	require.Equal(t, activities.Quarantined{Account: "main", Reason: "not JSON", Body: []byte("{")}, *d.Quarantined)
	require.Len(t, d.Repairs, 2)
}

func TestDeliveriesOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Delivery{
		{Connector: "close", State: "parked", Error: &Failure{Kind: "INVALID"}},
		{Connector: "hubspot", State: "written", Record: connectors.Ref{ID: "a=b#c!d"}},
	}, deliveriesOf([]string{"hubspot#a=b#c!d", "hubspot=written", "close!INVALID", "close=parked", "nonsense"}))
}
