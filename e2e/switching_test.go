package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// TestSwitching runs beside another integration that is slower: what both log
// stands once, and statuses move it; what only we log is ours, with owner,
// template and all.
func TestSwitching(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{
		justcall: fmt.Sprintf("{ region: US, webhook: { token: %q }, lines: { %q: ann@example.com } }", token, line),
		more: `, adopt: true, adopt_wait: 3s, templates: { subject: "Text {{.Direction}}" }` +
			`, contacts: { create_as: lead, fields: { source: "text to {{.Line}}" } }`,
	})
	ann := st.crm.AddOwner("ann@example.com")
	known := st.crm.AddContact(connectortest.Contact{Phones: []string{sarah}})
	p := st.daemon()

	sent := outbound("msg_both", sarah, "Your table is ready")
	p.accepted(sent.json())
	theirs := st.crm.AddMessage(connectortest.Message{Contact: known.ID, Body: sent.body, Direction: "outbound", At: time.Now()})
	p.accepted(sent.as("sms.delivered").json())
	p.accepted(inbound("msg_ours", "+15125550143", "Thanks").json())

	both := st.result("main/msg_both/sms.sent").Deliveries["crm"]
	require.Equal(t, activities.Adopted, both.State)
	require.Equal(t, theirs, both.Record)
	require.Equal(t, connectors.Written, st.result("main/msg_both/sms.delivered").Deliveries["crm"].State)
	require.Equal(t, "delivered", st.message("main/msg_both").Status)

	require.Equal(t, connectors.Written, st.result("main/msg_ours/sms.received").Deliveries["crm"].State)
	ours := st.message("main/msg_ours")
	require.Equal(t, "Text inbound", ours.Subject)
	require.Equal(t, ann, ours.OwnerID)
	require.Len(t, st.crm.Messages(), 2)
	created := st.crm.Contacts()[1]
	require.Equal(t, "lead", created.Type)
	require.Equal(t, ann, created.OwnerID)
	require.Equal(t, map[string]string{"source": "text to " + line}, created.Fields)
	require.Equal(t, 1, st.crm.Requests()["find_owners"])
}
