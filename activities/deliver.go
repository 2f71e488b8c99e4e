package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"crmsync/connectors"
	"crmsync/sms"
)

// DeliverInput is one text for one connector.
type DeliverInput struct {
	Connector string    `json:"connector"`
	Event     sms.Event `json:"event"`
	// Match is the contact, where EnsureContact or a person decided it.
	Match *Match `json:"match,omitempty"`
	// Fresh: the event came live from a webhook, and nothing of this run was
	// tried before. See mayWriteBlindly.
	Fresh bool `json:"fresh,omitempty"`
	// Again: a person wants it delivered once more, whatever is remembered of
	// its record.
	Again bool `json:"again,omitempty"`
	// Spare: DeliverNow tries it only where nothing else is to be delivered.
	Spare bool `json:"spare,omitempty"`
}

// DeliverResult is how a delivery ended, or what it needs first.
type DeliverResult struct {
	State  connectors.State `json:"state,omitempty"`
	Record connectors.Ref   `json:"record,omitzero"`
	Match  Match            `json:"match,omitzero"`
	// Asked: EnsureContact decides the contact, and answers the workflow by
	// signal; then deliver again with it. Gone is the contact that the CRM no
	// longer has.
	Asked bool           `json:"asked,omitempty"`
	Gone  connectors.Ref `json:"gone,omitzero"`
}

// Deliver puts a text on its contact's timeline.
func (a *Activities) Deliver(ctx context.Context, in DeliverInput) (DeliverResult, error) {
	at, done, err := a.begin(ctx, in.Connector, in.Event.Key())
	if err != nil {
		return DeliverResult{}, err
	}
	defer done()
	if ref, ok := at.writtenBefore(ctx, in); ok {
		return DeliverResult{State: connectors.Existed, Record: ref, Match: Match{How: "written before"}}, nil
	}
	if wait := at.adoptWait(ctx, in.Event); wait > 0 {
		return DeliverResult{}, at.waits(ctx, "waits for the record that another integration may write", wait)
	}
	match, ask, err := at.matchOf(ctx, in)
	if err != nil {
		return DeliverResult{}, err
	}
	if ask != nil {
		return at.handOver(ctx, in.Event, *ask)
	}
	if err := at.remember(ctx, in.Event, match); err != nil {
		return DeliverResult{}, err
	}
	return at.put(ctx, in, match)
}

// writtenBefore answers the record that Redis remembers.
func (at *attempt) writtenBefore(ctx context.Context, in DeliverInput) (connectors.Ref, bool) {
	if in.Again {
		at.Ledger.ForgetRecord(ctx, in.Connector, in.Event.MessageKey())
		return connectors.Ref{}, false
	}
	return at.Ledger.Record(ctx, in.Connector, in.Event.MessageKey())
}

func (at *attempt) matchOf(ctx context.Context, in DeliverInput) (Match, *Ask, error) {
	if in.Match != nil {
		return *in.Match, nil, nil
	}
	return at.resolve(ctx, in.Event)
}

// put writes the record, unless there is one to adopt, and after reading back
// where a blind write could double it.
func (at *attempt) put(ctx context.Context, in DeliverInput, match Match) (DeliverResult, error) {
	record := at.render(in.Event, match)
	out, err := at.adopt(ctx, record)
	if err != nil || out.State != connectors.NotApplicable {
		return at.ended(ctx, in, match, out, err)
	}
	if record.OwnerID, err = at.owner(ctx, in.Event, match.OwnerID); err != nil {
		return DeliverResult{}, err
	}
	if at.caps.Class == connectors.ClassD && !at.caps.Repeat && !at.mayWriteBlindly(ctx, in) {
		ref, err := at.readBack(ctx, record)
		if err != nil {
			return DeliverResult{}, err
		}
		if !ref.Zero() {
			return at.delivered(ctx, in, match, connectors.Outcome{Ref: ref, State: connectors.Existed}), nil
		}
	}
	out, err = at.write(ctx, record)
	return at.ended(ctx, in, match, out, at.outcome("put messages", out, err))
}

// ended answers how a write ended.
func (at *attempt) ended(ctx context.Context, in DeliverInput, match Match, out connectors.Outcome, err error) (DeliverResult, error) {
	if err == nil {
		return at.delivered(ctx, in, match, out), nil
	}
	if out.Err != nil && out.Err.Kind == connectors.NotFound && !match.Contact.Zero() {
		return at.contactGone(ctx, in, match)
	}
	return DeliverResult{}, err
}

// write puts the record, and without an owner where the CRM refuses it with one:
// a user who has left must not keep a text from the timeline.
func (at *attempt) write(ctx context.Context, record connectors.Record) (connectors.Outcome, error) {
	out, err := at.inst.Lane().PutMessage(ctx, record)
	if err == nil && record.OwnerID != "" && out.Err != nil && refusesOwner(out.Err) {
		record.OwnerID = ""
		return at.inst.Lane().PutMessage(ctx, record)
	}
	return out, err
}

// mayWriteBlindly is the rule for a CRM that can tell no double (class D): only
// the first attempt of a run that was never reset, for an event that came live
// from a webhook, and only if Redis says just now that nobody has tried before.
func (at *attempt) mayWriteBlindly(ctx context.Context, in DeliverInput) bool {
	return in.Fresh && activity.GetInfo(ctx).Attempt == 1 && at.Ledger.WinIntent(ctx, in.Connector, in.Event.MessageKey())
}

// readBack looks for a record that an earlier attempt may have left, once a
// write that is still on its way has landed and can be seen.
func (at *attempt) readBack(ctx context.Context, record connectors.Record) (connectors.Ref, error) {
	if !at.caps.ReadBack {
		return connectors.Ref{}, park(string(connectors.Unsupported),
			"the text may be in the CRM already and this CRM offers no way to look: look there, then skip or retry")
	}
	if d := at.inst.Definition; !at.landed(ctx) {
		return connectors.Ref{}, at.waits(ctx, "waits until a write of an earlier attempt can be seen", d.Settle+d.SearchLag)
	}
	return at.findRecord(ctx, record)
}

// waited is what the heartbeat of an attempt says that wrote nothing, and ended so
// that the next one begins once an earlier write has landed and can be seen.
type waited struct{ Attempt int32 }

// waits ends an attempt that has written nothing. The delivery waits in Temporal,
// and takes no slot from others.
func (at *attempt) waits(ctx context.Context, message string, d time.Duration) error {
	if d >= at.inst.Definition.Settle+at.inst.Definition.SearchLag {
		activity.RecordHeartbeat(ctx, waited{activity.GetInfo(ctx).Attempt})
	}
	return again(Waiting, message, d)
}

// landed reports whether what an earlier attempt has sent must have landed. Only
// the attempt right after one that waited can count on that: any other may follow
// a write.
func (at *attempt) landed(ctx context.Context) bool {
	var last waited
	err := activity.GetHeartbeatDetails(ctx, &last)
	return err == nil && last.Attempt > 0 && last.Attempt == activity.GetInfo(ctx).Attempt-1
}

func (at *attempt) findRecord(ctx context.Context, record connectors.Record) (connectors.Ref, error) {
	ref, err := at.inst.Lane().FindMessage(ctx, record)
	if err != nil {
		return connectors.Ref{}, at.failed("find messages", err)
	}
	return ref, nil
}

func (at *attempt) delivered(ctx context.Context, in DeliverInput, match Match, out connectors.Outcome) DeliverResult {
	if !out.Ref.Zero() {
		at.Ledger.RememberRecord(ctx, in.Connector, in.Event.MessageKey(), out.Ref)
	}
	at.log.Info("delivered", "state", out.State, "record", out.Ref.ID)
	return DeliverResult{State: out.State, Record: out.Ref, Match: match}
}

// contactGone answers a contact that was deleted or merged: it is forgotten and
// looked for anew.
func (at *attempt) contactGone(ctx context.Context, in DeliverInput, match Match) (DeliverResult, error) {
	m := in.Event.Message
	at.Ledger.ForgetContact(ctx, in.Connector, at.Hasher.Phone(m.Contact))
	at.log.Info("contact is gone, looking again", "contact", match.Contact.ID)
	ask := at.ask(ctx, in.Event)
	ask.Gone = match.Contact
	return at.handOver(ctx, in.Event, *ask)
}
