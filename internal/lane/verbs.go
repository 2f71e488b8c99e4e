package lane

import (
	"context"
	"errors"

	"golang.org/x/sync/singleflight"

	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/sms"
)

// Capabilities answers what the connector can do. It asks the CRM until that has
// answered once, one caller at a time, and not while the lane is paused.
func (l *Lane) Capabilities(ctx context.Context) (connectors.Capabilities, error) {
	if caps := l.caps.Load(); caps != nil {
		return *caps, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ends, func() { cancel(ErrGivenBack) })()
	select {
	case l.asking <- struct{}{}:
		defer func() { <-l.asking }()
	case <-ctx.Done():
		return connectors.Capabilities{}, context.Cause(ctx)
	}
	if caps := l.caps.Load(); caps != nil {
		return *caps, nil
	}
	if _, err := l.gate.enter(ctx); err != nil {
		return connectors.Capabilities{}, context.Cause(ctx)
	}
	err := l.check(ctx)
	l.gate.report(err)
	if err != nil {
		return connectors.Capabilities{}, err
	}
	return *l.caps.Load(), nil
}

// check asks the CRM, and remembers what it can do.
func (l *Lane) check(ctx context.Context) *connectors.Error {
	ctx, cancel := context.WithTimeout(ctx, 2*l.Definition.CallTimeout) // half of it for its turn in the budget
	defer cancel()
	limit, err := l.Connector.Check(ctx)
	if err != nil {
		return readError("check", err)
	}
	caps := connectors.CapabilitiesOf(l.Connector, limit.Class).Narrow(limit)
	l.caps.Store(&caps)
	return nil
}

// FindContacts answers the contacts that carry the number.
func (l *Lane) FindContacts(ctx context.Context, phone sms.Phone) ([]connectors.Contact, error) {
	r, err := l.find.do(ctx, phone)
	return r.contacts, either(err, r.err)
}

// FindCarriers answers the contacts that carry a number whose consent is to be
// set. It stands behind no search for a text, and may use the budget's head-room.
// To be called only where the connector can set consent.
func (l *Lane) FindCarriers(ctx context.Context, phone sms.Phone) ([]connectors.Contact, error) {
	r, err := l.seek.do(budget.Urgent(ctx), phone)
	return r.contacts, either(err, r.err)
}

// FindMessage answers the text's record; the zero Ref where there is none.
func (l *Lane) FindMessage(ctx context.Context, record connectors.Record) (connectors.Ref, error) {
	r, err := l.read.do(ctx, record)
	return r.ref, either(err, r.err)
}

// CreateContact creates a contact.
func (l *Lane) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	r, err := l.create.do(ctx, n)
	return r.contact, either(err, r.err)
}

// FindOwner answers the id of the user with an e-mail address, "" for none.
func (l *Lane) FindOwner(ctx context.Context, email string) (string, error) {
	r, err := once(&l.owners, email, func() (owner, error) { return l.owner.do(ctx, email) })
	return r.id, either(err, r.err)
}

// PutMessage puts a text on the timeline. An outcome that failed comes without
// an error, which means that nothing was sent, or that nobody knows.
func (l *Lane) PutMessage(ctx context.Context, record connectors.Record) (connectors.Outcome, error) {
	return once(&l.puts, record.Key, func() (connectors.Outcome, error) { return outcome(ctx, "put messages", l.put, record) })
}

// AdoptMessage takes over another integration's record of a text, as PutMessage.
// To be called only where the connector can.
func (l *Lane) AdoptMessage(ctx context.Context, record connectors.Record) (connectors.Outcome, error) {
	return once(&l.adopts, record.Key, func() (connectors.Outcome, error) { return outcome(ctx, "adopt messages", l.adopt, record) })
}

// UpdateStatus moves the status of a text, as PutMessage.
func (l *Lane) UpdateStatus(ctx context.Context, change connectors.StatusChange) (connectors.Outcome, error) {
	key := change.Key + "/" + string(change.Status)
	return once(&l.statuses, key, func() (connectors.Outcome, error) { return outcome(ctx, "update status", l.status, change) })
}

// Consented is what became of one change of consent, as PutMessage.
type Consented struct {
	connectors.Outcome
	Error error
}

// SetConsent sets the consent of each contact, and answers for each in order. It
// may use the budget's head-room.
func (l *Lane) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []Consented {
	ctx = budget.Urgent(ctx)
	answers := make([]Consented, len(changes))
	for i, it := range l.consent.add(ctx, changes...) {
		out, err := l.consent.wait(ctx, it)
		answers[i].Outcome, answers[i].Error = known("set consent", out, err)
	}
	return answers
}

// once joins a call that is under way for the same key: an attempt may begin
// while the one before it still waits for its answer. What that did not send,
// this one sends.
func once[T any](calls *singleflight.Group, key string, call func() (T, error)) (T, error) {
	for {
		first := false
		out, err, _ := calls.Do(key, func() (any, error) {
			first = true
			return call()
		})
		if err == nil || first {
			return out.(T), err
		}
	}
}

func outcome[In any](ctx context.Context, op string, b *batcher[In, connectors.Outcome], in In) (connectors.Outcome, error) {
	out, err := b.do(ctx, in)
	return known(op, out, err)
}

// known turns an item that was sent, and of which nothing is known, into a
// failed one.
func known(op string, out connectors.Outcome, err error) (connectors.Outcome, error) {
	if _, breach := errors.AsType[wrongLength](err); breach {
		e := &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: err}
		return connectors.Outcome{State: connectors.Failed, Err: e}, nil
	}
	if err == nil && out.State == connectors.Failed && out.Err == nil {
		out.Err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errors.New("failed without an error")}
	}
	return out, err
}

// either keeps a nil *connectors.Error from becoming an error.
func either(err error, own *connectors.Error) error {
	if err == nil && own != nil {
		return own
	}
	return err
}

func (l *Lane) findContacts(ctx context.Context, phones []sms.Phone) []found {
	out := make([]found, len(phones))
	finder, ok := l.Connector.(connectors.ContactFinder)
	if !ok {
		return fill(out, found{err: unsupported("find contacts")})
	}
	contacts, err := finder.FindContacts(ctx, phones)
	if err == nil && len(contacts) != len(phones) {
		err = wrongLength{len(contacts), len(phones)}
	}
	if err != nil {
		return fill(out, found{err: readError("find contacts", err)})
	}
	for i := range out {
		out[i].contacts = contacts[i]
	}
	return out
}

func (l *Lane) findMessages(ctx context.Context, records []connectors.Record) []read {
	out := make([]read, len(records))
	finder, ok := l.Connector.(connectors.MessageFinder)
	if !ok {
		return fill(out, read{err: unsupported("find messages")})
	}
	texts, err := finder.FindMessages(ctx, records)
	if err == nil && len(texts) != len(records) {
		err = wrongLength{len(texts), len(records)}
	}
	if err != nil {
		return fill(out, read{err: readError("find messages", err)})
	}
	for i := range out {
		out[i].ref = connectors.Oldest(texts[i])
	}
	return out
}

func (l *Lane) createContact(ctx context.Context, contacts []connectors.NewContact) []created {
	creator, ok := l.Connector.(connectors.ContactCreator)
	if !ok {
		return []created{{err: unsupported("create contact")}}
	}
	contact, err := creator.CreateContact(ctx, contacts[0])
	if err != nil {
		return []created{{err: connectors.AsError("create contact", err)}}
	}
	return []created{{contact: contact}}
}

func (l *Lane) findOwners(ctx context.Context, emails []string) []owner {
	out := make([]owner, len(emails))
	finder, ok := l.Connector.(connectors.OwnerFinder)
	if !ok {
		return fill(out, owner{err: unsupported("find owners")})
	}
	ids, err := finder.FindOwners(ctx, emails)
	if err == nil && len(ids) != len(emails) {
		err = wrongLength{len(ids), len(emails)}
	}
	if err != nil {
		return fill(out, owner{err: readError("find owners", err)})
	}
	for i := range out {
		out[i].id = ids[i]
	}
	return out
}

func unsupported(op string) *connectors.Error {
	return &connectors.Error{Op: op, Kind: connectors.Unsupported, Err: errors.New("this CRM does not offer it")}
}

// readError is the error of a call that wrote nothing.
func readError(op string, err error) *connectors.Error {
	e := *connectors.AsError(op, err)
	e.Ambiguous = false
	return &e
}

func fill[T any](out []T, v T) []T {
	for i := range out {
		out[i] = v
	}
	return out
}
