package connectortest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// Name is the type of the test CRM's connector in a configuration.
const Name = "testcrm"

// Options say how the test CRM's connector describes itself. Zero values leave
// a Definition's defaults.
type Options struct {
	Settle, SearchLag, CallTimeout time.Duration
	MaxBatch                       int
	// Limits are what the connector is told to keep; those that are enforced
	// stand in CRMOptions.
	Limits []connectors.Limit
	// Silent keeps it from reading what is left of them in the answers.
	Silent bool
}

// Definition describes the connector to a [CRM]. Its settings are base_url,
// class (A to D) and token.
func Definition(o Options) connectors.Definition {
	d := connectors.Definition{
		Name:        Name,
		Title:       "Test CRM",
		Example:     "type: testcrm\nbase_url: http://127.0.0.1:8090\nclass: B\ntoken: ${TESTCRM_TOKEN}\n",
		MaxBatch:    o.MaxBatch,
		CallTimeout: o.CallTimeout,
		Settle:      o.Settle,
		SearchLag:   o.SearchLag,
		Limits:      o.Limits,
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			return openTestCRM(c, env)
		},
	}
	if !o.Silent {
		d.Usage = usage
	}
	return d
}

type testcrmConfig struct {
	BaseURL string            `yaml:"base_url"`
	Class   connectors.Class  `yaml:"class"`
	Token   connectors.Secret `yaml:"token"`
}

type testcrm struct {
	class connectors.Class
	api   *rest.Client
}

func openTestCRM(c connectors.Config, env connectors.Env) (*testcrm, error) {
	cfg := testcrmConfig{Class: connectors.ClassB}
	if err := c.Decode(&cfg); err != nil {
		return nil, err
	}
	if err := rest.CheckBase(cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("base_url %w", err)
	}
	if !slices.Contains([]connectors.Class{"A", "B", "C", "D"}, cfg.Class) {
		return nil, errors.New("class must be A, B, C or D")
	}
	return &testcrm{class: cfg.Class, api: rest.New(env.Client, cfg.BaseURL, rest.Bearer(cfg.Token))}, nil
}

var (
	_ connectors.ContactFinder  = (*testcrm)(nil)
	_ connectors.ContactCreator = (*testcrm)(nil)
	_ connectors.StatusUpdater  = (*testcrm)(nil)
	_ connectors.ConsentSetter  = (*testcrm)(nil)
	_ connectors.MessageFinder  = (*testcrm)(nil)
	_ connectors.Adopter        = (*testcrm)(nil)
	_ connectors.OwnerFinder    = (*testcrm)(nil)
	_ connectors.Provisioner    = (*testcrm)(nil)
)

// Check implements connectors.Connector.
func (c *testcrm) Check(ctx context.Context) (connectors.Capabilities, error) {
	var out apiClass
	_, err := c.api.Do(ctx, rest.Request{Op: "check", Path: "check", Into: &out})
	if err != nil {
		return connectors.Capabilities{}, err
	}
	if out.Class != c.class {
		return connectors.Capabilities{}, &connectors.Error{Op: "check", Kind: connectors.Invalid, Err: fmt.Errorf("the CRM is of class %s", out.Class)}
	}
	caps := connectors.CapabilitiesOf(c, c.class)
	caps.Adopt = c.class != connectors.ClassA // what others wrote has an id of its own
	return caps, nil
}

// PutMessages implements connectors.Connector.
func (c *testcrm) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	items := make([]apiMessage, len(records))
	for i, r := range records {
		items[i] = apiMessage{
			Key: r.Key, Contact: r.Contact.ID, Direction: string(r.Message.Direction),
			Subject: r.Subject, Body: r.Body, At: r.Message.At, OwnerID: r.OwnerID,
		}
		switch c.class {
		case connectors.ClassA:
			items[i].ID = derivedID(r.Key)
		case connectors.ClassD:
			items[i].Key = ""
			items[i].Body += marker(r.Key)
		}
	}
	return send(ctx, c, "put messages", "POST", "messages", items)
}

// derivedID is the id that the client chooses for a text in class A.
func derivedID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// UpdateStatus implements connectors.StatusUpdater.
func (c *testcrm) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	refs, err := c.locate(ctx, changes)
	if err != nil {
		return connectors.FailAll(len(changes), connectors.AsError("update status", err))
	}
	items := make([]apiStatus, len(changes))
	for i, s := range changes {
		items[i] = apiStatus{ID: refs[i].ID, Key: s.Key, Status: string(s.Status), Reason: s.Reason, At: s.At}
	}
	return send(ctx, c, "update status", "PATCH", "messages/status", items)
}

// locate finds the records that the caller does not remember. Only class D
// needs a search for that.
func (c *testcrm) locate(ctx context.Context, changes []connectors.StatusChange) ([]connectors.Ref, error) {
	refs := make([]connectors.Ref, len(changes))
	var unknown []connectors.Record
	for i, s := range changes {
		refs[i] = s.Record
		if c.class == connectors.ClassA {
			refs[i].ID = derivedID(s.Key)
		}
		if refs[i].Zero() {
			unknown = append(unknown, connectors.Record{Key: s.Key})
		}
	}
	if c.class != connectors.ClassD || len(unknown) == 0 {
		return refs, nil
	}
	found, err := c.FindMessages(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for i := range refs {
		if refs[i].Zero() {
			refs[i], found = connectors.Oldest(found[0]), found[1:]
		}
	}
	return refs, nil
}

// SetConsent implements connectors.ConsentSetter.
func (c *testcrm) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	items := make([]apiConsent, len(changes))
	for i, s := range changes {
		items[i] = apiConsent{Contact: s.Contact.ID, OptedOut: s.OptedOut, At: s.At}
	}
	return send(ctx, c, "set consent", "PATCH", "contacts/consent", items)
}

// FindMessages implements connectors.MessageFinder.
func (c *testcrm) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	if len(records) == 0 {
		return nil, nil
	}
	var q apiFind
	for _, r := range records {
		if c.class == connectors.ClassA {
			q.IDs = append(q.IDs, derivedID(r.Key))
		} else {
			q.Keys = append(q.Keys, r.Key)
		}
	}
	var out apiFound
	_, err := c.api.Do(ctx, rest.Request{Op: "find messages", Method: "POST", Path: "messages/find", ReadOnly: true, Body: q, Into: &out})
	if err != nil {
		return nil, err
	}
	if len(out.Results) != len(records) {
		return nil, &connectors.Error{Op: "find messages", Kind: connectors.Unknown, Err: errResults}
	}
	found := make([][]connectors.Found, len(records))
	for i, texts := range out.Results {
		for _, m := range texts {
			text := connectors.Found{Ref: connectors.Ref{ID: m.ID}}
			if m.Contact != "" {
				text.Contacts = []connectors.Ref{{Type: m.ContactType, ID: m.Contact}}
			}
			found[i] = append(found[i], text)
		}
	}
	return found, nil
}

// FindContacts implements connectors.ContactFinder.
func (c *testcrm) FindContacts(ctx context.Context, asked []sms.Phone) ([][]connectors.Contact, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	var out apiContacts
	_, err := c.api.Do(ctx, rest.Request{
		Op: "find contacts", Method: "POST", Path: "contacts/search", ReadOnly: true,
		Body: apiBatch[sms.Phone]{asked}, Into: &out,
	})
	if err != nil {
		return nil, err
	}
	if len(out.Contacts) != len(asked) {
		return nil, &connectors.Error{Op: "find contacts", Kind: connectors.Unknown, Err: errResults}
	}
	found := make([][]connectors.Contact, len(asked))
	for i, candidates := range out.Contacts {
		for _, candidate := range candidates {
			if contact := ours(candidate, asked[i]); slices.Contains(contact.Phones, asked[i]) {
				found[i] = append(found[i], contact)
			}
		}
	}
	return found, nil
}

// CreateContact implements connectors.ContactCreator. It is not idempotent.
func (c *testcrm) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	var out Contact
	_, err := c.api.Do(ctx, rest.Request{
		Op: "create contact", Method: "POST", Path: "contacts", Into: &out,
		Body: apiContact{Name: n.Name, Email: n.Email, OwnerID: n.OwnerID, Phone: string(n.Phone), Type: n.Type, Fields: n.Fields},
	})
	if err != nil {
		return connectors.Contact{}, err
	}
	if out.Zero() {
		return connectors.Contact{}, &connectors.Error{Op: "create contact", Kind: connectors.Unknown, Ambiguous: true, Err: errResults}
	}
	return ours(out, n.Phone), nil
}

// ours answers a contact whose numbers are read as p's country has them.
func ours(c Contact, p sms.Phone) connectors.Contact {
	contact := connectors.Contact{Ref: c.Ref, Name: c.Name, OwnerID: c.OwnerID, Updated: c.Updated, OptedOut: &c.OptedOut}
	for _, raw := range c.Phones {
		if phone, err := sms.ParsePhone(raw, phones.Region(p)); phones.Same(p, raw) {
			contact.Phones = append(contact.Phones, p)
		} else if err == nil {
			contact.Phones = append(contact.Phones, phone)
		}
	}
	return contact
}

var errResults = errors.New("the answer does not fit the question")

// send makes one batch call and reads the verdict on each item.
func send[T any](ctx context.Context, c *testcrm, op, method, path string, items []T) []connectors.Outcome {
	if len(items) == 0 {
		return nil
	}
	var out apiResults
	answer, err := c.api.Do(ctx, rest.Request{Op: op, Method: method, Path: path, Items: len(items), Body: apiBatch[T]{items}, Into: &out})
	if answer != nil && answer.Status/100 == 4 {
		// A batch of one is refused as a whole, yet its result is there.
		_ = json.Unmarshal(answer.Body, &out)
	}
	if len(out.Results) != len(items) {
		return connectors.FailAll(len(items), refused(op, err))
	}
	outcomes := make([]connectors.Outcome, len(items))
	for i, r := range out.Results {
		outcomes[i] = outcome(op, r)
	}
	return outcomes
}

func refused(op string, err error) *connectors.Error {
	if err == nil {
		return &connectors.Error{Op: op, Kind: connectors.Unknown, Ambiguous: true, Err: errResults}
	}
	return connectors.AsError(op, err)
}

func outcome(op string, r apiResult) connectors.Outcome {
	ref := connectors.Ref{ID: r.ID}
	switch {
	case r.Status == http.StatusOK && ref.Zero():
		return connectors.Outcome{State: connectors.NotApplicable}
	case r.Status == http.StatusCreated, r.Status == http.StatusOK && op != "put messages":
		return connectors.Outcome{Ref: ref, State: connectors.Written}
	case r.Status == http.StatusOK, r.Status == http.StatusConflict:
		return connectors.Outcome{Ref: ref, State: connectors.Existed}
	}
	return connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: rest.KindOf(r.Status), Status: r.Status}}
}
