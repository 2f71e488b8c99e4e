package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/audit"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/internal/messages"
	"crmsync/sms"
)

// audited is what an audit says, for programs.
type audited struct {
	audit.Report
	Complete bool
	Repair   *messages.Tally
}

func (p *process) audit(status int, arguments ...string) audited {
	p.st.t.Helper()
	s := p.crmsync(append([]string{"audit", "--to", "crm", "--since", "7d", "--json"}, arguments...)...)
	require.Equal(p.st.t, status, s.status, s.out+s.err)
	require.NotContains(p.st.t, s.out+s.err, numbersOfTest, "no number is printed")
	var a audited
	require.NoError(p.st.t, json.Unmarshal([]byte(s.out), &a), s.err)
	require.True(p.st.t, a.Complete)
	return a
}

// numbersOfTest are how the contacts' numbers begin.
const numbersOfTest = "+1512555"

// agoText is the n-th text of days ago, when reconciliation does not look any more.
func agoText(id string, n int) justcalltest.Text {
	return justcalltest.Text{Message: sms.Message{
		ID: id, Direction: sms.Outbound, Contact: sms.Phone(fmt.Sprintf("%s%04d", numbersOfTest, 2000+n)), Line: line,
		Body: "hello " + id, At: time.Now().Add(-72 * time.Hour).Truncate(time.Second).UTC(),
	}}
}

// TestAudit has people delete, copy and move texts in the CRM, and one text whose
// webhook never came: the audit says exactly so, and a repair brings back what is
// missing, once, with its status.
func TestAudit(t *testing.T) {
	t.Parallel()
	var justcall *justcalltest.Server
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { justcall.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	api := fmt.Sprintf("{ base_url: %q, version: v2, key: key, secret: secret, plan: business }", server.URL)
	st := newStack(t, setup{
		justcall: fmt.Sprintf("{ region: US, webhook: { token: %q }, api: %s }", token, api),
		more:     ", contacts: { create_when: always }",
		keys:     []string{aKey('a')},
	})
	p := st.prepare()
	justcall = justcalltest.NewServer(justcalltest.Options{URL: "http://" + p.address + "/webhooks/justcall/main/" + token})
	t.Cleanup(justcall.Close)
	p.start()
	p.ready()

	ids := []string{"msg_well", "msg_deleted", "msg_doubled", "msg_moved"}
	records := map[string]connectors.Ref{}
	for n, id := range ids {
		justcall.Post(agoText(id, n))
	}
	for _, id := range ids {
		eventually(t, time.Minute, "the text is started", func() bool { return st.exists("main/" + id + "/sms.sent") })
		records[id] = st.result("main/" + id + "/sms.sent").Deliveries["crm"].Record
	}
	justcall.Deliver("msg_deleted", sms.StatusDelivered, "")
	const delivered = "main/msg_deleted/sms.delivered"
	eventually(t, time.Minute, "the status is started", func() bool { return st.exists(delivered) })
	require.Equal(t, connectors.Written, st.result(delivered).Deliveries["crm"].State)
	a := p.audit(0)
	require.Equal(t, []int{4, 4, 0, 0, 0}, []int{a.Listed, a.InCRM, a.Missing, a.Double, a.WrongContact})

	st.crm.DeleteMessage(records["msg_deleted"].ID)
	st.crm.CopyMessage(records["msg_doubled"].ID)
	stranger := st.crm.AddContact(connectortest.Contact{Name: "Stranger", Phones: []string{"+12025550199"}})
	st.crm.MoveMessage(records["msg_moved"].ID, stranger.ID)
	never := agoText("msg_never", 4)
	never.Status = sms.StatusFailed
	justcall.Put(never)
	findings := map[string]string{
		"main/msg_deleted/sms.sent": audit.Missing, "main/msg_never/sms.sent": audit.Missing,
		"main/msg_doubled/sms.sent": audit.Double, "main/msg_moved/sms.sent": audit.WrongContact,
	}
	a = p.audit(1)
	require.Equal(t, []int{5, 3, 2, 1, 1}, []int{a.Listed, a.InCRM, a.Missing, a.Double, a.WrongContact})
	require.Equal(t, findings, found(a))
	require.Nil(t, a.Repair, "nothing is changed without --repair")
	require.Len(t, st.crm.Messages(), 4)
	said := p.crmsync("audit", "--to", "crm", "--since", "7d")
	require.Equal(t, 1, said.status)
	require.Regexp(t, `listed +in CRM +missing +double +wrong contact\n5 +3 +2 +1 +1\n`, said.out)
	require.Contains(t, said.out, "missing  main/msg_never/sms.sent: crmsync never saw it")
	require.Contains(t, said.out, "give the same command --repair")

	a = p.audit(1, "--repair")
	require.Equal(t, 2, a.Repair.Done)
	for _, key := range []string{activities.ResyncID("main/msg_deleted/sms.sent", "crm"), "main/msg_never/sms.sent"} {
		require.Equal(t, connectors.Written, st.result(key).Deliveries["crm"].State, key)
	}
	eventually(t, time.Minute, "the statuses follow", func() bool {
		return st.statusOf("main/msg_deleted") == "delivered" && st.statusOf("main/msg_never") == "failed"
	})

	// A repair may be repeated.
	for range 2 {
		a = p.audit(1, "--repair")
		require.Equal(t, []int{5, 5, 0, 1, 1}, []int{a.Listed, a.InCRM, a.Missing, a.Double, a.WrongContact})
		require.Nil(t, a.Repair)
	}
	require.Len(t, st.crm.Messages(), 6, "five texts, one of them twice")
	require.Equal(t, map[string]int{"main/msg_doubled": 2}, st.crm.Doubles())

	// A person may decide that it stands where it should.
	p.does("messages", "link", numbersOfTest+"2003", "--connector", "crm", "--contact", stranger.ID, "--reason", "hers, too")
	eventually(t, time.Minute, "the number is linked", func() bool { return p.audit(1).WrongContact == 0 })

	require.Equal(t, 1, p.audit(0, "--number", numbersOfTest+"2000").Listed)
	require.Zero(t, p.audit(0, "--until", "6d").Listed)
	s := p.crmsync("audit", "--to", "crn", "--since", "7d")
	require.Equal(t, 2, s.status)
	require.Contains(t, s.err, `connector "crn" does not serve account main: there are crm`)
}

func found(a audited) map[string]string {
	found := map[string]string{}
	for _, f := range a.Findings {
		found[f.Key] += f.What
	}
	return found
}

// exists reports whether there is a workflow with that id.
func (st *stack) exists(id string) bool {
	_, err := st.client.DescribeWorkflowExecution(st.t.Context(), id, "")
	return err == nil
}

// statusOf answers the statuses of the records with a key.
func (st *stack) statusOf(key string) string {
	var all []string
	for _, m := range st.crm.Messages() {
		if m.Key == key {
			all = append(all, m.Status)
		}
	}
	return strings.Join(all, " ")
}
