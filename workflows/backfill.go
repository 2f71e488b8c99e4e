package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// BackfillInput starts Backfill.
type BackfillInput struct {
	// Walked is what is asked for; continue-as-new adds how far it has come.
	Walked
	// DryRun: nothing is started.
	DryRun bool `json:"dry_run,omitempty"`
}

// Backfill does for history what Reconcile does for the last hours, when a person
// asks for it: at low priority, and with few deliveries under way at a time.
func Backfill(ctx workflow.Context, in BackfillInput) (Walked, error) {
	w := &walk{Walked: &in.Walked, dry: in.DryRun, underWay: underWay(deployment(ctx), in.Account)}
	if err := w.run(ctx); err != nil {
		return Walked{}, err
	}
	if w.stopped {
		return Walked{}, workflow.NewContinueAsNewError(ctx, Backfill, in)
	}
	return in.Walked, nil
}

// underWay is the query for the events of an account that are being delivered:
// not those that are parked, which may stay so for long.
func underWay(deployment, account string) string {
	a := AttributesOf(deployment)
	return fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s' AND %s = '%s'",
		activities.SyncEvent, a.Account.GetName(), account, a.State.GetName(), StateSyncing)
}
