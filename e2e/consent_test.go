package e2e

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"crmsync/activities"
	"crmsync/connectors/connectortest"
	"crmsync/internal/justcall/justcalltest"
)

func consentEvent(id, event string, at time.Time) []byte {
	m := inbound(id, sarah, "STOP")
	m.event, m.at = event, at
	return m.json()
}

// TestStopEverywhere suppresses every contact that carries the number, and lifts
// that again.
func TestStopEverywhere(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	st.addSarahs(3)
	p := st.daemon()
	now := time.Now()
	p.accepted(consentEvent("stop", "sms.optout", now))
	eventually(t, 10*time.Second, "three contacts are suppressed", func() bool { return len(st.optedOut()) == 3 })
	p.accepted(consentEvent("start", "sms.optin", now.Add(time.Minute)))
	eventually(t, 10*time.Second, "none is", func() bool { return len(st.optedOut()) == 0 })

	// An older opt-out that comes late changes nothing; one of the same instant
	// as the opt-in wins.
	p.accepted(consentEvent("late", "sms.optout", now.Add(30*time.Second)))
	p.accepted(consentEvent("tie", "sms.optout", now.Add(time.Minute)))
	eventually(t, 10*time.Second, "the tie goes to opted-out", func() bool { return len(st.optedOut()) == 3 })
	for _, change := range st.crm.History()[6:] {
		require.Equal(t, now.Add(time.Minute).Unix(), change.At.Unix(), "the late one was never written")
	}
}

// TestRetriedOptIn loses the answers of an opt-in, so that it is retried, and
// lets the STOP come meanwhile: the number stays opted out.
func TestRetriedOptIn(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{
		crm:       connectortest.CRMOptions{Settle: 500 * time.Millisecond},
		connector: connectortest.Options{Settle: time.Second, CallTimeout: 2 * time.Second},
	})
	st.addSarahs(1)
	p := st.daemon()
	now := time.Now()
	// Every write is answered by a closed connection and lands half a second later.
	st.crm.SetFaults(func(f *connectortest.Faults) { f.LateEvery = 1 })
	p.accepted(consentEvent("start", "sms.optin", now))
	eventually(t, 10*time.Second, "an opt-in is on its way", func() bool { return st.crm.Pending() > 0 })
	p.accepted(consentEvent("stop", "sms.optout", now.Add(time.Second)))
	st.crm.SetFaults(func(f *connectortest.Faults) { f.LateEvery = 0 })
	eventually(t, 20*time.Second, "the consent was written once more, after the late one landed", func() bool {
		history := st.crm.History()
		return len(history) >= 3 && history[len(history)-1].Value == "out" && st.crm.Pending() == 0 && st.lastIn() < len(history)-1
	})
	require.Len(t, st.optedOut(), 1)
}

// lastIn is the place of the last opt-in in the history, -1 for none.
func (st *stack) lastIn() int {
	last := -1
	for i, change := range st.crm.History() {
		if change.Value == "in" {
			last = i
		}
	}
	return last
}

// TestStopOfUnknownNumber is kept, creates no contact, and is applied to the one
// that appears with the next text.
func TestStopOfUnknownNumber(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{
		crm:       connectortest.CRMOptions{SearchLag: 30 * time.Second},
		connector: connectortest.Options{SearchLag: 30 * time.Second},
	})
	p := st.daemon()
	p.accepted(consentEvent("stop", "sms.optout", time.Now()))
	eventually(t, 10*time.Second, "the consent is settled", func() bool {
		return st.count("WorkflowType = 'SyncConsent' AND crmsync_state = 'opted_out'") == 1
	})
	require.Empty(t, st.crm.Contacts(), "consent creates no contact")
	p.accepted(inbound("msg_1", sarah, "hello again").json())
	st.result("main/msg_1/sms.received")
	require.Len(t, st.crm.Contacts(), 1)
	eventually(t, 10*time.Second, "the new contact is suppressed, though no search sees it yet", func() bool { return len(st.optedOut()) == 1 })
}

// TestStopAtOneLine: where lines are kept apart a contact is suppressed while it
// has said STOP to any of them.
func TestStopAtOneLine(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{justcall: `{ region: US, webhook: { token: "` + token + `" }, consent: { scope: number } }`})
	st.addSarahs(1)
	p := st.daemon()
	now := time.Now()
	say := func(id, event, to string, after time.Duration) {
		m := inbound(id, sarah, "STOP").as(event)
		m.to, m.line, m.at = to, to, now.Add(after)
		p.accepted(m.json())
	}
	say("stop", "sms.optout", line, 0)
	eventually(t, time.Minute, "the contact is suppressed", func() bool { return len(st.optedOut()) == 1 })
	const other = "+15125550177"
	say("other", "sms.optin", other, time.Minute)
	say("again", "sms.optout", other, 2*time.Minute)
	eventually(t, time.Minute, "the STOP at the other line is written, too", func() bool { return len(st.crm.History()) == 2 })
	say("start", "sms.optin", line, 3*time.Minute)
	say("both", "sms.optin", other, 4*time.Minute)
	eventually(t, time.Minute, "it is not, once both are lifted", func() bool { return len(st.optedOut()) == 0 })
	require.Equal(t, []string{"out", "out", "in"}, st.consents())
}

// consents are the consents that were written, in order.
func (st *stack) consents() (values []string) {
	for _, change := range st.crm.History() {
		if change.Op == "consent" {
			values = append(values, change.Value)
		}
	}
	return values
}

// TestStopOvertakesABacklog: it does not wait for the texts before it, of which a
// slow CRM takes one at a time.
func TestStopOvertakesABacklog(t *testing.T) {
	t.Parallel()
	const backlog = 100
	st := newStack(t, setup{connector: connectortest.Options{MaxBatch: 1}})
	st.addSarahs(1)
	p := st.daemon()
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 3 * time.Second })
	for i := range backlog {
		p.accepted(inbound(fmt.Sprint("msg_", i), sarah, "hello").json())
	}
	require.Less(t, len(st.crm.Messages()), backlog/2, "most texts wait")
	p.accepted(consentEvent("stop", "sms.optout", time.Now()))
	eventually(t, time.Minute, "the contact is suppressed", func() bool { return len(st.optedOut()) == 1 })
	require.Less(t, len(st.crm.Messages()), backlog, "before the last text is there")
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 0 })
	eventually(t, time.Minute, "all texts are there", func() bool { return len(st.crm.Messages()) == backlog })
}

// TestListedNumbersAreSuppressed: a STOP whose webhook was lost is found on
// JustCall's do-not-message list, at once when the daemon starts, and one whose
// number is not on it (any more) stands.
func TestListedNumbersAreSuppressed(t *testing.T) {
	t.Parallel()
	justcall := justcalltest.NewServer(justcalltest.Options{API: "v2.1"})
	t.Cleanup(justcall.Close)
	server := httptest.NewServer(justcall)
	t.Cleanup(server.Close)
	st := newStack(t, setup{justcall: fmt.Sprintf(
		`{ region: US, webhook: { token: %q }, api: { base_url: %q, version: v2.1, key: key, secret: secret } }`, token, server.URL)})
	lost := st.crm.AddContact(connectortest.Contact{Name: "Lost", Phones: []string{"+15125550188"}})
	lifted := st.crm.AddContact(connectortest.Contact{Name: "Lifted", Phones: []string{sarah}})
	justcall.Suppress("+15125550188", true)
	p := st.daemon()
	p.accepted(consentEvent("stop", "sms.optout", time.Now()))
	eventually(t, time.Minute, "both are suppressed", func() bool {
		return slices.Equal([]string{lost.ID, lifted.ID}, st.optedOut())
	})
	var report activities.ConsentReport
	eventually(t, time.Minute, "the comparison has ended", func() bool {
		listed, err := st.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = 'CompareConsent' AND ExecutionStatus = 'Completed'",
		})
		require.NoError(t, err)
		if len(listed.Executions) == 0 {
			return false
		}
		return st.client.GetWorkflow(t.Context(), listed.Executions[0].Execution.WorkflowId, "").Get(t.Context(), &report) == nil
	})
	require.Equal(t, 1, report.Added)
	require.Zero(t, report.Known)
	require.Contains(t, p.log.String(), "numbers on JustCall's do-not-message list were not opted out here")
	require.NotContains(t, p.log.String(), "5550188")
}
