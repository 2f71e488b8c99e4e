package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"crmsync/connectors"
	"crmsync/sms"
)

// lookUp finds the records of texts, and who has their numbers.
func (r *run) lookUp(ctx context.Context, entries []*entry) error {
	if err := r.findPeople(ctx, entries); err != nil {
		return err
	}
	var asked []question
	for _, e := range entries {
		asked = append(asked, r.questions(e)...)
	}
	return r.ask(ctx, asked)
}

// question is one record that the CRM is asked for, on behalf of a text.
type question struct {
	*entry
	record connectors.Record
}

// questions are one for each contact with the text's number, since some CRMs can
// be asked for a contact's texts only.
func (r *run) questions(e *entry) []question {
	contacts := []connectors.Ref{{}}
	if people := r.people[e.text().Message.Contact]; len(people) > 0 {
		contacts = contacts[:0]
		for _, p := range people {
			contacts = append(contacts, p.Ref)
		}
	}
	var asked []question
	for _, contact := range contacts {
		asked = append(asked, r.question(e, contact, connectors.Ref{}))
	}
	return asked
}

func (r *run) question(e *entry, contact, known connectors.Ref) question {
	text := e.text()
	subject, body := r.Render(text)
	return question{e, connectors.Record{
		Key: text.MessageKey(), Message: text.Message, Contact: contact, Known: known, Subject: subject, Body: body,
	}}
}

// ask asks in batches, several at the same time.
func (r *run) ask(ctx context.Context, asked []question) error {
	parts := slices.Collect(slices.Chunk(asked, cmp.Or(r.Definition.MaxBatch, 1)))
	answers := make([][][]connectors.Found, len(parts))
	errs := make([]error, len(parts))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(lookUps)
	for i, part := range parts {
		group.Go(func() error {
			answers[i], errs[i] = r.findMessages(asking, part)
			if unsupported(errs[i]) {
				return nil
			}
			return errs[i]
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, part := range parts {
		if err := r.take(ctx, part, answers[i], errs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) findMessages(ctx context.Context, part []question) ([][]connectors.Found, error) {
	records := make([]connectors.Record, len(part))
	for i, q := range part {
		records[i] = q.record
	}
	return again(ctx, r.Patience, func() ([][]connectors.Found, error) {
		found, err := r.Messages.FindMessages(ctx, records)
		if err == nil && len(found) != len(records) {
			err = fmt.Errorf("find messages: %d answers to %d questions", len(found), len(records))
		}
		return found, err
	})
}

// take gives the answers to the texts. A batch that the CRM cannot be asked for is
// asked one by one, for what is the reason.
func (r *run) take(ctx context.Context, part []question, answers [][]connectors.Found, err error) error {
	switch {
	case err != nil && len(part) == 1:
		part[0].unanswered = err.Error()
		return nil
	case err != nil:
		for _, q := range part {
			if err := r.ask(ctx, []question{q}); err != nil {
				return err
			}
		}
		return nil
	}
	for i, q := range part {
		for _, f := range answers[i] {
			q.add(f)
		}
	}
	return nil
}

// add takes a record in, once: it may stand on several contacts with the number.
func (e *entry) add(f connectors.Found) {
	i := slices.IndexFunc(e.found, func(other connectors.Found) bool { return same(other.Ref, f.Ref) })
	if i < 0 {
		e.found = append(e.found, f)
		return
	}
	for _, contact := range f.Contacts {
		if !slices.ContainsFunc(e.found[i].Contacts, func(c connectors.Ref) bool { return same(c, contact) }) {
			e.found[i].Contacts = append(slices.Clone(e.found[i].Contacts), contact)
		}
	}
}

// same compares what may leave the type out.
func same(a, b connectors.Ref) bool {
	return a.ID == b.ID && (a.Type == b.Type || a.Type == "" || b.Type == "")
}

// findPeople finds who has the numbers of texts, each number once in an audit.
func (r *run) findPeople(ctx context.Context, entries []*entry) error {
	if r.Contacts == nil {
		return nil
	}
	var unknown []sms.Phone
	for _, e := range entries {
		phone := e.text().Message.Contact
		if _, known := r.people[phone]; !known && phone.E164() {
			r.people[phone] = nil
			unknown = append(unknown, phone)
		}
	}
	for part := range slices.Chunk(unknown, cmp.Or(r.Definition.MaxBatch, 1)) {
		found, err := again(ctx, r.Patience, func() ([][]connectors.Contact, error) { return r.Contacts.FindContacts(ctx, part) })
		if err == nil && len(found) != len(part) {
			err = fmt.Errorf("find contacts: %d answers to %d questions", len(found), len(part))
		}
		if err != nil {
			return err
		}
		for i, phone := range part {
			r.people[phone] = found[i]
		}
	}
	return nil
}

func unsupported(err error) bool {
	return err != nil && connectors.AsError("", err).Kind == connectors.Unsupported
}

const (
	// tries is how often a question is asked that might be answered later, with
	// pauses that begin with firstPause and double, or as long as the other side
	// asks for, but longestPause.
	tries        = 6
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// again asks until there is an answer, or none to be expected soon.
func again[T any](ctx context.Context, first time.Duration, ask func() (T, error)) (T, error) {
	pause := cmp.Or(first, firstPause)
	for try := 1; ; try++ {
		answer, err := ask()
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		e := connectors.AsError("", err)
		wait := max(pause, e.RetryAfter)
		if try == tries || e.Kind == connectors.Auth || e.Kind.Permanent() || wait > longestPause {
			return answer, err
		}
		if err := sleep(ctx, wait); err != nil {
			return answer, err
		}
		pause *= 2
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
