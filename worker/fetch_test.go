package worker

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/sandbox"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

// fetching is a daemon that can ask a fake JustCall.
const fetching = `
temporal: { address: %q, namespace: %q }
redis: { url: "redis://127.0.0.1:1/0" }
justcall:
  main: { region: US, webhook: { token: the-path-token-of-the-test }, api: { base_url: %q, key: key, secret: secret } }
connectors:
  crm: { type: sandbox, base_url: "http://127.0.0.1:1", since: 2026-11-01T00:00:00Z }
`

// TestStatusFetchesItsText: JustCall is asked for a text that no webhook brought,
// and it is taken in with the key of its own; not if it is older than every
// connector's since, and not if JustCall does not have it.
func TestStatusFetchesItsText(t *testing.T) {
	t.Parallel()
	server := devtest.Temporal(t)
	namespace := devtest.Namespace(t, server)
	justcall := justcalltest.NewServer(justcalltest.Options{})
	t.Cleanup(justcall.Close)
	api := httptest.NewServer(justcall)
	t.Cleanup(api.Close)
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for id, at := range map[string]time.Time{"msg_new": since.Add(time.Hour), "msg_old": since.Add(-time.Hour)} {
		justcall.Put(justcalltest.Text{Message: sms.Message{
			ID: id, Direction: sms.Outbound, Contact: "+15125551234", Line: "+15125550100", Body: "hello", At: at,
		}})
	}
	c, err := config.Parse("crmsync.yaml", fmt.Appendf(nil, fetching, server.Address, namespace, api.URL), config.System())
	require.NoError(t, err)
	registry, err := connectors.NewRegistry(sandbox.Definition())
	require.NoError(t, err)
	d, err := newDaemon(c, whole(c), registry, hclog.NewNullLogger())
	require.NoError(t, err)
	t.Cleanup(d.temporal.Close)
	fetch := func(id string) activities.Fetched {
		status := sms.Event{Account: "main", Kind: sms.Delivered, At: since.Add(2 * time.Hour), Message: sms.Message{ID: id, Contact: "+15125551234"}}
		fetched, err := d.acts.FetchText(t.Context(), status)
		require.NoError(t, err)
		return fetched
	}
	require.Zero(t, fetch("msg_new"))
	require.Zero(t, fetch("msg_new"), "twice is once")
	described, err := d.temporal.DescribeWorkflowExecution(t.Context(), "main/msg_new/sms.sent", "")
	require.NoError(t, err)
	require.Equal(t, activities.SyncEvent, described.GetWorkflowExecutionInfo().GetType().GetName())
	require.Equal(t, activities.Fetched{NotFor: []string{"crm"}}, fetch("msg_old"))
	require.Equal(t, string(connectors.NotFound), fetch("msg_unknown").Refused.Kind)
}
