//go:build linux

package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"crmsync/connectors/connectortest"
	"crmsync/workflows"
)

// BenchmarkNeighbours looks at who suffers from whom.
func BenchmarkNeighbours(b *testing.B) {
	b.Run("poison", poisoned)
	b.Run("slow", slow)
}

// poisoned: one text in a batch makes the CRM refuse the batch as a whole.
func poisoned(b *testing.B) {
	c := newCRM(b, plain, crmLatency, regulars)
	st := newStack(b, sqlite, map[string]*crm{"crm": c})
	st.start(1)
	st.know("crm")
	events := ids("poison", batch)
	st.oneBatch(c, events, events[batch/3])
	parked := func() int64 {
		state := workflows.AttributesOf(deployment).State.GetName()
		counted, err := st.client.CountWorkflow(b.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: state + " = '" + workflows.StateParked + "'"})
		require.NoError(b, err)
		return counted.GetCount()
	}
	require.Eventually(b, func() bool { return parked() > 0 }, time.Minute, 100*time.Millisecond, "it is parked")
	scenario := "neighbours, one poison in a batch of 100"
	results.atMost(scenario, "extra requests", float64(c.extra()), 15)
	results.atMost(scenario, "texts parked", float64(parked()), 1)
}

// gathering is ample time for texts that were accepted to reach the lane.
const gathering = 10 * time.Second

// oneBatch has the texts wait for the CRM together behind another one. All but the
// poison must arrive.
func (st *stack) oneBatch(c *crm, events []string, poison string) {
	st.tb.Helper()
	c.mu.Lock()
	c.poison = poison
	c.mu.Unlock()
	s := st.ours("crm")
	release := c.hold()
	pile(st.tb, s, []string{events[0] + "_first"})
	require.Eventually(st.tb, c.holding, patience, time.Millisecond)
	flights := pile(st.tb, s, events)
	<-time.After(gathering)
	release()
	land(st.tb, s, slices.DeleteFunc(slices.Clone(events), func(id string) bool { return id == poison }), flights)
}

const slowLatency = 25 * time.Second

// slow: one of two CRMs takes long for every request.
func slow(b *testing.B) {
	tardy, quick := newCRM(b, plain, crmLatency, regulars), newCRM(b, plain, crmLatency, regulars)
	st := newStack(b, sqlite, map[string]*crm{"tardy": tardy, "quick": quick})
	st.start(1)
	st.know("tardy")
	const n, rate = 600, 10 // fewer tell nothing of a p99
	before := timesOf(flood(b, st.ours("quick"), ids("before", n), openLoop(rate)))
	st.settle()

	events := ids("meanwhile", n)
	attempts := st.attempts("tardy")
	tardy.SetFaults(func(f *connectortest.Faults) { f.Latency = slowLatency })
	flights := flood(b, st.ours("quick"), events, openLoop(rate))
	land(b, st.ours("tardy"), events, flights)
	st.settle()

	scenario := fmt.Sprintf("neighbours, one CRM takes %s", slowLatency)
	results.row(b, scenario, "the other CRM before", before)
	results.row(b, scenario, "the other CRM meanwhile", timesOf(flights))
	results.atMost(scenario, "the other CRM's p99, of that before", timesOf(flights)[arrive99]/before[arrive99], 1.5)
	results.atMost(scenario, "attempts per text at the slow one", (st.attempts("tardy")-attempts)/n, 1)
}
