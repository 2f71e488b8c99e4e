//go:build linux

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/activities"
)

const (
	// stopPace is how many people say STOP in a second: few beside the others.
	stopPace = 2
	// loadShare is how much of what goes through the other traffic takes.
	loadShare = 0.7
	// pauseHolds is when an operator's pause holds in every process, and a margin.
	pauseHolds = 8 * time.Second
)

// BenchmarkOptOut lets people say STOP where nothing else goes on; then beside
// other traffic; and then while the lane works off a backlog, too.
func BenchmarkOptOut(b *testing.B) {
	n, behind := size(20, 100, 200), size(1000, 10_000, 10_000)
	c := newCRM(b, plain, crmLatency, 3*n)
	st := newStack(b, sqlite, map[string]*crm{"crm": c})
	st.start(1)
	st.know("crm")
	s := st.stops(c)
	capacity := timesOf(flood(b, s, ids("capacity", size(200, 2000, 4000)), closedLoop))[delivered]
	st.settle()
	scenario := fmt.Sprintf("opt-out, at %.0f %% of %.0f/s", 100*loadShare, capacity)

	results.row(b, scenario, "opt-outs, nothing else", st.beside(s, c.ids[:n], 0))
	busy := st.beside(s, c.ids[n:2*n], loadShare*capacity)
	results.row(b, scenario, "opt-outs", busy)
	results.atMost(scenario, "webhook to suppressed, p99, ms", busy[arrive99], 1000)

	st.settle()
	st.backlog(s, behind)
	busy = st.beside(s, c.ids[2*n:], loadShare*capacity)
	behindWhat := fmt.Sprintf(", with %d of backlog", behind)
	results.row(b, scenario, "opt-outs"+behindWhat, busy)
	results.atMost(scenario, "webhook to suppressed"+behindWhat+", p99, ms", busy[arrive99], 1000)
}

// stopOf is the event in which a contact says STOP.
func stopOf(contact string) string { return "stop_" + contact }

// stops is the daemon's side, where some events are a STOP.
func (st *stack) stops(c *crm) *side {
	s := st.ours("crm")
	texts := s.send
	s.send = func(i int, id string) error {
		contact, isStop := strings.CutPrefix(id, stopOf(""))
		if !isStop {
			return texts(i, id)
		}
		return st.daemons[i%len(st.daemons)].post(st.tb.Context(), stop(id, phone(slices.Index(c.ids, contact))))
	}
	return s
}

// beside lets the contacts say STOP one after the other beside so many texts a
// second, whose deliveries it does not wait for.
func (st *stack) beside(s *side, contacts []string, texts float64) figures {
	st.tb.Helper()
	var events []string
	between := int(texts / stopPace)
	for _, contact := range contacts {
		events = append(events, stopOf(contact))
		events = append(events, ids("beside_"+contact, between)...)
	}
	flights := fly(st.tb, s, events, openLoop(stopPace*float64(1+between)), func(*flight, string) error { return nil })
	var stops []string
	var said []flight
	for i := 0; i < len(events); i += 1 + between {
		stops, said = append(stops, events[i]), append(said, flights[i])
	}
	return timesOf(land(st.tb, s, stops, said))
}

// backlog lets so many texts gather in the lane's queue, and then lets it flow.
func (st *stack) backlog(s *side, n int) {
	st.tb.Helper()
	resume := st.pause(activities.ConnectorQueue(deployment, "crm"))
	<-time.After(pauseHolds)
	pile(st.tb, s, ids("backlog", n))
	st.unspool()
	resume()
}

// stop is the body of an opt-out.
func stop(id, from string) []byte {
	return fmt.Appendf(nil, `{"event":"sms.optout","timestamp":%q,"data":{"message_id":"msg_%s","direction":"inbound","from":%q,`+
		`"to":"+15125550100","body":"STOP","media_urls":[],"justcall_number":"+15125550100","contact_name":"Contact","agent_id":null}}`,
		time.Now().UTC().Format(time.RFC3339), id, from)
}
