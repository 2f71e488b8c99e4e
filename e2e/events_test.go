package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// TestTextsAndStatuses posts all kinds of event that a text has.
func TestTextsAndStatuses(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.daemon()
	received := inbound("msg_in", "+15125551234", "Hello")
	sent := outbound("msg_out", "+15125551234", "Hello yourself")

	require.Equal(t, "main/msg_in/sms.received", p.accepted(received.json()))
	result := st.result("main/msg_in/sms.received")
	require.Equal(t, connectors.Written, result.Deliveries["crm"].State)
	require.Equal(t, "created", result.Deliveries["crm"].How)

	p.accepted(sent.json())
	result = st.result("main/msg_out/sms.sent")
	require.Equal(t, connectors.Written, result.Deliveries["crm"].State)

	p.accepted(sent.as("sms.delivered").json())
	result = st.result("main/msg_out/sms.delivered")
	require.Equal(t, connectors.Written, result.Deliveries["crm"].State)
	require.Equal(t, "delivered", st.message("main/msg_out").Status)

	p.accepted(sent.as("sms.failed").json())
	st.result("main/msg_out/sms.failed")
	require.Equal(t, "failed", st.message("main/msg_out").Status)

	require.Len(t, st.crm.Messages(), 2)
	require.Len(t, st.crm.Contacts(), 1)

	require.Equal(t, "quarantined", p.post([]byte(`{"event":"sms.received","data":{"body":"Hello"}`)).Result)
	p.term()
	require.Contains(t, p.log.String(), "event=main/msg_in/sms.received")
	for _, private := range []string{"5551234", "5550100", "Hello", "Contact of", token} {
		require.NotContains(t, p.log.String(), private, "nothing private in the log")
	}
}

// TestStatusBeforeText posts a status first, and both statuses the wrong way
// round: the end is the same.
func TestStatusBeforeText(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.ClassB, connectors.ClassD} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			st := newStack(t, setup{
				crm:       connectortest.CRMOptions{Class: class},
				connector: connectortest.Options{Settle: 100 * time.Millisecond},
			})
			p := st.daemon()
			early := outbound("msg_early", "+15125551234", "first the status")
			p.accepted(early.as("sms.delivered").json())
			p.accepted(early.json())
			st.result("main/msg_early/sms.delivered")
			require.Equal(t, "delivered", st.message("main/msg_early").Status)

			wrong := outbound("msg_wrong", "+15125551234", "failed, then delivered")
			p.accepted(wrong.as("sms.failed").json())
			p.accepted(wrong.as("sms.delivered").json())
			p.accepted(wrong.json())
			st.result("main/msg_wrong/sms.failed")
			result := st.result("main/msg_wrong/sms.delivered")
			// It may have ended before it knew where its text went.
			require.Contains(t, []connectors.State{activities.Superseded, ""}, result.Deliveries["crm"].State)
			require.Equal(t, "failed", st.message("main/msg_wrong").Status)
			require.Empty(t, st.crm.Doubles())
		})
	}
}

// message is the record of a text in the CRM.
func (st *stack) message(key string) connectortest.Message {
	st.t.Helper()
	for _, m := range st.crm.Messages() {
		if m.Key == key {
			return m
		}
	}
	require.Fail(st.t, "no such record", key)
	return connectortest.Message{}
}
