package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
)

// The updates by which a person repairs what is parked.
const (
	UpdateRetry = "retry" // try again
	UpdateSkip  = "skip"  // give this delivery up
	UpdateLink  = "link"  // deliver to this contact, and remember it for the number
)

// Repair is the argument of the three updates.
type Repair struct {
	// Connector names the delivery; empty means all that are parked.
	Connector string `json:"connector,omitempty"`
	// Contact is the CRM's id of the contact (link only), ContactType its record
	// type where the CRM has several.
	Contact     string `json:"contact,omitempty"`
	ContactType string `json:"contact_type,omitempty"`
	// Reason is why, By is who. Both are recorded: here in the history, and in
	// the result of the deliveries.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// NotParked is the type of the error that rejects an update because nothing is
// parked that it could repair: not yet, not any more, or for another connector.
const NotParked = "NOT_PARKED"

// lot is one thing that may come to be parked.
type lot struct {
	name    string // of the connector, or what else is waited for
	refusal *activities.Refusal
	repair  *repairing
}

type repairing struct {
	verb string
	Repair
}

// yard keeps the lots of a workflow and takes the updates.
type yard struct {
	lots    []*lot
	changed func(ctx workflow.Context)
}

func (y *yard) add(name string) *lot {
	l := &lot{name: name}
	y.lots = append(y.lots, l)
	return l
}

// state is how the lot stands, where ended is how it has ended, if it has.
func (l *lot) state(ended string) string {
	switch {
	case ended != "":
		return ended
	case l.refusal != nil:
		return StateParked
	}
	return StateSyncing
}

// sorted are the lots by name.
func (y *yard) sorted() []*lot {
	return slices.SortedFunc(slices.Values(y.lots), func(a, b *lot) int { return strings.Compare(a.name, b.name) })
}

// values are those of [Attributes.Deliveries]. Ended answers the state and the
// record of a lot that has ended, "" of others.
func (y *yard) values(ended func(*lot) (state, record string)) []string {
	values := []string{}
	for _, l := range y.sorted() {
		state, record := ended(l)
		values = append(values, StateValue(l.name, l.state(state)))
		if l.refusal != nil {
			values = append(values, RefusalValue(l.name, l.refusal.Kind))
		}
		if record != "" {
			values = append(values, RecordValue(l.name, record))
		}
	}
	return values
}

func (y *yard) parked() []*lot {
	return slices.DeleteFunc(slices.Clone(y.lots), func(l *lot) bool { return l.refusal == nil })
}

// accept registers the updates.
func (y *yard) accept(ctx workflow.Context, verbs ...string) error {
	for _, verb := range verbs {
		err := workflow.SetUpdateHandlerWithOptions(ctx, verb, func(_ workflow.Context, r Repair) error {
			for _, l := range y.chosen(r) {
				l.repair = &repairing{verb, r}
			}
			return nil
		}, workflow.UpdateHandlerOptions{
			Validator:   func(r Repair) error { return y.validate(verb, r) },
			Description: descriptions[verb],
		})
		if err != nil {
			return fmt.Errorf("register update %s: %w", verb, err)
		}
	}
	return nil
}

var descriptions = map[string]string{
	UpdateRetry: "Try a parked delivery again: {connector, reason, by}",
	UpdateSkip:  "Give a parked delivery up: {connector, reason, by}",
	UpdateLink:  "Deliver to this contact, and remember it for the number: {connector, contact, contact_type, reason, by}",
}

func (y *yard) chosen(r Repair) []*lot {
	return slices.DeleteFunc(y.parked(), func(l *lot) bool {
		return l.repair != nil || r.Connector != "" && r.Connector != l.name
	})
}

func (y *yard) validate(verb string, r Repair) error {
	chosen := y.chosen(r)
	switch {
	case len(chosen) == 0 && r.Connector != "":
		return temporal.NewApplicationError(fmt.Sprintf("nothing is parked for %q", r.Connector), NotParked)
	case len(chosen) == 0:
		return temporal.NewApplicationError("nothing is parked", NotParked)
	case verb == UpdateLink && r.Contact == "":
		return errors.New("link needs the CRM's id of the contact")
	case verb == UpdateLink && len(chosen) > 1:
		return errors.New("link needs a connector: a contact's id means something in one CRM only")
	}
	return nil
}

// park waits for a person, visibly, or until it is moot (which may be nil). It
// answers nil where no person decided.
func (y *yard) park(ctx workflow.Context, l *lot, refusal activities.Refusal, moot func() bool) *repairing {
	workflow.GetLogger(ctx).Warn("parked", "connector", l.name, "kind", refusal.Kind)
	l.refusal, l.repair = &refusal, nil
	y.changed(ctx)
	err := workflow.Await(ctx, func() bool { return l.repair != nil || moot != nil && moot() })
	l.refusal = nil
	if err == nil {
		y.changed(ctx)
	}
	return l.repair
}

// refusalOf says why err waits for a person.
func refusalOf(err error) activities.Refusal {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return activities.Refusal{Kind: app.Type(), Message: app.Message()}
	}
	return activities.Refusal{Kind: string(connectors.Unknown), Message: err.Error()}
}

// details renders the parked lots for the page of the workflow.
func (y *yard) details(head string) string {
	var b strings.Builder
	b.WriteString(head)
	for _, l := range y.parked() {
		fmt.Fprintf(&b, "\n\n**%s is parked**: %s (%s)", l.name, l.refusal.Message, l.refusal.Kind)
	}
	if len(y.parked()) > 0 {
		b.WriteString("\n\nRepair it with `crmsync messages`, or send the update `retry`, `skip` or `link`.")
	}
	return b.String()
}
