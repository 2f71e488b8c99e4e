package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// CompareInput starts CompareConsent.
type CompareInput struct {
	Account string `json:"account"`
	// What follows is carried over by continue-as-new.
	From   activities.ListedInput   `json:"from,omitzero"`
	Report activities.ConsentReport `json:"report,omitzero"`
	Before int                      `json:"before,omitempty"` // opted out before the first page
}

// CompareConsent has every number on JustCall's do-not-message list opted out
// here: so an opt-out arrives whose webhook was lost. A number that is opted out
// here and not on the list stays so, since nobody knows why, and is counted. It
// goes through the list page by page, and on where it stopped.
func CompareConsent(ctx workflow.Context, in CompareInput) (activities.ConsentReport, error) {
	var a *activities.Activities
	ctx = atJustCall(ctx, "compare with the do-not-message list")
	if in.From.Account == "" {
		in.From.Account, in.Report.Account = in.Account, in.Account
		if err := workflow.ExecuteActivity(ctx, a.CountOptedOut, in.Account).Get(ctx, &in.Before); err != nil {
			return in.Report, err
		}
	}
	for {
		var page activities.Listed
		if err := workflow.ExecuteActivity(ctx, a.CompareListed, in.From).Get(ctx, &page); err != nil {
			return in.Report, err
		}
		in.From.From = page.Next
		in.Report.Known += page.Known
		in.Report.Added += page.Added
		if page.Next == "" {
			break
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return in.Report, workflow.NewContinueAsNewError(ctx, CompareConsent, in)
		}
	}
	in.Report.Lifted = max(0, in.Before-in.Report.Known)
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%d known, %d added, %d no longer on the list", in.Report.Known, in.Report.Added, in.Report.Lifted))
	return in.Report, workflow.ExecuteActivity(ctx, a.ReportListed, in.Report).Get(ctx, nil)
}

// atJustCall is for activities that ask JustCall's API in nobody's haste.
func atJustCall(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:    activities.HeartbeatTimeout,
		RetryPolicy:         &retries,
		Priority:            temporal.Priority{PriorityKey: priorityBackfill},
		Summary:             summary,
	})
}
