package sandbox

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// The schemas of the CRM's API, as far as they are used.
type (
	contact struct {
		ID      string      `json:"id,omitempty"`
		Key     string      `json:"key,omitempty"`
		Name    string      `json:"name,omitempty"`
		Email   string      `json:"email,omitempty"`
		OwnerID string      `json:"owner_id,omitempty"`
		Phones  []sms.Phone `json:"phones"`
		Updated time.Time   `json:"updated,omitzero"`

		OptedOut bool `json:"opted_out,omitempty"`
	}
	message struct {
		Key       string        `json:"key"`
		Contact   string        `json:"contact,omitempty"`
		Direction sms.Direction `json:"direction"`
		Phone     sms.Phone     `json:"phone"`
		Line      sms.Phone     `json:"line,omitempty"`
		Subject   string        `json:"subject,omitempty"`
		Body      string        `json:"body,omitempty"`
		Media     []sms.Media   `json:"media,omitempty"`
		Agent     string        `json:"agent,omitempty"`
		At        time.Time     `json:"at"`
	}
	statusChange struct {
		Key    string     `json:"key"`
		Status sms.Status `json:"status"`
		Reason string     `json:"reason,omitempty"`
		At     time.Time  `json:"at"`
	}
	consentChange struct {
		Contact  string    `json:"contact"`
		OptedOut bool      `json:"opted_out"`
		At       time.Time `json:"at"`
	}
	batch[T any] struct {
		Items []T `json:"items"`
	}
	result struct {
		Status  int    `json:"status"`
		ID      string `json:"id"`
		Contact string `json:"contact"` // of a text that was found
	}
	results struct {
		Results []result `json:"results"`
	}
)

// errForm: the answer does not hold what was asked for, such as a result for
// each item.
var errForm = errors.New("the answer does not fit the question")

// errKind: contacts are to be what the CRM has not.
var errKind = errors.New("the sandbox CRM has contacts of one type, and no further fields")

// contactType is the type of every contact.
const contactType = "contact"

// api makes the calls.
type api struct {
	*rest.Client
	pages string // address of the CRM's pages
}

func newAPI(cfg Config, client *http.Client) api {
	base := strings.TrimRight(cfg.BaseURL, "/")
	return api{rest.New(client, base+"/api", rest.Bearer(cfg.Token)), base}
}

func (a api) check(ctx context.Context) error {
	var out struct{ Name string }
	_, err := a.Do(ctx, rest.Request{Op: "check", Path: "check", Into: &out})
	return err
}

func newMessage(r connectors.Record) message {
	m := r.Message
	agent := m.Agent.Name
	if agent == "" {
		agent = m.Agent.Email
	}
	return message{
		Key: r.Key, Contact: r.Contact.ID, Direction: m.Direction, Phone: m.Contact, Line: m.Line,
		Subject: r.Subject, Body: r.Body, Media: m.Media, Agent: agent, At: m.At,
	}
}

// page is where a text stands on its contact's timeline.
func (a api) page(contact, text connectors.Ref) string {
	if contact.Zero() {
		return a.pages + "/unlinked#text-" + text.ID
	}
	return a.pages + "/contacts/" + rest.Path(contact.ID) + "#text-" + text.ID
}

// contact answers a contact in the words of the contract.
func (a api) contact(c contact) connectors.Contact {
	return connectors.Contact{Ref: a.contactRef(c.ID), Name: c.Name, Phones: c.Phones, OwnerID: c.OwnerID, Updated: c.Updated, OptedOut: &c.OptedOut}
}

func (a api) contactRef(id string) connectors.Ref {
	return connectors.Ref{Type: contactType, ID: id, URL: a.pages + "/contacts/" + rest.Path(id)}
}

// found answers a text, of whose key there is one at most.
func (a api) found(r result) connectors.Found {
	f := connectors.Found{Ref: connectors.Ref{ID: r.ID}}
	if r.Contact != "" {
		f.Contacts = []connectors.Ref{a.contactRef(r.Contact)}
	}
	f.URL = a.page(connectors.Ref{ID: r.Contact}, f.Ref)
	return f
}

func (a api) findContacts(ctx context.Context, phones []sms.Phone) ([][]contact, error) {
	const op = "find contacts"
	var out struct{ Contacts [][]contact }
	_, err := a.Do(ctx, rest.Request{
		Op: op, Method: http.MethodPost, Path: "contacts/search", ReadOnly: true,
		Body: batch[sms.Phone]{phones}, Into: &out,
	})
	if err == nil && len(out.Contacts) != len(phones) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out.Contacts, err
}

func (a api) createContact(ctx context.Context, c contact) (contact, error) {
	const op = "create contact"
	var out contact
	_, err := a.Do(ctx, rest.Request{Op: op, Method: http.MethodPost, Path: "contacts", Body: c, Into: &out})
	if err == nil && out.ID == "" {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	return out, err
}

func (a api) findMessages(ctx context.Context, keys []string) ([]result, error) {
	const op = "find messages"
	var out results
	_, err := a.Do(ctx, rest.Request{
		Op: op, Method: http.MethodPost, Path: "messages/find", ReadOnly: true,
		Body: batch[string]{keys}, Into: &out,
	})
	if err == nil && len(out.Results) != len(keys) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out.Results, err
}

// write sends a batch and reads the verdict on each item, of which 200 means
// the given state.
func write[T any](ctx context.Context, a api, op, method, path string, items []T, ok connectors.State) []connectors.Outcome {
	if len(items) == 0 {
		return nil
	}
	var out results
	_, err := a.Do(ctx, rest.Request{Op: op, Method: method, Path: path, Items: len(items), Body: batch[T]{items}, Into: &out})
	if err == nil && len(out.Results) != len(items) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	if err != nil {
		return connectors.FailAll(len(items), connectors.AsError(op, err))
	}
	outcomes := make([]connectors.Outcome, len(items))
	for i, r := range out.Results {
		outcomes[i] = outcome(op, r, ok)
	}
	return outcomes
}

func outcome(op string, r result, ok connectors.State) connectors.Outcome {
	ref := connectors.Ref{ID: r.ID}
	switch r.Status {
	case http.StatusCreated:
		return connectors.Outcome{Ref: ref, State: connectors.Written}
	case http.StatusOK:
		return connectors.Outcome{Ref: ref, State: ok}
	}
	return connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: rest.KindOf(r.Status), Status: r.Status}}
}
