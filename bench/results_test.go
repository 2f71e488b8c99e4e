//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// results are printed when all benchmarks have ended.
var results report

// report is the table of figures and the list of targets.
type report struct {
	mu      sync.Mutex
	context []string
	rows    []string
	targets []string
}

// about says once what it was measured with.
func (r *report) about(lines ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range lines {
		if !slices.Contains(r.context, line) {
			r.context = append(r.context, line)
		}
	}
}

// row adds a line to the table, and reports the figures the way that Go's
// benchmarks do, where they are the daemon's own.
func (r *report) row(tb testing.TB, scenario, name string, f figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cells := []string{scenario, name}
	for _, v := range f {
		cells = append(cells, number(v))
	}
	r.rows = append(r.rows, "| "+strings.Join(cells, " | ")+" |")
	b, ok := tb.(*testing.B)
	if !ok || name != "crmsync" {
		return
	}
	b.ReportMetric(0, "ns/op") // means nothing here
	for i, v := range f {
		if !math.IsNaN(v) {
			b.ReportMetric(v, units[i])
		}
	}
}

// compared adds the three lines of a comparison, of medians.
func (r *report) compared(tb testing.TB, scenario string, floor, ours []figures) (f, o figures) {
	f, o = median(floor), median(ours)
	r.row(tb, scenario, "floor", f)
	r.row(tb, scenario, "crmsync", o)
	r.row(tb, scenario, "ratio", o.over(f))
	return f, o
}

// atMost and atLeast hold a figure to its target.
func (r *report) atMost(scenario, what string, value, target float64) {
	r.target(scenario, what, "≤", value, target, value <= target)
}

func (r *report) atLeast(scenario, what string, value, target float64) {
	r.target(scenario, what, "≥", value, target, value >= target)
}

// note is a figure without a target.
func (r *report) note(scenario, what string, value float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets = append(r.targets, fmt.Sprintf("| %s | %s | | %s | |", scenario, what, number(value)))
}

func (r *report) target(scenario, what, sign string, value, target float64, met bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	verdict := map[bool]string{true: "met", false: "**missed**"}[met]
	r.targets = append(r.targets, fmt.Sprintf("| %s | %s | %s %s | %s | %s |", scenario, what, sign, number(target), number(value), verdict))
}

// number has three digits that matter.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case v == math.Trunc(v), math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// marker is the line of a file after which the results stand.
const marker = "<!-- results -->"

// print prints everything, and replaces the results in a file that has a marker.
func (r *report) print(w io.Writer, file string) error {
	text := r.markdown()
	if text == "" {
		return nil
	}
	_, _ = fmt.Fprint(w, text)
	if file == "" {
		return nil
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, _, found := bytes.Cut(old, []byte(marker))
	if !found {
		return fmt.Errorf("%s has no line %s", file, marker)
	}
	return os.WriteFile(file, fmt.Appendf(head, "%s\n%s", marker, text), 0o644)
}

func (r *report) markdown() string {
	if len(r.rows) == 0 && len(r.targets) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured on %s with %d cores, %s. %s.\n", time.Now().Format("2 January 2006"), runtime.NumCPU(), runtime.Version(), strings.Join(r.context, "; "))
	b.WriteString("Times are from when a webhook was due; CPU is per event; memory is the most that was held, of one process.\n\n")
	fmt.Fprintf(&b, "| scenario | | %s |\n|---|---|%s\n", strings.Join(titles[:], " | "), strings.Repeat("--:|", columns))
	b.WriteString(strings.Join(r.rows, "\n") + "\n\n")
	b.WriteString("| scenario | target | | measured | |\n|---|---|--:|--:|---|\n")
	b.WriteString(strings.Join(r.targets, "\n") + "\n")
	return b.String()
}
