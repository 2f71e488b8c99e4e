package ingress

import (
	"context"

	"crmsync/activities"
	"crmsync/workflows"
)

// Offer implements activities.Door. What Redis remembers does not matter: what
// was started meanwhile is found out by starting it.
func (d *Door) Offer(ctx context.Context, account string, o activities.Offer) (err error) {
	switch {
	case o.Row != nil:
		_, err = d.Quarantine(ctx, account, "a row of JustCall's list: "+o.Reason, o.Row)
	case o.To != "":
		err = d.add(ctx, o)
	default:
		_, err = d.Accept(ctx, o.Event, false)
	}
	return err
}

// add starts the delivery of an event to one connector more, by a workflow of its
// own: that of the event may have ended long ago.
func (d *Door) add(ctx context.Context, o activities.Offer) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	in := workflows.SyncInput{Event: o.Event, Text: o.Text, Revision: workflows.Revision}
	options := d.options(o.Event, activities.ResyncID(o.Event.Key(), o.To))
	options.Priority = workflows.PriorityOf(o.Event.Account, o.Event.Kind, false)
	d.send(&options, &in, []string{o.To})
	_, err = d.execute(ctx, options, in)
	return err
}
