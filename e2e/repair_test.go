package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/workflows"
)

const parkedTexts = "crmsync_state = 'parked' AND WorkflowType = 'SyncEvent' AND ExecutionStatus = 'Running'"

// awaitParked waits until that many texts are listed as parked.
func (st *stack) awaitParked(n int) {
	st.t.Helper()
	eventually(st.t, time.Minute, "the parked texts are listed", func() bool { return st.count(parkedTexts) == n })
}

// TestRefusedForGood has a CRM refuse two texts for good: they are parked, the
// others go on, and a person retries one and skips the other.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	const retried, skipped = "main/msg_retried/sms.received", "main/msg_skipped/sms.received"
	st := newStack(t, setup{})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = []string{"msg_retried", "msg_skipped"} })
	p := st.daemon()
	for _, id := range []string{"msg_retried", "msg_skipped", "msg_other"} {
		p.accepted(inbound(id, "+15125551234", "hello").json())
	}
	require.Equal(t, connectors.Written, st.result("main/msg_other/sms.received").Deliveries["crm"].State)
	st.awaitParked(2)
	require.Equal(t, 2, st.count("crmsync_deliveries = 'crm=parked'"))

	err := st.update(retried, workflows.UpdateRetry, workflows.Repair{Connector: "crn"})
	require.ErrorContains(t, err, `nothing is parked for "crn"`)
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = []string{"msg_skipped"} })
	require.NoError(t, st.update(retried, workflows.UpdateRetry, workflows.Repair{Connector: "crm"}))
	require.Equal(t, connectors.Written, st.result(retried).Deliveries["crm"].State)

	require.NoError(t, st.update(skipped, workflows.UpdateSkip, workflows.Repair{Reason: "spam"}))
	require.Equal(t, activities.DeliveryResult{State: workflows.StateSkipped, Reason: "spam"}, st.result(skipped).Deliveries["crm"])
	st.awaitParked(0)
	require.Len(t, st.crm.Messages(), 2)
	require.Empty(t, st.crm.Doubles())
}

// TestLink has a person decide to which of two contacts a number belongs: the
// decision holds for the texts that follow, also when Redis has forgotten it.
func TestLink(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{more: ", contacts: { several: park }"})
	number := []string{"+15125551234"}
	st.crm.AddContact(connectortest.Contact{Name: "Sarah Chen", Phones: number})
	chosen := st.crm.AddContact(connectortest.Contact{Name: "Sam Chen", Phones: number})
	st.crm.AddContact(connectortest.Contact{Name: "Sue Chen", Phones: number})
	p := st.daemon()
	p.accepted(inbound("msg_first", number[0], "who am I?").json())
	st.awaitParked(1)
	require.Empty(t, st.crm.Messages())

	const first = "main/msg_first/sms.received"
	err := st.update(first, workflows.UpdateLink, workflows.Repair{Connector: "crm"})
	require.ErrorContains(t, err, "link needs the CRM's id of the contact")
	link := workflows.Repair{Connector: "crm", Contact: chosen.ID, ContactType: chosen.Type}
	require.NoError(t, st.update(first, workflows.UpdateLink, link))
	st.deliveredTo(first, chosen)

	p.accepted(inbound("msg_second", number[0], "me again").json())
	st.deliveredTo("main/msg_second/sms.received", chosen)
	require.NoError(t, st.redis.Flush(t.Context()))
	p.accepted(inbound("msg_third", number[0], "and again").json())
	st.deliveredTo("main/msg_third/sms.received", chosen)
	require.Len(t, st.crm.Messages(), 3)
}

// deliveredTo waits until the text of an event stands on the contact's timeline.
func (st *stack) deliveredTo(event string, contact connectors.Ref) {
	st.t.Helper()
	d := st.result(event).Deliveries["crm"]
	require.Equal(st.t, connectors.Written, d.State)
	require.Equal(st.t, contact.ID, d.Contact.ID)
	require.Equal(st.t, "linked by a person", d.How)
	for _, m := range st.crm.Messages() {
		require.Equal(st.t, contact.ID, m.Contact)
	}
}
