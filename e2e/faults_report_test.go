package e2e

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// marker is the line of a file after which the matrix stands.
const marker = "<!-- matrix -->"

// matrix is what the cells so far came to.
var matrix report

type report struct {
	mu    sync.Mutex
	cells map[phase]map[string]outcome
}

// add notes a cell, and writes all there are to a file, if that has a name: a run
// that is broken off leaves what it has.
func (r *report) add(fault string, during phase, o outcome, file string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells == nil {
		r.cells = map[phase]map[string]outcome{}
	}
	if r.cells[during] == nil {
		r.cells[during] = map[string]outcome{}
	}
	r.cells[during][fault] = o
	if file == "" {
		return nil
	}
	return r.write(file)
}

// write puts the matrix in place of that which a file holds.
func (r *report) write(file string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, _, found := bytes.Cut(old, []byte(marker))
	if !found {
		return fmt.Errorf("%s has no line %s", file, marker)
	}
	return os.WriteFile(file, fmt.Appendf(head, "%s\n%s", marker, r.markdown()), 0o644)
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nRun on %s with %d cores, %s.\n", time.Now().Format("2 January 2006"), runtime.NumCPU(), runtime.Version())
	for _, during := range phases {
		fmt.Fprintf(&b, "\n### During %s\n\n", during)
		b.WriteString("| what fails | events | came again | slowest 200 | lost: texts | statuses | opt-outs | doubled: records | contacts | paused | whole after |\n")
		b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|\n")
		for _, f := range faults() {
			if o, ok := r.cells[during][f.name]; ok {
				b.WriteString(o.row(f.name))
			}
		}
	}
	return b.String()
}

func (o outcome) row(name string) string {
	whole := fmt.Sprintf("%.0f s", o.whole.Seconds())
	if o.late {
		whole = "**never**"
	}
	return fmt.Sprintf("| %s | %d | %d | %d ms | %s | %s | %s | %s | %s | %s | %s |\n",
		name, o.events, o.again, o.slowest.Milliseconds(), zero(o.texts), zero(o.statuses), zero(o.optOuts),
		zero(o.records), zero(o.contacts), map[bool]string{false: "no", true: "**yes**"}[o.paused], whole)
}

// zero makes everything else stand out.
func zero(n int) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("**%d**", n)
}
