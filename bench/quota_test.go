//go:build linux

package bench

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// BenchmarkQuota drains a backlog into a CRM that counts requests. It is built up
// while the CRM keeps its answers back (for the floor, while Temporal does not
// hand out the activities), and the clock starts when it lets go.
func BenchmarkQuota(b *testing.B) {
	b.Run("hubspot", func(b *testing.B) { likeHubspot(b, 1, size(500, 6000, 20_000)) })
	b.Run("hubspot-two", func(b *testing.B) { likeHubspot(b, 2, size(500, 3000, 5000)) })
	b.Run("tight", func(b *testing.B) { tightly(b, 1) })
	b.Run("tight-two", func(b *testing.B) { tightly(b, 2) })
}

// likeHubspot: each contact has four texts, exists in the CRM, and is not
// remembered.
func likeHubspot(b *testing.B, daemons, texts int) {
	st := newStack(b, sqlite, map[string]*crm{"crm": newCRM(b, hubspot, 300*time.Millisecond, texts/4)})
	st.start(daemons)
	floor := st.drain(st.floor(), "floor", max(texts/5, 100))
	ours := st.drain(st.ours("crm"), "crmsync", texts)
	scenario := fmt.Sprintf("quota, like HubSpot's, %d texts, %d daemons", texts, daemons)
	f, o := results.compared(b, scenario, []figures{floor}, []figures{ours})
	results.atLeast(scenario, "delivered per second, of the floor's", o[delivered]/f[delivered], 0.8)
	results.atMost(scenario, "requests per text", o[calls], 0.05)
	results.atMost(scenario, "requests refused with 429", float64(st.crms["crm"].refused()), 0)
}

// tightly: the quota is what bounds; all contacts are remembered.
func tightly(b *testing.B, daemons int) {
	st := newStack(b, sqlite, map[string]*crm{"crm": newCRM(b, tight, crmLatency, 20)})
	st.start(daemons)
	st.know("crm")
	texts := size(500, 2500, 2500)
	<-time.After(tightWindow) // so that the window is empty
	o := st.drain(st.ours("crm"), "crmsync", texts)
	scenario := fmt.Sprintf("quota, %d requests of %d texts per %s, %d daemons", tightAmount, tightBatch, tightWindow, daemons)
	results.row(b, scenario, "crmsync", o)
	results.atLeast(scenario, "texts per second, of what the quota allows", o[delivered]/allowed, 0.9)
	results.atMost(scenario, "requests refused with 429", float64(st.crms["crm"].refused()), 0)
}

// allowed is how many texts a second the tight quota allows in full batches.
const allowed = tightBatch * tightAmount / float64(tightWindow/time.Second)

// drain builds up a backlog and measures how it is worked off.
func (st *stack) drain(s *side, prefix string, n int) figures {
	st.tb.Helper()
	var drained, sent figures
	f := st.measure(s, func() []flight {
		release := s.hold()
		events := ids("drain_"+prefix, n)
		flights := pile(st.tb, s, events)
		sent = timesOf(flights)
		st.unspool()
		begun := time.Now()
		release()
		flights = land(st.tb, s, events, flights)
		waited := make([]flight, n)
		for i, f := range flights {
			waited[i] = flight{due: begun, acked: begun, arrived: f.arrived}
		}
		drained = timesOf(waited)
		return flights
	})
	f[acked], f[delivered] = sent[acked], drained[delivered]
	f[arrive50], f[arrive99] = math.NaN(), math.NaN()
	return f
}
