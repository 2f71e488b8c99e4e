package workflows

import (
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
)

// QuarantineInput starts Quarantine.
type QuarantineInput struct {
	activities.Quarantined
	Plain bool `json:"plain,omitempty"` // as in SyncInput
}

// Quarantine keeps a body that was authentic and could not be decoded, parked
// until a person says retry (after an upgrade) or skip.
func Quarantine(ctx workflow.Context, in QuarantineInput) (activities.Admitted, error) {
	y := &yard{}
	y.changed = func(ctx workflow.Context) {
		workflow.SetCurrentDetails(ctx, y.details("An authentic webhook that could not be decoded."))
		state := StateSyncing
		if len(y.parked()) > 0 {
			state = StateParked
		}
		show(ctx, in.Plain, state, nil)
	}
	if err := y.accept(ctx, UpdateRetry, UpdateSkip); err != nil {
		return activities.Admitted{}, err
	}
	body := y.add("body")
	refusal := activities.Refusal{Kind: "QUARANTINED", Message: in.Reason}
	for {
		repair := y.park(ctx, body, refusal, nil)
		if repair == nil {
			return activities.Admitted{}, ctx.Err()
		}
		if repair.verb == UpdateSkip {
			show(ctx, in.Plain, StateDone, nil)
			return activities.Admitted{Result: string(StateSkipped)}, nil
		}
		admitted, err := readmit(ctx, in.Quarantined)
		if err == nil {
			show(ctx, in.Plain, StateDone, nil)
			return admitted, nil
		}
		refusal = refusalOf(err)
	}
}

func readmit(ctx workflow.Context, q activities.Quarantined) (admitted activities.Admitted, err error) {
	var a *activities.Activities
	err = workflow.ExecuteActivity(atHome(ctx, "decode again"), a.Readmit, q).Get(ctx, &admitted)
	return admitted, err
}
