package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/lane"
)

// standing is what `crmsync connectors --status --json` says of one connector.
type standing struct {
	Name, State, Reason string
	Since               time.Time
	Waiting, Parked     *int
	Processes           int
	Operator            *struct{ By, Reason string }
}

// standing answers the status of the connectors, by name.
func (p *process) standing() map[string]standing {
	p.st.t.Helper()
	var list []standing
	require.NoError(p.st.t, json.Unmarshal([]byte(p.does("connectors", "--status", "--json")), &list))
	all := map[string]standing{}
	for _, s := range list {
		all[s.Name] = s
	}
	return all
}

// TestPausedLaneShows: while one CRM is away its lane's state, the reason and
// since when can be seen from inside and from outside; another lane is untouched.
func TestPausedLaneShows(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	other := connectortest.NewCRM(connectortest.CRMOptions{})
	p := st.prepare()
	p.configure(t, testCRM(st.crmURL)+"\n  other: "+testCRM(other.Start(t)))
	require.Equal(t, "idle", p.standing()["crm"].State, "nobody drives it yet")
	p.start()
	p.ready()
	begun := time.Now().Add(-time.Second)
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	p.accepted(inbound("msg_waits", "+15125551234", "hello").json())
	eventually(t, 30*time.Second, "the lane is paused", func() bool { return p.detail().Lanes["crm"].Phase == lane.Paused })
	eventually(t, 30*time.Second, "others see it, and what has been written does not count as waiting", func() bool {
		now := p.standing()
		return now["crm"].State == "paused" && *now["crm"].Waiting == 1 && *now["other"].Waiting == 0
	})
	detail, now := p.detail(), p.standing()
	require.Equal(t, "ready", detail.Status, "a CRM's state never changes that")
	require.Contains(t, detail.Lanes["crm"].Reason, "UNAVAILABLE")
	require.True(t, detail.Lanes["crm"].Since.After(begun))
	require.Equal(t, lane.Flowing, detail.Lanes["other"].Phase)
	require.Contains(t, now["crm"].Reason, "UNAVAILABLE")
	require.True(t, now["crm"].Since.After(begun))
	require.Equal(t, 1, now["crm"].Processes)
	require.Equal(t, "flowing", now["other"].State)
	require.Regexp(t, `crm +paused +20[0-9T:-]+Z +1 +0 +UNAVAILABLE`, p.does("connectors", "--status"))

	require.NoError(t, st.redis.Kill())
	gone := p.standing()["crm"]
	require.Equal(t, "unknown", gone.State)
	require.Contains(t, gone.Reason, "Redis cannot be reached")
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Down = false })
	require.Equal(t, connectors.Written, st.result("main/msg_waits/sms.received").Deliveries["crm"].State)
}

// testCRM is the configuration of a connector to a test CRM.
func testCRM(url string) string { return `{ type: testcrm, base_url: "` + url + `", class: B }` }

// TestOperatorsPause: while a connector is paused by hand nothing arrives, across
// a restart, and everybody sees who paused it and why. Afterwards it arrives, once.
func TestOperatorsPause(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	st.crm.AddContact(connectortest.Contact{Name: "Sarah Chen", Phones: []string{"+15125551234"}})
	p := st.daemon()
	refused := p.crmsync("connectors", "pause", "crn")
	require.Equal(t, 1, refused.status)
	require.Contains(t, refused.err, `has no connector "crn"; it has crm`)
	require.Contains(t, p.does("connectors", "resume", "crm"), "crm was not paused by an operator")

	p.accepted(inbound("msg_before", "+15125551234", "hello").json())
	st.result("main/msg_before/sms.received") // so that the lane is known to be fast

	require.Contains(t, p.does("connectors", "pause", "crm", "--reason", "migration"), "crm is paused")
	p.accepted(inbound("msg_held", "+15125551234", "hello").json())
	p.accepted(inbound("msg_out", "+15125551234", "STOP").as("sms.optout").json())
	st.awaitBacklog("crmsync-crm", 1)
	st.awaitBacklog("crmsync-crm-consent", 1)
	measured := p.scrape()
	require.InDelta(t, 1, measured.value(t, `crmsync_queue_paused{queue="crmsync-crm",type="activity"}`), 0)
	require.InDelta(t, 0, measured.value(t, `crmsync_queue_paused{queue="crmsync",type="activity"}`), 0)
	p.term()
	p.start()
	p.ready()
	now := p.standing()["crm"]
	require.Equal(t, "paused", now.State)
	require.Regexp(t, "^paused by .+: migration$", now.Reason)
	require.Equal(t, "migration", now.Operator.Reason)
	require.NotEmpty(t, now.Operator.By)
	require.Equal(t, 2, *now.Waiting, "the text and the opt-out")
	require.Equal(t, lane.Flowing, p.detail().Lanes["crm"].Phase, "the gate is not an operator's")
	checked := p.crmsync("check")
	require.Regexp(t, `warning  queues.crmsync-crm: paused by .+: migration, since .+ 1 tasks wait; 'crmsync connectors resume crm' lets it flow`, checked.out)
	require.Len(t, st.crm.Messages(), 1)
	require.Empty(t, st.crm.History())

	require.Contains(t, p.does("connectors", "resume", "crm"), "crm is resumed")
	require.Equal(t, connectors.Written, st.result("main/msg_held/sms.received").Deliveries["crm"].State)
	eventually(t, time.Minute, "the opt-out arrives", func() bool { return len(st.crm.History()) == 1 })
	require.Len(t, st.crm.Messages(), 2)
	require.Empty(t, st.crm.Doubles())
	require.Equal(t, "flowing", p.standing()["crm"].State)
}
