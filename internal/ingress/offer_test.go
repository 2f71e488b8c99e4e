package ingress

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"crmsync/activities"
	"crmsync/internal/justcall"
	"crmsync/sms"
	"crmsync/workflows"
)

// TestOffer: what is missing is started whatever Redis remembers, is not live, and
// waits behind what is.
func TestOffer(t *testing.T) {
	t.Parallel()
	for _, kind := range []sms.Kind{sms.Sent, sms.Delivered} {
		b := newBench(t, twoCRMs)
		e := event(kind)
		b.door.Ledger.MarkSeen(t.Context(), e.Key())
		require.NoError(t, b.door.Offer(t.Context(), "main", activities.Offer{Event: e}))
		s := b.temporal.taken()[0]
		require.Equal(t, e.Key(), s.options.ID)
		require.Equal(t, workflows.PriorityOf("main", kind, false), s.options.Priority)
		require.False(t, s.input.(workflows.SyncInput).Live)

		b.temporal.refuse = always(serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""))
		require.NoError(t, b.door.Offer(t.Context(), "main", activities.Offer{Event: e}), "started meanwhile")
		b.temporal.refuse = always(errAway)
		require.ErrorIs(t, b.door.Offer(t.Context(), "main", activities.Offer{Event: e}), ErrUnavailable)
	}
}

// TestOfferToOneMore: a workflow of its own for one connector more.
func TestOfferToOneMore(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	text := "main/msg_1/sms.sent@two"
	o := activities.Offer{Event: event(sms.Delivered), To: "two", Text: text}
	require.NoError(t, b.door.Offer(t.Context(), "main", o))
	s := b.temporal.taken()[0]
	require.Equal(t, "main/msg_1/sms.delivered@two", s.options.ID)
	require.Equal(t, workflows.SyncInput{Event: o.Event, Targets: []string{"two"}, Text: text, Revision: workflows.Revision}, s.input)
	require.Equal(t, workflows.PriorityOf("main", sms.Delivered, false), s.options.Priority)
	deliveries, _ := s.options.TypedSearchAttributes.GetKeywordList(b.door.Attributes.Deliveries)
	require.Equal(t, []string{"two=syncing"}, deliveries)

	b.temporal.refuse = always(serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""))
	require.NoError(t, b.door.Offer(t.Context(), "main", o))
}

func TestOfferOfAnOddRow(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	require.NoError(t, b.door.Offer(t.Context(), "main", activities.Offer{Row: []byte(`{"id":1}`), Reason: "row.direction is missing"}))
	in := b.temporal.taken()[0].input.(workflows.QuarantineInput)
	require.Equal(t, "a row of JustCall's list: row.direction is missing", in.Reason)
	require.JSONEq(t, `{"id":1}`, string(in.Body))
}

// TestOddRowIsAdmitted: a row in quarantine is the text that webhooks tell of, once
// it can be decoded.
func TestOddRowIsAdmitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	row := justcall.WrapRow([]byte(`{"id":7,"direction":"Incoming","contact_number":"15125551234","justcall_number":"15125550100","sms_date":"2026-03-12","sms_time":"8:26:01","sms_info":{"body":"Hi"}}`))
	admitted, refusal, err := b.door.Admit(t.Context(), "main", row)
	require.NoError(t, err)
	require.Nil(t, refusal)
	require.Equal(t, activities.Admitted{Result: Accepted, Key: "main/7/sms.received"}, admitted)
	_, refusal, err = b.door.Admit(t.Context(), "main", justcall.WrapRow([]byte(`{"id":7}`)))
	require.NoError(t, err)
	require.Equal(t, "text: row.direction: missing", refusal.Message)
}
