package ingress

import (
	"context"
	"errors"
	"fmt"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/sms"
	"crmsync/workflows"
)

// consentSignal is what the workflow of the event's number is told. Where the
// account's consent is kept for each line, it names the line that was spoken to,
// if the event does.
func (d *Door) consentSignal(e sms.Event, connectors []string) activities.ConsentSignal {
	signal := activities.ConsentSignal{
		Key: e.Key(), Connectors: connectors, Received: e.Received,
		Consent: sms.Consent{Phone: e.Message.Contact, OptedOut: e.Kind == sms.OptOut, At: e.At},
	}
	if d.Config.JustCall[e.Account].Consent.Scope == config.ScopeNumber && e.Message.Line != "" {
		signal.Line = d.Hasher.Phone(e.Message.Line)
	}
	return signal
}

// tellConsent tells the one workflow of the event's number, which it starts where
// there is none.
func (d *Door) tellConsent(ctx context.Context, e sms.Event, signal activities.ConsentSignal) error {
	in := workflows.SyncConsentInput{Account: e.Account, Revision: workflows.ConsentRevision}
	options := d.options(e, activities.ConsentID(e.Account, d.Hasher.Phone(e.Message.Contact)))
	options.StaticSummary = "consent of one number"
	options.Priority = workflows.PriorityOf(e.Account, e.Kind, true)
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	options.WorkflowIDConflictPolicy = enums.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
	return notTaken(withoutAttributes(&options, &in.Plain, func() error {
		_, err := d.Temporal.SignalWithStartWorkflow(ctx, options.ID, activities.SignalConsent, signal, options, activities.SyncConsent, in)
		return err
	}))
}

// Suppress implements activities.Door.
func (d *Door) Suppress(ctx context.Context, account string, listed sms.Consent) (activities.Standing, error) {
	standing, err := d.standing(ctx, activities.ConsentID(account, d.Hasher.Phone(listed.Phone)))
	if err != nil || standing == activities.OptedOut {
		return standing, err
	}
	e := sms.Event{Account: account, Kind: sms.OptOut, At: listed.At, Message: sms.Message{
		ID: sms.DerivedID(account, sms.OptOut, listed.Phone, listed.At), Contact: listed.Phone,
	}}
	signal := d.consentSignal(e, d.Config.AccountConnectors(account))
	signal.Listed = true
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	done, err := d.begin(ctx)
	if err != nil {
		return standing, err
	}
	defer done()
	return standing, d.tellConsent(ctx, e, signal)
}

// standing answers how a number stands by its workflow. One that is being brought
// to the connectors, or is parked, or was started without attributes, does not
// say.
func (d *Door) standing(ctx context.Context, workflow string) (activities.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	described, err := d.Temporal.DescribeWorkflowExecution(ctx, workflow, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return activities.NotOptedOut, nil
	}
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", workflow, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return activities.NotOptedOut, nil
	}
	state := ""
	if payload := info.GetSearchAttributes().GetIndexedFields()[d.Attributes.State.GetName()]; payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &state); err != nil {
			return "", fmt.Errorf("read the state of %s: %w", workflow, err)
		}
	}
	switch state {
	case workflows.StateOptedOut:
		return activities.OptedOut, nil
	case workflows.StateOptedIn:
		return activities.NotOptedOut, nil
	}
	return activities.Unsettled, nil
}

// OptedOut implements activities.Door. Temporal's list may be seconds late, and
// lacks workflows that were started without attributes.
func (d *Door) OptedOut(ctx context.Context, account string) (int, error) {
	query := fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s' AND %s = '%s'", activities.SyncConsent,
		d.Attributes.Account.GetName(), account, d.Attributes.State.GetName(), workflows.StateOptedOut)
	counted, err := d.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return 0, fmt.Errorf("count who is opted out: %w", err)
	}
	return int(counted.GetCount()), nil
}
