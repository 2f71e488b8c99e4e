//go:build linux

package bench

import (
	"math"
	"slices"
	"time"
)

// figures are what one run measured; NaN where it did not.
type figures [columns]float64

// The columns of the table.
const (
	acked = iota
	delivered
	ack99
	arrive50
	arrive99
	workerCPU
	temporalCPU
	calls
	workerMemory
	temporalMemory
	columns
)

var titles = [columns]string{
	"acked/s", "delivered/s", "ack p99 ms", "p50 ms", "p99 ms", "worker CPU ms", "Temporal CPU ms",
	"calls/text", "worker MiB", "Temporal MiB",
}

// units are the same for the lines that `go test -bench` prints.
var units = [columns]string{
	"acked/s", "delivered/s", "ack-p99-ms", "p50-ms", "p99-ms", "worker-cpu-ms", "temporal-cpu-ms",
	"calls/text", "worker-MiB", "temporal-MiB",
}

func none() (f figures) {
	for i := range f {
		f[i] = math.NaN()
	}
	return f
}

// measure runs a load on one side and reads all meters before and after it.
func (st *stack) measure(s *side, load func() []flight) figures {
	st.tb.Helper()
	workers, servers, asked := cpuOf(s.workers...), cpuOf(st.servers()...), s.calls()
	flights := load()
	f := timesOf(flights)
	st.settle()
	n := float64(len(flights))
	f[workerCPU] = milliseconds(cpuOf(s.workers...)-workers) / n
	f[temporalCPU] = milliseconds(cpuOf(st.servers()...)-servers) / n
	f[calls] = float64(s.calls()-asked) / n
	f[workerMemory] = memoryOfAll(s.workers) / float64(len(s.workers))
	f[temporalMemory] = memoryOf(st.temporal.Pid())
	return f
}

// timesOf are the rates and latencies of flights that have all arrived.
func timesOf(flights []flight) figures {
	f := none()
	acks := spans(flights, func(f flight) time.Duration { return f.acked.Sub(f.due) })
	arrivals := spans(flights, func(f flight) time.Duration { return f.arrived.Sub(f.due) })
	f[ack99] = percentile(acks, 99)
	f[arrive50], f[arrive99] = percentile(arrivals, 50), percentile(arrivals, 99)
	begun := slices.MinFunc(flights, func(a, b flight) int { return a.due.Compare(b.due) }).due
	f[acked] = float64(len(flights)) / lastOf(flights, func(f flight) time.Time { return f.acked }).Sub(begun).Seconds()
	f[delivered] = float64(len(flights)) / lastOf(flights, func(f flight) time.Time { return f.arrived }).Sub(begun).Seconds()
	return f
}

func lastOf(flights []flight, at func(flight) time.Time) (last time.Time) {
	for _, f := range flights {
		if at(f).After(last) {
			last = at(f)
		}
	}
	return last
}

func spans(flights []flight, of func(flight) time.Duration) []float64 {
	out := make([]float64, len(flights))
	for i, f := range flights {
		out[i] = milliseconds(of(f))
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile is the smallest value that so many percent do not exceed.
func percentile(values []float64, p int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

// median is each figure's own.
func median(all []figures) figures {
	out := none()
	for i := range out {
		var values []float64
		for _, f := range all {
			values = append(values, f[i])
		}
		slices.Sort(values)
		out[i] = values[len(values)/2]
	}
	return out
}

// over divides each figure by the same one of another.
func (f figures) over(floor figures) figures {
	out := none()
	for i := range out {
		if i != calls {
			out[i] = f[i] / floor[i]
		}
	}
	return out
}
