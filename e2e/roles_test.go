package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/lane"
)

// does starts a process that does a part, and waits until it is ready. One
// without ingress is asked at its admin address.
func (st *stack) does(configuration string, flags ...string) *process {
	st.t.Helper()
	p := st.prepare()
	if configuration != "" {
		p.configure(st.t, configuration)
	}
	p.flags = flags
	if !strings.Contains(flags[1], "ingress") {
		p.address = p.admin
	}
	p.start()
	p.ready()
	return p
}

// TestRoles has three processes deliver a text together: one takes it in, one
// decides, one writes. A lane that no process drives waits and delays nothing,
// until one does.
func TestRoles(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	other := connectortest.NewCRM(connectortest.CRMOptions{})
	both := testCRM(st.crmURL) + "\n  other: " + testCRM(other.Start(t))
	door := st.does(both, "--roles", "ingress")
	decider := st.does(both, "--roles", "workflows")
	writer := st.does(both, "--roles", "lanes", "--lanes", "crm")
	require.Equal(t, []string{"ingress"}, door.detail().Roles)
	require.Empty(t, door.detail().Lanes)
	require.Empty(t, decider.detail().Lanes)
	require.Equal(t, lane.Flowing, writer.detail().Lanes["crm"].Phase)
	require.NotContains(t, writer.detail().Lanes, "other")
	require.True(t, writer.answers("/healthz"), "its supervisor asks at the admin address")
	require.NotContains(t, writer.log.String(), "listening for webhooks")

	door.accepted(inbound("msg_parts", "+15125551234", "hello").json())
	door.accepted(inbound("msg_out", "+15125551234", "STOP").as("sms.optout").json())
	eventually(t, time.Minute, "the lane that is driven delivers", func() bool {
		return len(st.crm.Messages()) == 1 && len(st.crm.History()) == 1
	})
	eventually(t, time.Minute, "only the other one waits", func() bool {
		now := door.standing()
		return *now["crm"].Waiting == 0 && *now["other"].Waiting == 2 && now["other"].State == "idle"
	})
	require.Empty(t, other.Requests())
	require.InDelta(t, -1, writer.scrape().value(t, `crmsync_attempts_total{activity="Deliver",connector="other",result="OK"}`), 0)

	st.does(both, "--roles", "lanes", "--lanes", "other")
	result := st.result("main/msg_parts/sms.received")
	require.Equal(t, connectors.Written, result.Deliveries["crm"].State)
	require.Equal(t, connectors.Written, result.Deliveries["other"].State)
	require.Len(t, other.Messages(), 1)
	require.Empty(t, st.crm.Doubles())
	writer.term()
}

// TestOnlyIngressListensForWebhooks: the other roles leave server.listen alone,
// so that it may be in use.
func TestOnlyIngressListensForWebhooks(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.prepare()
	taken, err := net.Listen("tcp", p.address)
	require.NoError(t, err)
	defer taken.Close()
	p.start()
	require.Error(t, p.cmd.Wait())
	require.Contains(t, p.log.String(), "server.listen: ")
	p.flags, p.address = []string{"--roles", "workflows,lanes"}, p.admin
	p.start()
	p.ready()
}

// TestStatusesDelayNoText: a backlog of statuses does not stand before texts.
func TestStatusesDelayNoText(t *testing.T) {
	t.Parallel()
	const statuses, texts = 60, 6
	st := newStack(t, setup{connector: connectortest.Options{MaxBatch: 1}})
	st.crm.AddContact(connectortest.Contact{Name: "Sarah Chen", Phones: []string{"+15125551234"}})
	p := st.daemon()
	for i := range statuses {
		p.takes(outbound(fmt.Sprintf("msg_%d", i), "+15125551234", "hello").json())
	}
	eventually(t, time.Minute, "the texts are written", func() bool { return len(st.crm.Messages()) == statuses })

	p.does("connectors", "pause", "crm")
	for i := range statuses {
		p.takes(outbound(fmt.Sprintf("msg_%d", i), "+15125551234", "hello").as("sms.delivered").json())
	}
	st.awaitBacklog("crmsync-crm", statuses)
	for i := range texts {
		p.takes(inbound(fmt.Sprintf("msg_in_%d", i), "+15125551234", "hello").json())
	}
	st.awaitBacklog("crmsync-crm", statuses+texts)
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 200 * time.Millisecond })
	p.does("connectors", "resume", "crm")
	eventually(t, time.Minute, "the texts are written", func() bool { return len(st.crm.Messages()) == statuses+texts })
	before := len(st.crm.History())
	t.Logf("%d of %d statuses were written before the last text", before, statuses)
	require.LessOrEqual(t, before, statuses/2, "what was under way already, at most")
	eventually(t, time.Minute, "the statuses are written", func() bool { return len(st.crm.History()) == statuses })
}

// takes posts a webhook until it is taken, as JustCall would.
func (p *process) takes(body []byte) {
	p.st.t.Helper()
	eventually(p.st.t, time.Minute, "the webhook is taken", func() bool {
		a, err := p.try(body)
		return err == nil && a.Status == http.StatusOK
	})
}
