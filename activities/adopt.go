package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"crmsync/connectors"
	"crmsync/sms"
)

// Adoption says whether records of texts that another integration has written
// are taken over.
type Adoption struct {
	On bool
	// Wait is how long after a text the other one's record may come.
	Wait time.Duration
}

// Adopted is the state of a text whose record another integration had written.
const Adopted connectors.State = "adopted"

// adoptWait answers how much longer the record of another integration may take
// to come. A text goes nowhere before that, since the other one may create its
// contact, too. It costs no slot. A text whose instant is wrong waits no longer
// than one that came just now.
func (at *attempt) adoptWait(ctx context.Context, e sms.Event) time.Duration {
	if !at.inst.Adoption.On || !at.caps.Adopt {
		return 0
	}
	began := activity.GetInfo(ctx).ScheduledTime
	if e.Message.At.Before(began) {
		began = e.Message.At
	}
	return time.Until(began.Add(at.inst.Adoption.Wait))
}

// adopt takes over the record that another integration has written of the same
// text. The outcome is not applicable where there is none.
func (at *attempt) adopt(ctx context.Context, record connectors.Record) (connectors.Outcome, error) {
	if !at.inst.Adoption.On || !at.caps.Adopt || record.Contact.Zero() {
		return connectors.Outcome{State: connectors.NotApplicable}, nil
	}
	out, err := at.inst.Lane().AdoptMessage(ctx, record)
	if out.State == connectors.Written {
		out.State = Adopted
	}
	return out, at.outcome("adopt messages", out, err)
}
