package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// Walked is how far a walk over an account's texts has come: its result once it
// has ended, and its answer to the query "progress" before.
type Walked struct {
	activities.Walk
	activities.Counts
	// Total is how many texts there are in all; 0: JustCall does not say.
	Total int `json:"total,omitempty"`
	// Cursor is where to go on.
	Cursor string `json:"cursor,omitempty"`
	// SameIDs: webhooks and API are known to call a text by the same id.
	SameIDs bool `json:"same_ids,omitempty"`
	// IDsDiffer: they do not, so that nothing was repaired.
	IDsDiffer bool `json:"ids_differ,omitempty"`
	// Cause is why texts were missing, where that is known.
	Cause string `json:"cause,omitempty"`
}

// QueryProgress answers how far a walk has come: [Walked].
const QueryProgress = "progress"

const (
	// repairedAtOnce is how much one activity starts: a second's work, and an input
	// far below what Temporal takes.
	repairedAtOnce = 25
	// tellingTexts are so many that it is no chance where none of them is known.
	tellingTexts = 20
)

// walk is a running walk.
type walk struct {
	*Walked
	dry bool
	// underWay is the query for what is being delivered, while many of which
	// nothing is started; empty: there is no such bound.
	underWay string
	offers   []activities.Offer // missing, and not repaired yet
	stopped  bool               // continue as new
}

// run goes on page by page until the end, or until the history is long: then it
// is stopped, and goes on in a new run.
func (w *walk) run(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (Walked, error) { return *w.Walked, nil }); err != nil {
		return fmt.Errorf("register query %s: %w", QueryProgress, err)
	}
	for !w.stopped {
		last, err := w.list(ctx)
		if err != nil {
			return err
		}
		sure, err := w.compare(ctx, last)
		if err != nil || w.IDsDiffer {
			return err
		}
		if sure {
			if err := w.repair(ctx); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		w.stopped = sure && workflow.GetInfo(ctx).GetContinueAsNewSuggested()
	}
	return nil
}

func (w *walk) list(ctx workflow.Context) (last bool, err error) {
	var a *activities.Activities
	var page activities.Page
	in := activities.PageInput{Walk: w.Walk, Cursor: w.Cursor}
	if err := workflow.ExecuteActivity(atJustCall(ctx, "list texts"), a.ListTexts, in).Get(ctx, &page); err != nil {
		return false, err
	}
	w.Add(page.Counts)
	w.Total, w.Cursor = max(w.Total, page.Total), page.Next
	w.offers = append(w.offers, page.Offers...)
	w.publish(ctx)
	return page.Next == "", nil
}

// compare reports whether it is sure that webhooks and API call a text by the
// same id: before anything is started, since all would be doubled otherwise. It
// is not while nothing is known and little was listed.
func (w *walk) compare(ctx workflow.Context, last bool) (sure bool, err error) {
	switch {
	case w.SameIDs, w.Missing+w.Statuses.Missing == 0:
		return true, nil
	case w.Known+w.Statuses.Known > 0:
		w.SameIDs = true
		return true, nil
	case !last && w.Missing < tellingTexts:
		return false, nil
	}
	var a *activities.Activities
	var ids activities.IDs
	if err := workflow.ExecuteActivity(atJustCall(ctx, "compare ids"), a.CompareIDs, w.Account).Get(ctx, &ids); err != nil {
		return false, err
	}
	w.IDsDiffer, w.SameIDs = ids.Differ(), !ids.Differ()
	w.publish(ctx)
	return w.SameIDs, nil
}

func (w *walk) repair(ctx workflow.Context) error {
	var a *activities.Activities
	offers := w.offers
	w.offers = nil
	if w.dry {
		return nil
	}
	for len(offers) > 0 {
		some := offers[:min(len(offers), repairedAtOnce)]
		var done activities.Repaired
		in := activities.RepairInput{Account: w.Account, Offers: some, UnderWay: w.underWay}
		if err := workflow.ExecuteActivity(atJustCall(ctx, "start what is missing"), a.Repair, in).Get(ctx, &done); err != nil {
			return err
		}
		w.Add(done.Counts)
		if done.Offers == 0 {
			done.Offers = len(some) // as older histories mean it
		}
		offers = offers[min(done.Offers, len(some)):]
		w.publish(ctx)
	}
	return nil
}

// publish shows on the workflow's page how far it is.
func (w *walk) publish(ctx workflow.Context) {
	row := func(what string, t activities.Tally) string {
		return fmt.Sprintf("\n| %s | %d | %d | %d | %d | %d | %d |", what, t.Listed, t.Known, t.Missing, t.Repaired, t.Skipped, t.Quarantined)
	}
	text := "| | listed | known | missing | repaired | skipped | quarantined |\n|---|--:|--:|--:|--:|--:|--:|" +
		row("texts", w.Tally) + row("statuses", w.Statuses)
	if w.IDsDiffer {
		text += "\n\n**Nothing is repaired**: webhooks and API call the same text by different ids."
	}
	workflow.SetCurrentDetails(ctx, text)
}
