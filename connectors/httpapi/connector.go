// Package httpapi connects to any CRM with a REST API, by configuration alone.
// docs/connectors/http.md is its manual.
//
// Each verb of the contract is an operation: a request whose path, query,
// headers and body are templates, and expressions that pick the result from the
// answer. What an operation leaves out narrows the instance's capabilities.
// Everything is compiled and tried with samples when the configuration is read.
//
// A value never changes what a request is: the template knows where it stands
// (path, query, header, JSON) and escapes it, as html/template does for pages.
//
// Which class an instance has is declared, since only its owner knows what the
// CRM does with a repeated write.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/connectors/rest"
	"crmsync/connectors/templates"
	"crmsync/sms"
)

// Name is the connector's type in a configuration.
const Name = "http"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:    Name,
		Title:   "Any REST API, by configuration",
		Example: example,
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			cfg := defaults()
			if err := c.Decode(&cfg); err != nil {
				return nil, err
			}
			if err := cfg.Validate(); err != nil {
				return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
			}
			return New(cfg, env), nil
		},
	}
}

// Connector is one instance.
type Connector struct {
	cfg Config
	operations
}

var (
	_ connectors.Connector      = (*Connector)(nil)
	_ connectors.ContactFinder  = (*Connector)(nil)
	_ connectors.ContactCreator = (*Connector)(nil)
	_ connectors.StatusUpdater  = (*Connector)(nil)
	_ connectors.ConsentSetter  = (*Connector)(nil)
	_ connectors.MessageFinder  = (*Connector)(nil)
	_ connectors.Definer        = (*Connector)(nil)
)

// New makes an instance of valid settings. The client in env is its only way
// out.
func New(cfg Config, env connectors.Env) *Connector {
	ops, _ := compileAll(cfg) // Validate has reported what is wrong
	var headers []rest.Option
	for name, value := range cfg.Headers {
		headers = append(headers, rest.Header(name, templates.OneLine(value)))
	}
	client, refused := cfg.Auth.authenticated(env.Client)
	api := rest.New(client, cfg.BaseURL, headers...)
	for _, o := range []*operation{ops.check, ops.find, ops.create, ops.put, ops.update, ops.read, ops.consent} {
		if o != nil {
			o.api, o.refused = api, refused
		}
	}
	ops.put.idempotency = cfg.IdempotencyHeader
	if cfg.PutMessage.Batch > 0 {
		ops.put.idempotency = "" // it names one text, not several
	}
	if ops.create != nil {
		ops.create.idempotency = cfg.IdempotencyHeader
	}
	return &Connector{cfg, ops}
}

// Define implements connectors.Definer.
func (c *Connector) Define(d connectors.Definition) connectors.Definition {
	d.MaxBatch = max(c.cfg.PutMessage.Batch, 1)
	d.CallTimeout, d.Settle, d.SearchLag = c.cfg.Timeout, c.cfg.Settle, c.cfg.SearchLag
	for _, l := range c.cfg.Limits {
		d.Limits = append(d.Limits, connectors.Limit{Name: l.Name, Amount: l.Requests, Window: l.Per, Midnight: l.Midnight})
	}
	return d
}

// Check implements connectors.Connector.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	if _, _, err := c.check.call(ctx, "", nothing{}, 0); err != nil {
		return connectors.Capabilities{}, err
	}
	return connectors.Capabilities{
		Class: c.cfg.Class, Find: c.find != nil, Create: c.create != nil, Status: c.update != nil,
		Consent: c.consent != nil, ReadBack: c.read != nil, Repeat: c.cfg.OnAmbiguous == repeat,
	}, nil
}

// left is the failure of an operation that the configuration leaves out.
func left(v verb) *connectors.Error {
	return &connectors.Error{Op: v.op, Kind: connectors.Unsupported, Err: fmt.Errorf("%s is not configured", v.name)}
}

// FindContacts implements connectors.ContactFinder: one request for each number
// and spelling. Candidates are compared in E.164.
func (c *Connector) FindContacts(ctx context.Context, numbers []sms.Phone) ([][]connectors.Contact, error) {
	if c.find == nil {
		return nil, left(searching)
	}
	out := make([][]connectors.Contact, len(numbers))
	for i, p := range numbers {
		found, err := c.carriers(ctx, p)
		if err != nil {
			return nil, err
		}
		out[i] = found
	}
	return out, nil
}

// carriers are the contacts with a number, each once.
func (c *Connector) carriers(ctx context.Context, p sms.Phone) ([]connectors.Contact, error) {
	if !p.E164() {
		return nil, nil
	}
	var out []connectors.Contact
	for _, spelt := range c.cfg.spellingsOf(phone(p)) {
		candidates, err := c.candidates(ctx, search{phone(p), spelt})
		if err != nil {
			return nil, err
		}
		for _, found := range candidates {
			same := func(other connectors.Contact) bool { return found.Same(other.Ref) }
			if slices.Contains(found.Phones, p) && !slices.ContainsFunc(out, same) {
				out = append(out, found)
			}
		}
	}
	return out, nil
}

// reader reads a number as the CRM keeps it, while p is looked for. One without
// its country is of the region that is configured, else of p's country.
func (c *Connector) reader(p phone) func(raw string) (sms.Phone, error) {
	return func(raw string) (sms.Phone, error) {
		if c.cfg.Region == "" && phones.Same(sms.Phone(p), raw) {
			return sms.Phone(p), nil
		}
		return sms.ParsePhone(raw, c.cfg.Region)
	}
}

func (c *Connector) candidates(ctx context.Context, s search) ([]connectors.Contact, error) {
	e, said, failure := c.find.call(ctx, "", s, 0)
	if failure != nil {
		return nil, failure
	}
	if said == isNone {
		return nil, nil
	}
	items, err := list(c.find.result["items"], e)
	if err != nil {
		return nil, c.find.unclear(e, err)
	}
	out := make([]connectors.Contact, len(items))
	for i, item := range items {
		if out[i], err = c.find.contactOf(item, c.reader(s.Phone)); err != nil {
			return nil, c.find.unclear(e, err)
		}
	}
	return out, nil
}

// CreateContact implements connectors.ContactCreator in one request. A contact
// that exists is searched for where the answer does not name it.
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	if c.create == nil {
		return connectors.Contact{}, left(creating)
	}
	if failure := c.unused(n); failure != nil {
		return connectors.Contact{}, failure
	}
	e, said, failure := c.create.call(ctx, n.Key, newContactOf(n), 0)
	if failure != nil {
		return connectors.Contact{}, failure
	}
	ref, err := c.create.refOf(e)
	switch {
	case err == nil:
		return connectors.Contact{Ref: ref, Name: n.Name, Phones: []sms.Phone{n.Phone}, OwnerID: n.OwnerID}, nil
	case said == existed:
		return c.existing(ctx, n.Phone)
	}
	return connectors.Contact{}, c.create.unclear(e, err)
}

// unused refuses what the request would leave out: a contact that is not what the
// configuration asks for helps nobody.
func (c *Connector) unused(n connectors.NewContact) *connectors.Error {
	for name, wanted := range map[string]bool{"Type": n.Type != "", "Fields": len(n.Fields) > 0} {
		if wanted && !c.create.uses(name) {
			err := fmt.Errorf("contacts are to have a type or fields, and the request of create_contact does not name .%s", name)
			return &connectors.Error{Op: creating.op, Kind: connectors.Unsupported, Err: err}
		}
	}
	return nil
}

// existing finds the contact that stands in the way of a new one.
func (c *Connector) existing(ctx context.Context, p sms.Phone) (connectors.Contact, error) {
	conflict := &connectors.Error{Op: creating.op, Kind: connectors.Conflict, Err: errors.New("the contact exists already, and the answer does not say which it is")}
	if c.find == nil {
		return connectors.Contact{}, conflict
	}
	found, err := c.carriers(ctx, p)
	if err != nil {
		return connectors.Contact{}, err
	}
	if len(found) == 0 {
		return connectors.Contact{}, conflict
	}
	return found[0], nil
}

// UpdateStatus implements connectors.StatusUpdater: one request for each text,
// and one before it that looks for a record that is not remembered, where the
// request names the record.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	if c.update == nil {
		return connectors.FailAll(len(changes), left(updating))
	}
	return each(changes, func(s connectors.StatusChange) connectors.Outcome {
		input := newStatus(s)
		if c.update.uses("Record") && s.Record.Zero() {
			ref, err := c.locate(ctx, s)
			if err != nil {
				return failed(err)
			}
			input.Record = ref
		}
		_, _, err := c.update.call(ctx, "", input, 0)
		if err != nil {
			return failed(err)
		}
		return connectors.Outcome{Ref: input.Record, State: connectors.Written}
	})
}

// locate finds the record of a text. One that is not there is NOT_FOUND.
func (c *Connector) locate(ctx context.Context, s connectors.StatusChange) (connectors.Ref, *connectors.Error) {
	missing := &connectors.Error{Op: updating.op, Kind: connectors.NotFound, Err: errors.New("the text's record is not known")}
	if c.read == nil {
		return connectors.Ref{}, missing
	}
	ref, err := c.readBack(ctx, connectors.Record{Key: s.Key, Message: s.Message, Contact: s.Contact})
	if err == nil && ref.Zero() || err != nil && err.Kind == connectors.Unsupported {
		return connectors.Ref{}, missing
	}
	return ref, err
}

// SetConsent implements connectors.ConsentSetter: one request for each contact.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	if c.consent == nil {
		return connectors.FailAll(len(changes), left(consenting))
	}
	return each(changes, func(s connectors.ConsentChange) connectors.Outcome {
		input := consent{Contact: s.Contact, Phone: phone(s.Phone), OptedOut: s.OptedOut, At: s.At}
		if _, _, err := c.consent.call(ctx, "", input, 0); err != nil {
			return failed(err)
		}
		return connectors.Outcome{Ref: s.Contact, State: connectors.Written}
	})
}

// FindMessages implements connectors.MessageFinder: one request for each text.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if c.read == nil {
		return nil, left(reading)
	}
	found := make([][]connectors.Found, len(records))
	for i, r := range records {
		texts, failure := c.lookUp(ctx, r)
		if failure != nil {
			return nil, failure
		}
		found[i] = texts
	}
	return found, nil
}

func failed(err *connectors.Error) connectors.Outcome {
	return connectors.Outcome{State: connectors.Failed, Err: err}
}

// each makes one call after the other. Once one fails for a reason that is not
// its own, the rest would, too.
func each[T any](items []T, call func(T) connectors.Outcome) []connectors.Outcome {
	out := make([]connectors.Outcome, len(items))
	stopped := false
	for i, item := range items {
		if stopped {
			out[i] = connectors.Outcome{State: connectors.NotAttempted}
			continue
		}
		out[i] = call(item)
		stopped = out[i].State == connectors.Failed && !out[i].Err.Kind.Permanent()
	}
	return out
}
