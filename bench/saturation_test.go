//go:build linux

package bench

import (
	"fmt"
	"testing"
	"time"
)

const (
	// crmLatency is that of a CRM that is near.
	crmLatency = 20 * time.Millisecond
	// regulars is how many contacts the texts are of where all are known.
	regulars = 100
)

// BenchmarkSaturation sends as much as goes through: always so many events are on
// their way. All contacts are remembered. A CRM of class D gets nothing that was
// tried at once: each delivery goes through its queue.
func BenchmarkSaturation(b *testing.B) {
	onEach(b, func(b *testing.B, database string) { saturate(b, "saturation, "+database, database, plain) })
	b.Run("durable", func(b *testing.B) { saturate(b, "saturation, nothing tried at once", sqlite, classD) })
}

func saturate(b *testing.B, scenario, database, kind string) {
	floor, ours := compare(b, database, kind, runs(), size(200, 1000, 1000), closedLoop)
	f, o := results.compared(b, scenario, floor, ours)
	results.atLeast(scenario, "delivered per second, of the floor's", o[delivered]/f[delivered], 0.8)
	results.atMost(scenario, "Temporal's CPU per event, of the floor's", o[temporalCPU]/f[temporalCPU], 1.3)
}

// onEach runs a scenario with every database of Temporal.
func onEach(b *testing.B, scenario func(b *testing.B, database string)) {
	for _, database := range []string{sqlite, postgres} {
		b.Run(database, func(b *testing.B) { scenario(b, database) })
	}
}

// compare sends n events through floor and daemon in turns.
func compare(tb testing.TB, database, kind string, turns, n int, p pattern) (floor, ours []figures) {
	st := newStack(tb, database, map[string]*crm{"crm": newCRM(tb, kind, crmLatency, regulars)})
	st.start(1)
	below, above := st.floor(), st.ours("crm")
	st.know("crm")
	for i := range turns {
		for _, t := range []struct {
			side *side
			into *[]figures
		}{{below, &floor}, {above, &ours}} {
			events := ids(fmt.Sprint(t.side.name, i), n)
			*t.into = append(*t.into, st.measure(t.side, func() []flight { return flood(tb, t.side, events, p) }))
		}
	}
	return floor, ours
}
