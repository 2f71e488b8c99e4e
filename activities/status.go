package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"crmsync/connectors"
	"crmsync/sms"
)

// StatusInput is one status for one connector.
type StatusInput struct {
	Connector string    `json:"connector"`
	Event     sms.Event `json:"event"`
	// Text is the workflow of the text itself.
	Text string `json:"text"`
}

// Superseded is the state of a status that a later one has overtaken.
const Superseded connectors.State = "superseded"

// TextOf is where a status finds its text.
type TextOf struct {
	Workflow string   `json:"workflow,omitempty"` // empty: not there (yet)
	Targets  []string `json:"targets,omitempty"`
}

// FindText looks for the workflow of the text that a status belongs to, and for
// the connectors that it went to: statuses follow their text.
func (a *Activities) FindText(ctx context.Context, e sms.Event) (TextOf, error) {
	for _, kind := range []sms.Kind{sms.Sent, sms.Received} {
		id := sibling(e, kind)
		info, err := a.describe(ctx, id)
		if err != nil {
			return TextOf{}, err
		}
		if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
			continue
		}
		targets, err := a.targetsIn(info.GetMemo())
		if err != nil {
			return TextOf{}, fmt.Errorf("read targets of %s: %w", id, err)
		}
		return TextOf{Workflow: id, Targets: targets}, nil
	}
	return TextOf{}, nil
}

// targetsIn reads from a text's memo which connectors it went to.
func (a *Activities) targetsIn(memo *commonpb.Memo) (targets []string, err error) {
	if payload := memo.GetFields()[MemoTargets]; payload != nil {
		err = a.Converter.FromPayload(payload, &targets)
	}
	return targets, err
}

// UpdateStatus moves the status of a text that is on the timeline, and waits
// for the text while it is not. The two statuses of a text exclude each other:
// delivered gives way to failed, and failed begins once delivered has ended.
func (a *Activities) UpdateStatus(ctx context.Context, in StatusInput) (DeliverResult, error) {
	at, done, err := a.begin(ctx, in.Connector, in.Event.Key())
	if err != nil {
		return DeliverResult{}, err
	}
	defer done()
	if !at.caps.Status {
		return DeliverResult{State: connectors.NotApplicable}, nil
	}
	if superseded, err := at.exclude(ctx, in); err != nil || superseded {
		return DeliverResult{State: Superseded}, err
	}
	found, err := at.locate(ctx, in)
	if err != nil || found.State != "" {
		return found, err
	}
	return at.update(ctx, in, found)
}

// exclude keeps the two statuses of one text apart. Whichever order they come
// in: a delivered that begins after failed sees it and stands back; one that
// began before (or was resynced) is told to end, and failed waits for that.
func (at *attempt) exclude(ctx context.Context, in StatusInput) (superseded bool, err error) {
	if in.Event.Kind == sms.Delivered {
		failed, err := at.describe(ctx, sibling(in.Event, sms.Failed))
		return failed.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, err
	}
	delivered := sibling(in.Event, sms.Delivered)
	if err := at.end(ctx, delivered, in.Event.Key()); err != nil {
		return false, err
	}
	return false, at.end(ctx, ResyncID(delivered, in.Connector), in.Event.Key())
}

// end has a delivered status end, if it is under way, and waits for that.
func (at *attempt) end(ctx context.Context, delivered, failed string) error {
	info, err := at.describe(ctx, delivered)
	if err != nil || info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return err
	}
	if err := at.Temporal.SignalWorkflow(ctx, delivered, "", SignalSuperseded, failed); err != nil && !notFound(err) {
		return fmt.Errorf("supersede %s: %w", delivered, err)
	}
	return again(Waiting, "waits for the delivered status to end", time.Second)
}

// locate finds the text's record: in Redis; else in the result of the text's
// workflow, once it has ended; else, by its key, in the CRM, which is not asked
// while the text is on its way there. A state in the result means that there is
// nothing to update.
func (at *attempt) locate(ctx context.Context, in StatusInput) (DeliverResult, error) {
	if ref, ok := at.Ledger.Record(ctx, in.Connector, in.Event.MessageKey()); ok {
		return DeliverResult{Record: ref}, nil
	}
	text, err := at.describe(ctx, in.Text)
	if err != nil {
		return DeliverResult{}, err
	}
	if text.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return at.recordOf(ctx, in)
	}
	at.textRan = text.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	if at.textRan && at.Syncing(text.GetSearchAttributes(), in.Connector) {
		return DeliverResult{}, waitsForText()
	}
	if wait := at.adoptWait(ctx, in.Event); at.textRan && wait > 0 {
		return DeliverResult{}, again(Waiting, "waits for the text, which waits for the record of another integration", wait)
	}
	return at.search(ctx, in)
}

// recordOf reads the record from the result of the text's workflow, or of the
// later one that delivered the text here once more.
func (at *attempt) recordOf(ctx context.Context, in StatusInput) (DeliverResult, error) {
	resync := ResyncID(in.Text, in.Connector)
	later, err := at.describe(ctx, resync)
	switch {
	case err != nil:
		return DeliverResult{}, err
	case later.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, at.textRan:
		return DeliverResult{}, waitsForText()
	case later.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if found, err := at.recordIn(ctx, resync, in.Connector); err != nil || found.State == "" {
			return found, err
		}
	}
	return at.recordIn(ctx, in.Text, in.Connector)
}

func (at *attempt) recordIn(ctx context.Context, workflow, connector string) (DeliverResult, error) {
	var result SyncResult
	if err := at.Temporal.GetWorkflow(ctx, workflow, "").Get(ctx, &result); err != nil {
		return DeliverResult{}, fmt.Errorf("read the result of %s: %w", workflow, err)
	}
	d, ok := result.Deliveries[connector]
	if !ok || d.Record.Zero() {
		return DeliverResult{State: connectors.NotApplicable}, nil
	}
	return DeliverResult{Record: d.Record, Match: Match{Contact: d.Contact}}, nil
}

// search finds the record by its key where the CRM can do that by itself
// (classes A to C, in UpdateStatus), or by its marker (class D).
func (at *attempt) search(ctx context.Context, in StatusInput) (DeliverResult, error) {
	if at.caps.Class != connectors.ClassD || !at.caps.ReadBack {
		return DeliverResult{}, nil
	}
	match, _, err := at.resolve(ctx, in.Event)
	if undecided(err) {
		return DeliverResult{}, at.textMissing(ctx, in, err)
	}
	if err != nil {
		return DeliverResult{}, err
	}
	ref, err := at.findRecord(ctx, at.render(in.Event, match))
	if err == nil && ref.Zero() {
		err = at.textMissing(ctx, in, park(string(connectors.NotFound), "the text is not on the timeline, and no longer on its way there"))
	}
	return DeliverResult{Record: ref, Match: match}, err
}

// undecided reports whether a person has to decide the contact: of the text,
// which waits for that itself.
func undecided(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && (app.Type() == NoContact || app.Type() == SeveralContacts)
}

func waitsForText() error { return again(Waiting, "waits for the text to be on the timeline", 0) }

func (at *attempt) update(ctx context.Context, in StatusInput, found DeliverResult) (DeliverResult, error) {
	e := in.Event
	out, err := at.inst.Lane().UpdateStatus(ctx, connectors.StatusChange{
		Key: e.MessageKey(), Record: found.Record, Contact: found.Match.Contact, Message: e.Message,
		Status: e.Status(), Reason: e.Reason, At: e.At,
	})
	err = at.outcome("update status", out, err)
	if err == nil {
		at.log.Info("status set", "state", out.State, "record", out.Ref.ID)
		return DeliverResult{State: out.State, Record: out.Ref, Match: found.Match}, nil
	}
	if out.Err == nil || out.Err.Kind != connectors.NotFound {
		return DeliverResult{}, err
	}
	return DeliverResult{}, at.textMissing(ctx, in, err)
}

// textMissing decides about a text that the CRM does not have: while its
// workflow runs it may yet come. Afterwards a person took it away.
func (at *attempt) textMissing(ctx context.Context, in StatusInput, missing error) error {
	if _, remembered := at.Ledger.Record(ctx, in.Connector, in.Event.MessageKey()); remembered {
		at.Ledger.ForgetRecord(ctx, in.Connector, in.Event.MessageKey())
		return again(Waiting, "the remembered record is gone, looking once more", time.Second)
	}
	text, err := at.describe(ctx, in.Text)
	switch {
	case err != nil:
		return err
	case text.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, at.textRan:
		return waitsForText() // it may have come since the CRM was asked
	}
	return missing
}

// describe answers what Temporal tells of a workflow; its status is UNSPECIFIED
// where it does not exist.
func (a *Activities) describe(ctx context.Context, id string) (*workflowpb.WorkflowExecutionInfo, error) {
	described, err := a.Temporal.DescribeWorkflowExecution(ctx, id, "")
	if notFound(err) {
		return nil, nil //nolint:nilnil // its getters answer zero values
	}
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", id, err)
	}
	if described.GetWorkflowExecutionInfo() == nil {
		return nil, errors.New("temporal described nothing")
	}
	return described.GetWorkflowExecutionInfo(), nil
}
