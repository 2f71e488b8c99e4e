package juniper

import (
	"context"
	"errors"
	"net/http"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// The schemas of the API, as far as they are used.
type (
	person struct {
		ID      string    `json:"id,omitempty"`
		Ref     string    `json:"ref,omitempty"`
		Name    string    `json:"name,omitempty"`
		Email   string    `json:"email,omitempty"`
		Owner   string    `json:"owner,omitempty"`
		Phones  []string  `json:"phones"`
		Updated time.Time `json:"updated,omitzero"`
	}
	text struct {
		ID       string    `json:"id,omitempty"`
		Ref      string    `json:"ref"`
		Person   string    `json:"person,omitempty"`
		Outgoing bool      `json:"outgoing"`
		Title    string    `json:"title,omitempty"`
		Body     string    `json:"body"`
		Owner    string    `json:"owner,omitempty"`
		SentAt   time.Time `json:"sent_at"`
	}
	state struct {
		Ref   string     `json:"ref"`
		State sms.Status `json:"state"`
		Note  string     `json:"note,omitempty"`
	}
	consent struct {
		Person  string    `json:"person"`
		NoTexts bool      `json:"no_texts"`
		Since   time.Time `json:"since"`
	}
	result struct {
		ID   string `json:"id"`
		Code string `json:"code"`
	}
	search struct {
		Refs   []string `json:"refs,omitempty"`
		Phones []string `json:"phones,omitempty"`
	}
	items[T any] struct {
		Items []T `json:"items"`
	}
)

// personType is the type of every contact.
const personType = "contact"

// errForm: the answer does not hold what was asked for.
var errForm = errors.New("the answer does not fit the question")

// api makes the calls.
type api struct{ *rest.Client }

func newAPI(cfg Config, client *http.Client) api {
	return api{rest.New(client, cfg.BaseURL, rest.Bearer(cfg.Token))}
}

func (a api) me(ctx context.Context) error {
	var out struct{ Name string }
	_, err := a.Do(ctx, rest.Request{Op: "check", Path: "me", Into: &out})
	return err
}

func (a api) findPeople(ctx context.Context, spellings []string) ([]person, error) {
	return find[person](ctx, a, "find contacts", "people/search", search{Phones: spellings})
}

func (a api) findTexts(ctx context.Context, refs []string) ([]text, error) {
	return find[text](ctx, a, "find messages", "texts/search", search{Refs: refs})
}

func find[T any](ctx context.Context, a api, op, path string, s search) ([]T, error) {
	var out items[T]
	_, err := a.Do(ctx, rest.Request{Op: op, Method: http.MethodPost, Path: path, ReadOnly: true, Body: s, Into: &out})
	if err == nil && out.Items == nil {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Err: errForm}
	}
	return out.Items, err
}

func (a api) createPerson(ctx context.Context, p person) (person, error) {
	const op = "create contact"
	var out person
	_, err := a.Do(ctx, rest.Request{Op: op, Method: http.MethodPost, Path: "people", Body: p, Into: &out})
	if err == nil && out.ID == "" {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	return out, err
}

// found answers a text in the words of the contract.
func (t text) found() connectors.Found {
	f := connectors.Found{Ref: connectors.Ref{ID: t.ID}}
	if t.Person != "" {
		f.Contacts = []connectors.Ref{{Type: personType, ID: t.Person}}
	}
	return f
}

// contact answers a person who carries the number, in the words of the contract.
func (p person) contact(number sms.Phone) connectors.Contact {
	return connectors.Contact{
		Ref: connectors.Ref{Type: personType, ID: p.ID}, Name: p.Name, Phones: []sms.Phone{number}, OwnerID: p.Owner, Updated: p.Updated,
	}
}

// write sends a batch and reads the verdict on each item.
func write[T any](ctx context.Context, a api, op, method, path string, batch []T) []connectors.Outcome {
	if len(batch) == 0 {
		return nil
	}
	var out items[result]
	_, err := a.Do(ctx, rest.Request{Op: op, Method: method, Path: path, Items: len(batch), Body: items[T]{batch}, Into: &out})
	if err == nil && len(out.Items) != len(batch) {
		err = &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	if err != nil {
		return connectors.FailAll(len(batch), connectors.AsError(op, err))
	}
	outcomes := make([]connectors.Outcome, len(batch))
	for i, r := range out.Items {
		outcomes[i] = outcome(op, r)
	}
	return outcomes
}

// kinds are what Juniper's codes mean; any other is UNKNOWN.
var kinds = map[string]connectors.Kind{
	"no_person": connectors.NotFound,
	"no_text":   connectors.NotFound,
	"refused":   connectors.Invalid,
}

func outcome(op string, r result) connectors.Outcome {
	switch r.Code {
	case "created", "changed":
		return connectors.Outcome{State: connectors.Written, Ref: connectors.Ref{ID: r.ID}}
	case "exists":
		return connectors.Outcome{State: connectors.Existed, Ref: connectors.Ref{ID: r.ID}}
	}
	kind, known := kinds[r.Code]
	if !known {
		kind = connectors.Unknown
	}
	return connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: kind, Ambiguous: !known}}
}
