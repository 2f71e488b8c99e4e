// Package sandbox connects to the small CRM of package crm, which comes with
// crmsync to try it without an account anywhere. It is also the reference: a
// new connector mirrors it file by file.
//
// Class B: the CRM knows each text by its key, and a put leaves alone what is
// there. Creating a contact is idempotent by its key. Searches see everything
// at once. Numbers are kept in E.164.
package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// Name is the connector's type in a configuration.
const Name = "sandbox"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:        Name,
		Title:       "Sandbox CRM",
		Example:     example,
		MaxBatch:    100,
		CallTimeout: 10 * time.Second,
		Settle:      2 * time.Second,
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			var cfg Config
			if err := c.Decode(&cfg); err != nil {
				return nil, err
			}
			if err := cfg.Validate(); err != nil {
				return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
			}
			return New(cfg, env.Client), nil
		},
	}
}

// Connector is one instance.
type Connector struct{ api api }

var (
	_ connectors.Connector      = (*Connector)(nil)
	_ connectors.ContactFinder  = (*Connector)(nil)
	_ connectors.ContactCreator = (*Connector)(nil)
	_ connectors.StatusUpdater  = (*Connector)(nil)
	_ connectors.ConsentSetter  = (*Connector)(nil)
	_ connectors.MessageFinder  = (*Connector)(nil)
)

// New makes an instance of valid settings. The client is its only way out.
func New(cfg Config, client *http.Client) *Connector { return &Connector{newAPI(cfg, client)} }

// Check implements connectors.Connector.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	if err := c.api.check(ctx); err != nil {
		return connectors.Capabilities{}, err
	}
	return connectors.CapabilitiesOf(c, connectors.ClassB), nil
}

// PutMessages implements connectors.Connector in one request. A contact that is
// not there fails its text with NOT_FOUND.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	items := make([]message, len(records))
	for i, r := range records {
		items[i] = newMessage(r)
	}
	out := write(ctx, c.api, "put messages", http.MethodPut, "messages", items, connectors.Existed)
	for i, o := range out {
		if !o.Ref.Zero() {
			out[i].Ref.URL = c.api.page(records[i].Contact, o.Ref)
		}
	}
	return out
}

// UpdateStatus implements connectors.StatusUpdater in one request.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	items := make([]statusChange, len(changes))
	for i, s := range changes {
		items[i] = statusChange{Key: s.Key, Status: s.Status, Reason: s.Reason, At: s.At}
	}
	return write(ctx, c.api, "update status", http.MethodPatch, "messages/status", items, connectors.Written)
}

// SetConsent implements connectors.ConsentSetter in one request.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	items := make([]consentChange, len(changes))
	for i, s := range changes {
		items[i] = consentChange{Contact: s.Contact.ID, OptedOut: s.OptedOut, At: s.At}
	}
	return write(ctx, c.api, "set consent", http.MethodPatch, "contacts/consent", items, connectors.Written)
}

// FindMessages implements connectors.MessageFinder in one request.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if len(records) == 0 {
		return nil, nil
	}
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	results, err := c.api.findMessages(ctx, keys)
	if err != nil {
		return nil, err
	}
	found := make([][]connectors.Found, len(records))
	for i, r := range results {
		if r.ID != "" {
			found[i] = []connectors.Found{c.api.found(r)}
		}
	}
	return found, nil
}

// FindContacts implements connectors.ContactFinder in one request. The CRM
// compares in E.164 itself.
func (c *Connector) FindContacts(ctx context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
	if len(phones) == 0 {
		return nil, nil
	}
	found, err := c.api.findContacts(ctx, phones)
	if err != nil {
		return nil, err
	}
	out := make([][]connectors.Contact, len(phones))
	for i, contacts := range found {
		for _, contact := range contacts {
			out[i] = append(out[i], c.api.contact(contact))
		}
	}
	return out, nil
}

// CreateContact implements connectors.ContactCreator. It is idempotent by key.
// There are neither leads nor further fields.
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	if n.Type != "" && n.Type != contactType || len(n.Fields) > 0 {
		return connectors.Contact{}, &connectors.Error{Op: "create contact", Kind: connectors.Unsupported, Err: errKind}
	}
	created, err := c.api.createContact(ctx, contact{
		Key: n.Key, Name: n.Name, Email: n.Email, OwnerID: n.OwnerID, Phones: []sms.Phone{n.Phone},
	})
	if err != nil {
		return connectors.Contact{}, err
	}
	return c.api.contact(created), nil
}
