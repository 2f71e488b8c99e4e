package messages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/workflows"
)

// UpdateTimeout is how long a workflow may take to answer a repair. It answers
// at once where a worker runs.
const UpdateTimeout = 20 * time.Second

var (
	// ErrNotParked says that there is nothing to repair any more, or not yet.
	ErrNotParked = errors.New("nothing is parked")
	// ErrNoWorker says that nobody answers for the workflow. Should a worker come,
	// it may take the repair yet; repeating it does no harm.
	ErrNoWorker = errors.New("no worker takes the update: is 'crmsync run' running?")
)

// Repair repairs what is parked of one item, by a verb (workflows.UpdateRetry and
// so on): of one connector where r names it, else of all, or with a kind of error
// of those that are parked with it.
func (m *Messages) Repair(ctx context.Context, item Item, verb, kind string, r workflows.Repair) error {
	if !item.Ended.IsZero() {
		return ErrNotParked
	}
	if kind == "" || r.Connector != "" {
		return m.update(ctx, item.Key, verb, r)
	}
	outcome := ErrNotParked
	for _, d := range item.Deliveries {
		if d.Error == nil || d.Error.Kind != kind {
			continue
		}
		r.Connector = d.Connector
		switch err := m.update(ctx, item.Key, verb, r); {
		case err == nil:
			outcome = nil
		case !errors.Is(err, ErrNotParked):
			return err
		}
	}
	return outcome
}

// update sends one. It has an id of its own each time: what is parked takes it
// once, and a workflow that has parked again must be able to take another.
func (m *Messages) update(ctx context.Context, key, verb string, r workflows.Repair) error {
	r.By = m.By
	ctx, cancel := context.WithTimeout(ctx, UpdateTimeout)
	defer cancel()
	handle, err := m.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: key, UpdateName: verb, Args: []any{r}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	return verdict(ctx, err)
}

func verdict(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.Type() == workflows.NotParked {
		return fmt.Errorf("%w: %s", ErrNotParked, app.Message())
	}
	if _, ended := errors.AsType[*serviceerror.NotFound](err); ended {
		return fmt.Errorf("%w: the workflow has ended", ErrNotParked)
	}
	// The server knows the deadline too, and may be the first to tell.
	_, late := errors.AsType[*client.WorkflowUpdateServiceTimeoutOrCanceledError](err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || late && ctx.Err() == nil {
		return ErrNoWorker
	}
	return fmt.Errorf("update: %w", err)
}

// Remember links a number to a contact for the texts to come, where none is
// parked that could be delivered by it: what was delivered stays where it is.
// Item is any event of the number.
func (m *Messages) Remember(ctx context.Context, item Item, r workflows.Repair) error {
	detail, err := m.Show(ctx, item)
	if err != nil {
		return err
	}
	if detail.Event == nil || !detail.Event.Message.Contact.E164() {
		return errors.New("only the event of a text tells which number to link")
	}
	connector, err := soleConnector(detail, r.Connector)
	if err != nil {
		return err
	}
	link := activities.Link{Connector: connector, Phone: detail.Event.Message.Contact, Match: *workflows.Linked(r)}
	if err := m.Linker.LinkContact(ctx, link); err != nil {
		return fmt.Errorf("remember the link: %w", err)
	}
	return nil
}

func soleConnector(d Detail, named string) (string, error) {
	switch {
	case named != "":
		return named, nil
	case len(d.Deliveries) == 1:
		return d.Deliveries[0].Connector, nil
	}
	return "", errors.New("link needs --connector: a contact's id means something in one CRM only")
}
