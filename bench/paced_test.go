//go:build linux

package bench

import "testing"

// pace is how many events come in a second.
const pace = 50

// BenchmarkPaced sends at a steady pace, however long the answers take.
func BenchmarkPaced(b *testing.B) {
	onEach(b, func(b *testing.B, database string) {
		floor, ours := compare(b, database, plain, runs(), size(100, 400, 400), openLoop(pace))
		scenario := "paced, " + database
		_, o := results.compared(b, scenario, floor, ours)
		above := milliseconds(crmLatency)
		results.atMost(scenario, "webhook to CRM, p50 above the CRM's own latency, ms", o[arrive50]-above, 25)
		results.atMost(scenario, "webhook to CRM, p99 above the CRM's own latency, ms", o[arrive99]-above, 150)
		results.atMost(scenario, "webhook acknowledged, p99, ms", o[ack99], 50)
	})
}

// TestSmoke keeps the benchmarks working.
func TestSmoke(t *testing.T) {
	t.Parallel()
	floor, ours := compare(t, sqlite, plain, 1, 20, closedLoop)
	for _, f := range []figures{median(floor), median(ours)} {
		if !(f[delivered] > 0 && f[temporalCPU] > 0 && f[workerMemory] > 0) {
			t.Errorf("not measured: %v", f)
		}
	}
}
