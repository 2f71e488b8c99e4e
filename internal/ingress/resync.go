package ingress

import (
	"context"
	"errors"
	"fmt"

	enums "go.temporal.io/api/enums/v1"

	"crmsync/activities"
	"crmsync/sms"
	"crmsync/workflows"
)

// ErrUnderWay is returned for an event that is being delivered to this
// connector once more already.
var ErrUnderWay = errors.New("it is being resynced already: wait for that, or retry it where it is parked")

// Resync has an event delivered once more to one connector, wherever it went
// before, and answers the id of the workflow that does so. It may be repeated
// once that has ended. That the event's own workflow has ended is for the caller
// to see to; why names who wants it and the reason, for the record.
func (d *Door) Resync(ctx context.Context, e sms.Event, connector string, why workflows.Repair) (string, error) {
	if e.Kind.Consent() {
		return "", fmt.Errorf("%s is consent, which is kept up to date by itself", e.Key())
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	done, err := d.begin(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	id := activities.ResyncID(e.Key(), connector)
	in := workflows.SyncInput{Event: e, Resync: &why, Revision: workflows.Revision}
	options := d.options(e, id)
	options.Priority = workflows.PriorityOf(e.Account, e.Kind, true) // a person waits
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	d.send(&options, &in, []string{connector})
	result, err := d.execute(ctx, options, in)
	if result == Duplicate {
		return id, ErrUnderWay
	}
	return id, err
}
