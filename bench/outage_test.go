//go:build linux

package bench

import (
	"fmt"
	"testing"
	"time"

	"crmsync/connectors/connectortest"
)

// outagePace is such that 10,000 events come in ten minutes.
const outagePace = 10_000.0 / 600

// BenchmarkOutage takes one of two CRMs away, while events for both arrive at two
// daemons.
func BenchmarkOutage(b *testing.B) {
	dead, other := newCRM(b, plain, crmLatency, regulars), newCRM(b, plain, crmLatency, regulars)
	st := newStack(b, sqlite, map[string]*crm{"dead": dead, "other": other})
	st.start(2)
	st.know("dead")
	seconds := size(10, 60, 600)
	n := int(outagePace * float64(seconds))
	before := timesOf(flood(b, st.ours("other"), ids("before", min(n, 1000)), openLoop(outagePace)))
	st.settle()

	events := ids("outage", n)
	attempts, requests := st.attempts("dead"), dead.calls()
	dead.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	flights := flood(b, st.ours("other"), events, openLoop(outagePace))
	lost := dead.calls() - requests
	dead.SetFaults(func(f *connectortest.Faults) { f.Down = false })
	back := time.Now()
	late := land(b, st.ours("dead"), events, flights)
	st.settle()

	scenario := fmt.Sprintf("outage of %d s, %d events, 2 daemons", seconds, n)
	results.row(b, scenario, "the other CRM before", before)
	results.row(b, scenario, "the other CRM meanwhile", timesOf(flights))
	results.atMost(scenario, "attempts per event", (st.attempts("dead")-attempts)/float64(n), 2)
	results.atMost(scenario, "requests against the dead CRM", float64(lost), 200)
	results.atMost(scenario, "delivery resumes after, s", dead.arrived.firstAfter(back).Sub(back).Seconds(), 5)
	results.atMost(scenario, "the other CRM's p99, of that before", timesOf(flights)[arrive99]/before[arrive99], 1.5)
	results.note(scenario, "the backlog was delivered after, s", lastOf(late, func(f flight) time.Time { return f.arrived }).Sub(back).Seconds())
}

// attempts is how often all daemons tried to deliver by a task of the queue: those
// that Temporal retries.
func (st *stack) attempts(connector string) (sum float64) {
	st.tb.Helper()
	for _, d := range st.daemons {
		sum += d.metric(st.tb, "crmsync_attempts_total", `activity="Deliver"`, fmt.Sprintf("connector=%q", connector))
	}
	return sum
}
