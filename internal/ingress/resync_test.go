package ingress

import (
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"crmsync/sms"
	"crmsync/workflows"
)

func TestResync(t *testing.T) {
	t.Parallel()
	for _, kind := range []sms.Kind{sms.Received, sms.Delivered} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, twoCRMs)
			why := workflows.Repair{Reason: "deleted by mistake", By: "ada"}
			id, err := b.door.Resync(t.Context(), event(kind), "two", why)
			require.NoError(t, err)
			require.Equal(t, "main/msg_1/"+string(kind)+"@two", id)
			s := b.temporal.taken()[0]
			require.Equal(t, id, s.options.ID)
			require.Equal(t, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, s.options.WorkflowIDReusePolicy, "it may be repeated")
			require.Equal(t, enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL, s.options.WorkflowIDConflictPolicy)
			require.Equal(t, workflows.SyncInput{Event: event(kind), Targets: []string{"two"}, Resync: &why, Revision: workflows.Revision}, s.input, "it is not live")
			deliveries, _ := s.options.TypedSearchAttributes.GetKeywordList(b.door.Attributes.Deliveries)
			require.Equal(t, []string{"two=syncing"}, deliveries)
			require.Equal(t, []string{"start"}, b.read(), "the event was seen long before")
		})
	}
}

func TestResyncIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	b.temporal.refuse = always(serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""))
	_, err := b.door.Resync(t.Context(), event(sms.Received), "two", workflows.Repair{})
	require.ErrorIs(t, err, ErrUnderWay)

	b.temporal.refuse = always(errAway)
	_, err = b.door.Resync(t.Context(), event(sms.Received), "two", workflows.Repair{})
	require.ErrorIs(t, err, ErrUnavailable)

	_, err = b.door.Resync(t.Context(), event(sms.OptOut), "two", workflows.Repair{})
	require.ErrorContains(t, err, "by itself")
}
