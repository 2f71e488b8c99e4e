package messages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// ByPerson is [Delivery].How of a contact that a person has chosen.
var ByPerson = workflows.Linked(workflows.Repair{}).How

// Fate is what became of an event at one connector.
type Fate struct {
	// Delivery is how it stands. Its State is [StateEnded] where somebody ended the
	// workflow by hand, and empty where the event did not go to the connector.
	Delivery
	// Known: Temporal has the event. It forgets after the namespace's retention.
	Known bool
	// Ended is when the workflow ended; zero while it has not.
	Ended time.Time
}

// Fate answers what became of an event at a connector: where it was resynced
// there, what became of that. No worker need be running.
func (m *Messages) Fate(ctx context.Context, e sms.Event, connector string) (Fate, error) {
	for _, id := range []string{activities.ResyncID(e.Key(), connector), e.Key()} {
		detail, err := m.Show(ctx, Item{Key: id})
		if notFound(err) {
			continue
		}
		if err != nil {
			return Fate{}, err
		}
		return fateOf(detail, connector), nil
	}
	return Fate{}, nil
}

func fateOf(d Detail, connector string) Fate {
	f := Fate{Delivery: Delivery{Connector: connector}, Known: true, Ended: d.Ended}
	i := slices.IndexFunc(d.Deliveries, func(of Delivery) bool { return of.Connector == connector })
	if i >= 0 {
		f.Delivery = d.Deliveries[i]
	}
	open := f.State == workflows.StateSyncing || f.State == workflows.StateParked
	if d.State == StateEnded && (open || f.State == "") {
		f.State = StateEnded
	}
	return f
}

// Linked answers the contact to which a person has linked a number at a connector
// for good; the zero Ref where nobody has.
func (m *Messages) Linked(ctx context.Context, connector string, phone sms.Phone) (connectors.Ref, error) {
	id := activities.ContactID(connector, m.Hasher.Phone(phone))
	described, err := m.Temporal.DescribeWorkflowExecution(ctx, id, "")
	if notFound(err) {
		return connectors.Ref{}, nil
	}
	if err != nil {
		return connectors.Ref{}, fmt.Errorf("describe %s: %w", id, err)
	}
	info := described.GetWorkflowExecutionInfo()
	memo := info.GetMemo().GetFields()[activities.MemoMatch]
	if memo == nil || info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return connectors.Ref{}, nil
	}
	var match activities.Match
	if err := m.Data.FromPayload(memo, &match); err != nil {
		return connectors.Ref{}, fmt.Errorf("read the memo of %s (is its key in privacy.keys?): %w", id, err)
	}
	if match.How != ByPerson {
		return connectors.Ref{}, nil
	}
	return match.Contact, nil
}

func notFound(err error) bool {
	_, none := errors.AsType[*serviceerror.NotFound](err)
	return none
}
