package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// ReconcileInput starts Reconcile.
type ReconcileInput struct {
	Account string `json:"account"`
	// NotBefore: no connector wants older texts. Zero: some may.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Run is carried over by continue-as-new.
	Run *Reconciled `json:"run,omitempty"`
}

// Reconciled is the result of Reconcile.
type Reconciled struct {
	Walked
	// Mark is what the next run goes on from.
	Mark Mark `json:"mark"`
}

// Mark is how far the reconciliation of an account has come.
type Mark struct {
	// Until: all texts before it have been looked at.
	Until time.Time `json:"until,omitzero"`
	// Deep is when a run last looked far back.
	Deep time.Time `json:"deep,omitzero"`
	// Floor: no run looks further back. It is set by the first one, so that texts
	// from before that come by backfill only, also where `since` is removed later.
	Floor time.Time `json:"floor,omitzero"`
}

const (
	// overlap is how far a run looks back beyond the mark, for rows that JustCall
	// lists late; and how far the first one does.
	overlap = 2 * time.Hour
	// A text's status may become final a day after it. So now and then a run looks
	// so far back that each text is seen once more when it is a day old.
	deepEvery = 6 * time.Hour
	deepBack  = 24*time.Hour + deepEvery
)

// Reconcile lists an account's texts at JustCall since the last run, and starts
// what is missing: one run of a schedule. Each run takes up the mark of the last
// one that completed, however long ago that was.
func Reconcile(ctx workflow.Context, in ReconcileInput) (Reconciled, error) {
	run, next, err := in.begin(ctx)
	if err != nil {
		return Reconciled{}, err
	}
	if !run.Since.Before(run.Until) {
		return run, nil // `since` is in the future
	}
	w := &walk{Walked: &run.Walked}
	if err := w.run(ctx); err != nil {
		return Reconciled{}, err
	}
	if w.stopped {
		in.Run = &run
		return Reconciled{}, workflow.NewContinueAsNewError(ctx, Reconcile, in)
	}
	if !run.IDsDiffer {
		run.Mark = next
	}
	var a *activities.Activities
	ended := activities.ReconciledInput{Account: in.Account, Counts: run.Counts, IDsDiffer: run.IDsDiffer}
	err = workflow.ExecuteActivity(atHome(ctx, "tell how it ended"), a.TellReconciled, ended).Get(ctx, &run.Cause)
	return run, err
}

// begin answers the run, with the mark of the one before, and the mark that it
// reaches.
func (in ReconcileInput) begin(ctx workflow.Context) (run Reconciled, next Mark, err error) {
	if in.Run != nil {
		run, next = *in.Run, in.Run.Mark
		next.reach(run.Until)
		return run, next, nil
	}
	if workflow.HasLastCompletionResult(ctx) {
		var last Reconciled
		if err := workflow.GetLastCompletionResult(ctx, &last); err != nil {
			return run, next, fmt.Errorf("read how far the last run came: %w", err)
		}
		run.Mark = last.Mark
	}
	until := workflow.Now(ctx).Add(-activities.Young).UTC().Truncate(time.Second)
	run.Mark.begin(until, in.NotBefore)
	run.Account, run.Since, run.Until = in.Account, run.Mark.since(until, in.NotBefore), until
	next = run.Mark
	next.reach(until)
	return run, next, nil
}

// begin sets the mark of the first run.
func (m *Mark) begin(until, notBefore time.Time) {
	if m.Floor.IsZero() {
		m.Floor = later(until.Add(-overlap), notBefore)
		m.Until, m.Deep = m.Floor, until
	}
}

// since answers where a run until then begins.
func (m *Mark) since(until, notBefore time.Time) time.Time {
	back := overlap
	if m.deep(until) {
		back = deepBack
	}
	return later(later(m.Until.Add(-back), m.Floor), notBefore)
}

func (m *Mark) deep(until time.Time) bool { return until.Sub(m.Deep) >= deepEvery }

// reach moves the mark to where a run ended.
func (m *Mark) reach(until time.Time) {
	if m.deep(until) {
		m.Deep = until
	}
	m.Until = later(m.Until, until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
