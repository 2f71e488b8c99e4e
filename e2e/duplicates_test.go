package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// eachClass runs a test against a CRM that knows keys and one that offers only
// a search.
func eachClass(t *testing.T, test func(st *stack)) {
	for _, class := range []connectors.Class{connectors.ClassB, connectors.ClassD} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			test(newStack(t, setup{
				crm:       connectortest.CRMOptions{Class: class},
				connector: connectortest.Options{Settle: 100 * time.Millisecond},
			}))
		})
	}
}

// TestTheSameEventAgain posts one event 20 times at once, again while its
// workflow runs, and again after it has completed and Redis was emptied.
func TestTheSameEventAgain(t *testing.T) {
	t.Parallel()
	eachClass(t, func(st *stack) {
		p := st.daemon()
		body := inbound("msg_again", "+15125551234", "once").json()
		st.crm.SetFaults(func(f *connectortest.Faults) { f.Down = true })

		// Those that Temporal took too long for were spooled, and accepted for that.
		results := p.atOnce(20, body)
		require.Positive(st.t, results["accepted"])
		require.Equal(st.t, 20, results["accepted"]+results["duplicate"], results)
		p.drained()
		require.Equal(st.t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, st.status("main/msg_again/sms.received"))
		p.known(body, "while its workflow runs")

		st.crm.SetFaults(func(f *connectortest.Faults) { f.Down = false })
		require.Equal(st.t, connectors.Written, st.result("main/msg_again/sms.received").Deliveries["crm"].State)
		require.NoError(st.t, st.redis.Flush(st.t.Context()))
		p.known(body, "when Redis has forgotten it")

		st.only("main/msg_again")
		eventually(st.t, time.Minute, "the list shows one workflow", func() bool { return st.count("WorkflowType = 'SyncEvent'") == 1 })
	})
}

// TestTerminatedEventRunsAgain terminates the workflow of a text that the CRM
// has taken, without anybody knowing: the answer was lost.
func TestTerminatedEventRunsAgain(t *testing.T) {
	t.Parallel()
	eachClass(t, func(st *stack) {
		const key = "main/msg_ended/sms.received"
		st.crm.AddContact(connectortest.Contact{Name: "Sarah Chen", Phones: []string{"+15125551234"}})
		st.crm.SetFaults(func(f *connectortest.Faults) { f.LoseEvery = 1 })
		p := st.daemon()
		body := inbound("msg_ended", "+15125551234", "once").json()
		p.accepted(body)
		eventually(st.t, time.Minute, "the CRM has the text", func() bool { return len(st.crm.Messages()) > 0 })
		first := st.run(key)
		require.NoError(st.t, st.client.TerminateWorkflow(st.t.Context(), key, "", "the operator said so"))

		st.crm.SetFaults(func(f *connectortest.Faults) { f.LoseEvery = 0 })
		// A busy server may not say in time that the workflow was terminated; in
		// doubt the event is a duplicate.
		eventually(st.t, time.Minute, "the event is accepted again", func() bool { return p.post(body).Result == "accepted" })
		p.drained()
		require.NotEqual(st.t, first, st.run(key), "a new run")
		st.result(key)
		st.only("main/msg_ended")
	})
}

// atOnce posts a body n times at the same moment and counts the results.
func (p *process) atOnce(n int, body []byte) map[string]int {
	p.st.t.Helper()
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		results = map[string]int{}
		begin   = make(chan struct{})
	)
	for range n {
		all.Go(func() {
			<-begin
			a, err := p.try(body)
			if err != nil || a.Status != 200 {
				a.Result = fmt.Sprint(a.Status, err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[a.Result]++
		})
	}
	close(begin)
	all.Wait()
	return results
}

// only expects that the CRM holds this text and nothing else.
func (st *stack) only(key string) {
	st.t.Helper()
	messages := st.crm.Messages()
	require.Len(st.t, messages, 1)
	require.Equal(st.t, key, messages[0].Key)
}

// run is the id of a workflow's latest run.
func (st *stack) run(id string) string {
	st.t.Helper()
	described, err := st.client.DescribeWorkflowExecution(st.t.Context(), id, "")
	require.NoError(st.t, err)
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}
