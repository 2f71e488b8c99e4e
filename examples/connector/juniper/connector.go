// Package juniper connects to Juniper, a CRM that does not exist: it shows how a
// connector outside crmsync's repository is built. Package crmsync/connectors is
// the contract, crmsync/connectors/sandbox the reference.
//
// Where a text appears: as a text on its person's timeline.
//
// Class B: Juniper knows each text by our key, its ref, and leaves alone what is
// there. Creating a person is idempotent by ref, too. Searches see everything at
// once; numbers are kept as somebody typed them.
package juniper

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/sms"
)

// Name is the connector's type in a configuration.
const Name = "juniper"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:        Name,
		Title:       "Juniper",
		Example:     example,
		MaxBatch:    50,
		CallTimeout: 20 * time.Second,
		Settle:      10 * time.Second,
		Limits:      []connectors.Limit{{Name: "burst", Amount: 100, Window: 10 * time.Second}},
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

// What the API allows is implemented, and nothing else: the methods are the
// capabilities.
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
	if err := c.api.me(ctx); err != nil {
		return connectors.Capabilities{}, err
	}
	return connectors.CapabilitiesOf(c, connectors.ClassB), nil
}

// PutMessages implements connectors.Connector in one request. A person who is
// not there fails the text with NOT_FOUND.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	texts := make([]text, len(records))
	for i, r := range records {
		texts[i] = text{
			Ref: r.Key, Person: r.Contact.ID, Outgoing: r.Message.Direction == sms.Outbound,
			Title: r.Subject, Body: r.Body, SentAt: r.Message.At.UTC(), Owner: r.OwnerID,
		}
	}
	return write(ctx, c.api, "put messages", http.MethodPut, "texts", texts)
}

// UpdateStatus implements connectors.StatusUpdater in one request. Juniper looks
// the text up by its ref.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	states := make([]state, len(changes))
	for i, s := range changes {
		states[i] = state{Ref: s.Key, State: s.Status, Note: s.Reason}
	}
	return write(ctx, c.api, "update status", http.MethodPatch, "texts", states)
}

// SetConsent implements connectors.ConsentSetter in one request.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	consents := make([]consent, len(changes))
	for i, s := range changes {
		consents[i] = consent{Person: s.Contact.ID, NoTexts: s.OptedOut, Since: s.At.UTC()}
	}
	return write(ctx, c.api, "set consent", http.MethodPatch, "people", consents)
}

// FindMessages implements connectors.MessageFinder in one request.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if len(records) == 0 {
		return nil, nil
	}
	refs := make([]string, len(records))
	for i, r := range records {
		refs[i] = r.Key
	}
	texts, err := c.api.findTexts(ctx, refs)
	if err != nil {
		return nil, err
	}
	out := make([][]connectors.Found, len(records))
	for i, ref := range refs {
		for _, t := range texts {
			if t.Ref == ref {
				out[i] = append(out[i], t.found())
			}
		}
	}
	return out, nil
}

// FindContacts implements connectors.ContactFinder in one request: it asks for
// every spelling of every number, and looks itself at what comes back.
func (c *Connector) FindContacts(ctx context.Context, numbers []sms.Phone) ([][]connectors.Contact, error) {
	var spellings []string
	for _, number := range numbers {
		spellings = append(spellings, phones.Spellings(number)...)
	}
	if len(spellings) == 0 {
		return nil, nil
	}
	people, err := c.api.findPeople(ctx, spellings)
	if err != nil {
		return nil, err
	}
	out := make([][]connectors.Contact, len(numbers))
	for i, number := range numbers {
		for _, p := range people {
			if slices.ContainsFunc(p.Phones, func(raw string) bool { return phones.Same(number, raw) }) {
				out[i] = append(out[i], p.contact(number))
			}
		}
	}
	return out, nil
}

// CreateContact implements connectors.ContactCreator. It is idempotent by key.
// Juniper has people only, and no further fields.
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	if n.Type != "" && n.Type != personType || len(n.Fields) > 0 {
		err := errors.New("contacts of this type, or with these fields, are not offered")
		return connectors.Contact{}, &connectors.Error{Op: "create contact", Kind: connectors.Unsupported, Err: err}
	}
	created, err := c.api.createPerson(ctx, person{
		Ref: n.Key, Name: n.Name, Email: n.Email, Owner: n.OwnerID, Phones: []string{string(n.Phone)},
	})
	if err != nil {
		return connectors.Contact{}, err
	}
	return created.contact(n.Phone), nil
}
