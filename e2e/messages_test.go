package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/messages"
	"crmsync/workflows"
)

// said is what a command printed, and its exit status.
type said struct {
	out, err string
	status   int
}

// crmsync runs the command line with the daemon's configuration.
func (p *process) crmsync(arguments ...string) said {
	p.st.t.Helper()
	var out, stderr bytes.Buffer
	cmd := p.command(arguments...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	_ = cmd.Run()
	return said{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (p *process) command(arguments ...string) *exec.Cmd {
	options, err := json.Marshal(p.st.setup.connector)
	require.NoError(p.st.t, err)
	cmd := exec.Command(os.Args[0], append(arguments, "--config", p.config)...)
	cmd.Env = append(os.Environ(), asDaemon+"="+string(options))
	return cmd
}

// does runs a command that has to succeed.
func (p *process) does(arguments ...string) string {
	p.st.t.Helper()
	s := p.crmsync(arguments...)
	require.Zero(p.st.t, s.status, "%v: %s%s", arguments, s.out, s.err)
	return s.out
}

// list answers the keys that a list holds, in order.
func (p *process) list(arguments ...string) []string {
	p.st.t.Helper()
	var items []messages.Item
	require.NoError(p.st.t, json.Unmarshal([]byte(p.does(append([]string{"messages", "list", "--json"}, arguments...)...)), &items))
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Key
	}
	slices.Sort(keys)
	return keys
}

func (p *process) show(arguments ...string) messages.Detail {
	p.st.t.Helper()
	var details []messages.Detail
	require.NoError(p.st.t, json.Unmarshal([]byte(p.does(append([]string{"messages", "show", "--json"}, arguments...)...)), &details))
	require.NotEmpty(p.st.t, details)
	return details[0]
}

// TestMessages has a person find what is parked, look at it, and repair it from
// the command line, with everything encrypted.
func TestMessages(t *testing.T) {
	t.Parallel()
	const retried, skipped, other = "main/msg_retried/sms.received", `main/msg'"%_\skipped/sms.received`, "main/msg_other/sms.received"
	st := newStack(t, setup{keys: []string{aKey('a')}})
	poison := []string{"msg_retried", `msg'"%_\skipped`}
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = poison })
	p := st.daemon()
	for _, id := range append(poison, "msg_other") {
		p.accepted(inbound(id, sarah, "hello "+id).json())
	}
	record := st.result(other).Deliveries["crm"].Record.ID
	st.awaitParked(2)

	parked := []string{skipped, retried}
	for _, arguments := range [][]string{
		nil,
		{"--parked"},
		{"--state", "parked", "--connector", "crm", "--error", "INVALID", "--kind", "received", "--account", "main", "--since", "1h"},
		{"--parked", sarah},
		{"--parked", "--number", "(512) 555-1234"},
		{"--parked", "msg_retried", poison[1]},
	} {
		require.Equal(t, parked, p.list(arguments...), arguments)
	}
	require.Equal(t, []string{other}, p.list("--connector", "crm", record), "by the id of the record")
	require.Equal(t, []string{other}, p.list("--state", "done"))
	require.Equal(t, []string{skipped}, p.list("main/"+poison[1]), "every character of an id is only itself")
	require.Empty(t, p.list("--parked", "--error", "FORBIDDEN"))
	require.Empty(t, p.list("--waiting"))
	require.Regexp(t, `parked +\S+Z +main/msg_retried/sms.received +crm parked \(INVALID\)`, p.does("messages", "list"))
	require.Contains(t, p.crmsync("messages", "show", "msg_unheard_of").err, "nothing is known of msg_unheard_of")

	p.term()
	d := p.show(retried)
	require.Equal(t, "hello msg_retried", d.Event.Message.Body)
	require.Equal(t, workflows.StateParked, d.State)
	require.Equal(t, workflows.StateParked, d.Deliveries[0].State)
	require.Equal(t, "INVALID", d.Deliveries[0].Error.Kind)
	require.Positive(t, d.Deliveries[0].Attempts)
	require.Regexp(t, `(?s)main/msg_retried.*contact +\+15125551234.*text +hello.*→ crm +parked.*error +INVALID: `, p.does("messages", "show", "msg_retried"))
	p.start()
	p.ready()

	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = nil })
	require.Contains(t, p.does("messages", "retry", "msg_retried", "--dry-run"), "Nothing was done")
	require.Equal(t, parked, p.list("--parked"))
	require.Contains(t, p.does("messages", "retry", "msg_retried", "--reason", "mended"), "1 of 1 done")
	result := st.result(retried).Deliveries["crm"]
	require.Equal(t, connectors.Written, result.State)
	require.Equal(t, "mended", result.Reason)
	require.NotEmpty(t, result.By)
	require.Contains(t, p.does("messages", "retry", retried), "1 not parked")

	require.Contains(t, p.does("messages", "skip", "--kind", "text", "--reason", "spam"), "skip: 1 of ")
	require.Equal(t, activities.DeliveryResult{State: workflows.StateSkipped, Reason: "spam", By: result.By}, st.result(skipped).Deliveries["crm"])
	d = p.show(skipped)
	require.Equal(t, workflows.UpdateSkip, d.Repairs[0].Verb)
	require.Equal(t, "spam", d.Repairs[0].Reason)
	require.Equal(t, result.By, d.Repairs[0].By)
	require.Equal(t, "skipped", d.Deliveries[0].State)
	require.Len(t, st.crm.Messages(), 2)
	require.Empty(t, st.crm.Doubles())
}

// TestMessagesBesideTexts repairs what is no event of a text.
func TestMessagesBesideTexts(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.prepare()
	s := p.crmsync("messages", "list")
	require.Equal(t, 1, s.status)
	require.Contains(t, s.err, "'crmsync check' says which are missing")
	p.start()
	p.ready()
	require.Equal(t, "quarantined", p.post([]byte(`{"event":"sms.received","data":{"body":"Hello"}`)).Result)
	p.accepted(consentEvent("stop", "sms.optout", time.Now()))
	eventually(t, time.Minute, "both are listed", func() bool { return st.count("WorkflowType != 'SyncEvent'") == 2 })

	quarantined := p.list("--kind", "quarantine")
	require.Len(t, quarantined, 1)
	require.Contains(t, p.does("messages", "show", quarantined[0]), `body    {"event"`)
	consent := p.list(sarah)
	require.Len(t, consent, 1)
	require.True(t, p.show(consent[0]).Consent.OptedOut)
	require.Equal(t, 1, p.crmsync("messages", "resync", quarantined[0], consent[0]).status)
	require.Contains(t, p.does("messages", "skip", quarantined[0]), "1 of 1 done")
	eventually(t, time.Minute, "it is done", func() bool { return st.count("WorkflowType = 'Quarantine' AND crmsync_state = 'done'") == 1 })
}

// TestMessagesLink has a person decide to whom a number belongs.
func TestMessagesLink(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{more: ", contacts: { several: park }"})
	chosen := st.crm.AddContact(connectortest.Contact{Name: "Sarah Chen", Phones: []string{sarah}})
	later := st.crm.AddContact(connectortest.Contact{Name: "Sam Chen", Phones: []string{sarah}})
	p := st.daemon()
	p.accepted(inbound("msg_first", sarah, "who am I?").json())
	st.awaitParked(1)
	require.Equal(t, []string{"main/msg_first/sms.received"}, p.list("--parked", "--error", activities.SeveralContacts))

	require.Equal(t, 2, p.crmsync("messages", "link", "msg_first").status, "which contact?")
	require.Contains(t, p.does("messages", "link", sarah, "--contact", chosen.ID, "--contact-type", chosen.Type), "1 of 1 done")
	st.deliveredTo("main/msg_first/sms.received", chosen)
	p.accepted(inbound("msg_second", sarah, "me again").json())
	st.deliveredTo("main/msg_second/sms.received", chosen)

	out := p.does("messages", "link", "msg_second", "--contact", later.ID, "--contact-type", later.Type)
	require.Contains(t, out, "linked for the texts to come")
	p.accepted(inbound("msg_third", sarah, "and again").json())
	require.Equal(t, later.ID, st.result("main/msg_third/sms.received").Deliveries["crm"].Contact.ID)
}

// TestResync brings finished events once more: to where they are already, which
// changes nothing, and to a CRM that was added later.
func TestResync(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.ClassB, connectors.ClassD} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			st := newStack(t, setup{
				crm:       connectortest.CRMOptions{Class: class},
				connector: connectortest.Options{Settle: 100 * time.Millisecond},
				more:      ", contacts: { create_when: always }",
			})
			p := st.daemon()
			sent := outbound("msg_out", sarah, "hello")
			p.accepted(sent.json())
			p.accepted(sent.as("sms.delivered").json())
			st.result("main/msg_out/sms.delivered")
			st.crm.EditMessage(st.message("main/msg_out").ID, "edited by a person", "")

			require.Contains(t, p.does("messages", "resync", "main/msg_out/sms.sent", "--reason", "to be sure"), "1 of 1 done")
			result := st.result("main/msg_out/sms.sent@crm").Deliveries["crm"]
			require.Equal(t, connectors.Existed, result.State)
			require.Equal(t, "to be sure", result.Reason)
			require.NotEqual(t, "written before", result.How, "it asked the CRM, not its memory")
			require.Equal(t, "edited by a person", st.message("main/msg_out").Body)

			later := connectortest.NewCRM(connectortest.CRMOptions{Class: class})
			p.addConnector(t, "later", fmt.Sprintf("{ type: testcrm, base_url: %q, class: %s, contacts: { create_when: always } }", later.Start(t), class))
			eventually(t, time.Minute, "all three are listed", func() bool { return len(p.list("msg_out", "--state", "done")) == 3 })
			require.Contains(t, p.does("messages", "resync", "msg_out", "--to", "later"), "2 of 2 done")
			st.result("main/msg_out/sms.sent@later")
			st.result("main/msg_out/sms.delivered@later")
			require.Len(t, later.Messages(), 1)
			require.Equal(t, "main/msg_out", later.Messages()[0].Key)
			require.Equal(t, "delivered", later.Messages()[0].Status)
			require.Len(t, st.crm.Messages(), 1, "nothing more at the first one")
			require.Empty(t, st.crm.Doubles())

			require.Contains(t, p.does("messages", "resync", "msg_out", "--to", "later"), "2 of 2 done", "it may be repeated")
			st.result("main/msg_out/sms.sent@later")
			require.Len(t, later.Messages(), 1)
		})
	}
}

// addConnector restarts the daemon with one more connector.
func (p *process) addConnector(t *testing.T, name, settings string) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.config, fmt.Appendf(text, "  %s: %s\n", name, settings), 0o600))
	p.term()
	p.start()
	p.ready()
}

// TestResyncWaitsForTheEnd: what is parked is retried, not resynced.
func TestResyncWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = []string{"msg_parked"} })
	p := st.daemon()
	p.accepted(inbound("msg_parked", sarah, "hello").json())
	st.awaitParked(1)
	s := p.crmsync("messages", "resync", "msg_parked")
	require.Equal(t, 1, s.status)
	require.Contains(t, s.out, "still under way")
	require.Equal(t, 2, p.crmsync("messages", "resync", "msg_parked", "--to", "nosuch").status)
}

// TestRepairWithoutWorker says what is missing, instead of waiting for ever.
func TestRepairWithoutWorker(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until nobody has answered for 20 s")
	}
	st := newStack(t, setup{})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = []string{"msg_parked"} })
	p := st.daemon()
	p.accepted(inbound("msg_parked", sarah, "hello").json())
	st.awaitParked(1)
	p.term()
	s := p.crmsync("messages", "retry", "msg_parked")
	require.Equal(t, 1, s.status)
	require.Contains(t, s.out, "is 'crmsync run' running?")
}

const (
	manyParked = 500
	// repairedWithin is what is promised for them.
	repairedWithin = time.Minute
)

// TestManyRepaired has 500 deliveries refused, and one command repair them: it
// is interrupted in the middle, and repeated.
func TestManyRepaired(t *testing.T) { //nolint:paralleltest // it measures
	if testing.Short() {
		t.Skip("takes a minute; the short form is TestMessages")
	}
	st := newStack(t, setup{})
	ids := make([]string, manyParked)
	for i := range ids {
		ids[i] = fmt.Sprintf("msg_%04d", i)
	}
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = ids })
	p := st.daemon()
	bodies := make([][]byte, manyParked)
	for i, id := range ids {
		bodies[i] = inbound(id, fmt.Sprintf("+1512556%04d", i%100), "text number "+id).json()
	}
	postAll(p, bodies).done.Wait()
	eventually(t, 3*time.Minute, "all are parked", func() bool { return st.count(parkedTexts) == manyParked })
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = nil })

	begun := time.Now()
	first := st.interrupted(p, "messages", "retry", "--state", "parked", "--connector", "crm", "--reason", "field made optional")
	t.Logf("interrupted after %s: exit status %d, %s%s", time.Since(begun).Round(time.Millisecond), first.status, first.out, first.err)
	require.Equal(t, 1, first.status)
	require.Regexp(t, `retry: \d+ of 500 done, \d+ not tried`, first.out)
	require.Contains(t, first.err, "the same command goes on from here")
	require.Regexp(t, `retry: \d+ of \d+ done`, p.does("messages", "retry", "--state", "parked", "--connector", "crm", "--reason", "field made optional"))
	commands := time.Since(begun)
	eventually(t, 2*time.Minute, "all are in the CRM", func() bool { return len(st.crm.Messages()) == manyParked })
	took := time.Since(begun)
	t.Logf("%d parked deliveries: both commands took %s, and all were in the CRM after %s",
		manyParked, commands.Round(time.Millisecond), took.Round(time.Millisecond))
	require.Less(t, took, repairedWithin)
	st.settled(manyParked, time.Minute)
	require.Empty(t, st.crm.Doubles())
	require.Len(t, st.crm.Messages(), manyParked)
	require.Equal(t, "field made optional", st.result("main/msg_0000/sms.received").Deliveries["crm"].Reason)
	require.Empty(t, p.list("--parked"))
}

// interrupted runs a command and sends it SIGINT once the first text is in the CRM:
// later it might have tried all of them.
func (st *stack) interrupted(p *process, arguments ...string) said {
	st.t.Helper()
	var out, stderr bytes.Buffer
	cmd := p.command(arguments...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	require.NoError(st.t, cmd.Start())
	eventually(st.t, time.Minute, "one is repaired", func() bool { return len(st.crm.Messages()) > 0 })
	require.NoError(st.t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	return said{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
