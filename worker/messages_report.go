package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"crmsync/internal/messages"
)

// progressEvery is how often a log is told of the progress.
const progressEvery = 5 * time.Second

// progress shows how far a long command is: a bar on a terminal, else a line now
// and then. It goes to stderr, so that it never is in a program's way.
type progress struct {
	verb  string
	w     io.Writer
	bar   *progressbar.ProgressBar // nil without a terminal
	lines time.Time                // when the last line was written
}

func (a *app) progress(verb string, total int) *progress {
	p := &progress{verb: verb, w: a.stderr, lines: time.Now()}
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(verb),
			progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// told is called after each item, one call at a time.
func (p *progress) told(t messages.Tally) {
	p.at(t.Tried(), p.verb, fmt.Sprintf("%d of %d", t.Tried(), t.Found))
}

// at shows how many are done: the bar with a description, a line with what a bar
// shows by itself.
func (p *progress) at(done int, description, line string) {
	switch {
	case p.bar != nil:
		p.bar.Describe(description)
		_ = p.bar.Set(done)
	case time.Since(p.lines) >= progressEvery:
		p.lines = time.Now()
		_, _ = fmt.Fprintf(p.w, "%s: %s\n", p.verb, line)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// report is what a program reads.
type report struct {
	Verb   string `json:"verb"`
	DryRun bool   `json:"dry_run"`
	messages.Tally
	// Linked: nothing was parked, and the link is remembered for the number.
	Linked bool `json:"linked,omitempty"`
	// Items are what would be repaired (dry run).
	Items []messages.Item `json:"items,omitempty"`
	// More: there are more than the limit.
	More bool `json:"more"`
}

func (a *app) reportDryRun(f *repairFlags, items []messages.Item, found messages.Found) error {
	if a.json {
		out := report{Verb: f.verb, DryRun: true, Items: items, More: found.More}
		out.Found, out.Left, out.Failed = len(items), len(items), []messages.Problem{}
		if err := a.printJSON(out); err != nil {
			return err
		}
		return unknownKeys(found.Unknown)
	}
	if err := a.printItems(items); err != nil {
		return err
	}
	a.printf("\nWould %s %d%s. Nothing was done.\n", f.verb, len(items), more(found))
	return unknownKeys(found.Unknown)
}

func more(found messages.Found) string {
	if found.More {
		return ", and there are more than --limit"
	}
	return ""
}

// problemsShown is how many problems are printed; --json has all.
const problemsShown = 20

func (a *app) reportTally(f *repairFlags, linked bool, t messages.Tally, found messages.Found, err error) error {
	if a.json {
		if printErr := a.printJSON(report{Verb: f.verb, Tally: t, Linked: linked, More: found.More}); printErr != nil {
			return printErr
		}
	} else {
		a.printTally(f, linked, t, found)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w; the same command goes on from here", err)
	case len(found.Unknown) > 0:
		return unknownKeys(found.Unknown)
	case len(t.Failed) > 0:
		return errFindings
	}
	return nil
}

func (a *app) printTally(f *repairFlags, linked bool, t messages.Tally, found messages.Found) {
	for i, problem := range t.Failed {
		if i == problemsShown {
			a.printf("… and %d more (--json lists all)\n", len(t.Failed)-i)
			break
		}
		a.printf("%s: %s\n", printable(problem.Key), printable(problem.Error))
	}
	if linked {
		a.printf("Nothing was parked. The number is linked for the texts to come.\n")
		return
	}
	a.printf("%s: %d of %d done", f.verb, t.Done, t.Found)
	for _, part := range []struct {
		n    int
		what string
	}{{t.NotParked, "not parked (any more)"}, {len(t.Failed), "failed"}, {t.Left, "not tried"}} {
		if part.n > 0 {
			a.printf(", %d %s", part.n, part.what)
		}
	}
	a.printf("%s\n", more(found))
}

// remember links the number where nothing was parked.
func remember(ctx context.Context, d *desk, f *repairFlags, items []messages.Item) (linked bool, err error) {
	if len(items) == 0 {
		return false, nil
	}
	return true, d.Remember(ctx, items[0], f.repair)
}
