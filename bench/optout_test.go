//go:build linux

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
)

const (
	// optOutPace is how many people say STOP in a second.
	optOutPace = 5
	// loadShare is how much of what goes through the other traffic takes.
	loadShare = 0.7
	// pauseHolds is when an operator's pause holds in every process, and a margin.
	pauseHolds = 8 * time.Second
)

// BenchmarkOptOut lets people say STOP where nothing else goes on, and then while
// the lane works off a backlog and other texts take most of what goes through.
func BenchmarkOptOut(b *testing.B) {
	stops := size(20, 100, 300)
	c := newCRM(b, plain, crmLatency, 2*stops)
	st := newStack(b, sqlite, map[string]*crm{"crm": c})
	st.start(1)
	st.know("crm")
	s := st.ours("crm")
	capacity := timesOf(flood(b, s, ids("capacity", size(200, 2000, 4000)), closedLoop))[delivered]
	st.settle()

	quiet := timesOf(st.stops(c, 0, stops))
	late := st.backlog(s, size(1000, 10_000, 10_000))
	n := int(loadShare * capacity * float64(stops) / optOutPace)
	traffic := make(chan []flight)
	go func() { traffic <- flood(b, s, ids("traffic", n), openLoop(loadShare*capacity)) }()
	busy := timesOf(st.stops(c, stops, stops))
	others := timesOf(<-traffic)
	late()

	scenario := fmt.Sprintf("opt-out, %d texts of backlog and 70 %% of capacity", size(1000, 10_000, 10_000))
	results.row(b, scenario, "opt-outs, nothing else", quiet)
	results.row(b, scenario, "opt-outs meanwhile", busy)
	results.row(b, scenario, "the other texts", others)
	results.atMost(scenario, "webhook to suppressed, p99, ms", busy[arrive99], 1000)
}

// backlog lets so many texts gather in the lane's queue, and then lets it flow.
// Late waits until they have arrived.
func (st *stack) backlog(s *side, n int) (late func()) {
	st.tb.Helper()
	resume := st.pause(activities.ConnectorQueue(deployment, "crm"))
	<-time.After(pauseHolds)
	events := ids("backlog", n)
	flights := pile(st.tb, s, events)
	resume()
	return func() { land(st.tb, s, events, flights) }
}

// stops lets the owners of n numbers from the first on say STOP.
func (st *stack) stops(c *crm, first, n int) []flight {
	st.tb.Helper()
	s := &side{name: "crmsync", arrived: c.optedOut, send: func(i int, _ string) error {
		return st.daemons[i%len(st.daemons)].post(st.tb.Context(), stop(first+i))
	}}
	require.LessOrEqual(st.tb, first+n, c.contacts)
	return flood(st.tb, s, c.ids[first:first+n], openLoop(optOutPace))
}

// stop is the body of an opt-out.
func stop(i int) []byte {
	return fmt.Appendf(nil, `{"event":"sms.optout","timestamp":%q,"data":{"message_id":"msg_stop_%06d","direction":"inbound","from":%q,`+
		`"to":"+15125550100","body":"STOP","media_urls":[],"justcall_number":"+15125550100","contact_name":"Contact","agent_id":null}}`,
		time.Now().UTC().Format(time.RFC3339), i, phone(i))
}
