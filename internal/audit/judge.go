package audit

import (
	"context"
	"fmt"
	"slices"

	"crmsync/connectors"
	"crmsync/internal/messages"
	"crmsync/workflows"
)

// judge says what is to be said of a text that was looked up.
func (r *run) judge(ctx context.Context, e *entry) error {
	if len(e.found) > 0 {
		return r.present(ctx, e)
	}
	return r.absent(ctx, e)
}

// present judges a text that the CRM has.
func (r *run) present(ctx context.Context, e *entry) error {
	r.report.InCRM++
	r.report.known++
	f := Finding{Key: e.text().Key()}
	for _, found := range e.found {
		f.Records, f.Contacts = append(f.Records, found.Ref), append(f.Contacts, found.Contacts...)
	}
	if len(e.found) > 1 {
		r.report.Double++
		f.What, f.Why = Double, fmt.Sprintf("%d records: delete in the CRM which is not wanted", len(e.found))
		r.report.find(f)
	}
	wrong, err := r.misplaced(ctx, e)
	if wrong {
		r.report.WrongContact++
		f.What = WrongContact
		f.Why = "nobody of them has its number: move it in the CRM, or if it is right there, 'crmsync messages link' the number"
		r.report.find(f)
	}
	return err
}

// misplaced reports whether a record stands on contacts only of whom none has the
// text's number, and to none of whom a person has linked it.
func (r *run) misplaced(ctx context.Context, e *entry) (bool, error) {
	phone := e.text().Message.Contact
	if r.Contacts == nil || !phone.E164() {
		return false, nil
	}
	for _, f := range e.found {
		if len(f.Contacts) == 0 {
			continue // on nobody's timeline, or the CRM does not say
		}
		r.report.told++
		if r.carried(e, f) {
			continue
		}
		if linked, err := r.linked(ctx, e, f); err != nil || !linked {
			return err == nil, err
		}
	}
	return false, nil
}

func (r *run) carried(e *entry, f connectors.Found) bool {
	return slices.ContainsFunc(r.people[e.text().Message.Contact], func(c connectors.Contact) bool { return on(f, c.Ref) })
}

func on(f connectors.Found, contact connectors.Ref) bool {
	return !contact.Zero() && slices.ContainsFunc(f.Contacts, func(c connectors.Ref) bool { return same(c, contact) })
}

// linked reports whether a person has decided that the number, or this text,
// belongs where the record stands.
func (r *run) linked(ctx context.Context, e *entry, f connectors.Found) (bool, error) {
	contact, err := r.Memory.Linked(ctx, r.Connector, e.text().Message.Contact)
	if err != nil || on(f, contact) {
		return err == nil, err
	}
	fate, err := r.Memory.Fate(ctx, e.text(), r.Connector)
	return err == nil && fate.How == messages.ByPerson && on(f, fate.Contact), err
}

// absent judges a text that the CRM does not have where it was looked for: it may
// stand where Temporal knows.
func (r *run) absent(ctx context.Context, e *entry) error {
	fate, err := r.Memory.Fate(ctx, e.text(), r.Connector)
	if err != nil {
		return err
	}
	if fate.Known {
		r.report.known++
	}
	if !fate.Record.Zero() || !fate.Contact.Zero() {
		e.unanswered = ""
		if err := r.ask(ctx, []question{r.question(e, fate.Contact, fate.Record)}); err != nil {
			return err
		}
	}
	if len(e.found) > 0 {
		return r.present(ctx, e)
	}
	r.missing(e, fate)
	return nil
}

// missing tells what is missing from what is not, or not yet.
func (r *run) missing(e *entry, fate messages.Fate) {
	now := r.Now()
	switch fate.State {
	case workflows.StateParked:
		r.report.Parked++
	case workflows.StateSyncing:
		r.report.UnderWay++
	case string(workflows.StateSkipped), string(connectors.NotApplicable):
		r.report.LeftOut++
	case messages.StateEnded:
		r.report.lose(e, true, "somebody ended its workflow by hand")
	case "":
		switch {
		case fate.Known:
			r.report.lose(e, true, "it went to other connectors only")
		case now.Sub(e.text().At) < Young:
			r.report.UnderWay++
		default:
			r.report.lose(e, false, "crmsync never saw it, or so long ago that Temporal has forgotten it")
		}
	default:
		if now.Sub(fate.Ended) < r.Definition.SearchLag {
			r.report.UnderWay++ // the search may not see it yet
			return
		}
		why := "it was " + fate.State + ", and is not there any more"
		if !fate.Record.Zero() {
			why = "it was " + fate.State + " as record " + fate.Record.ID + ", which is not there any more"
		}
		r.report.lose(e, true, why)
	}
}
