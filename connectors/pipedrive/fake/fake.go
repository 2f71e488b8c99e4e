// Package fake is a small Pipedrive: the endpoints that the connector uses, in
// memory, as strict as the vendor's. Its answers follow the examples of
// https://developers.pipedrive.com/docs/api/v1/openapi-v2.yaml and openapi-v1.yaml,
// its refusals what people report of the API. The words for a participant who was
// deleted are made up.
package fake

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// Options say how the vendor behaves.
type Options struct {
	// Token is what requests must bring, as x-api-token or as a bearer; empty: one
	// that Config tells.
	Token string
	// Accept tells whether a token is valid now, in place of Token: so tokens
	// expire and rotate.
	Accept func(token string) bool
	// TypedPhones lets searches compare numbers as somebody typed them, in place
	// of their digits.
	TypedPhones bool
	// SoftDeletes answers what was deleted, and writes to it, as if it were there,
	// save for its field is_deleted.
	SoftDeletes bool
	// SearchLag is how long a person who was created through the API stays out of
	// searches.
	SearchLag time.Duration
	// Latency is added to each request.
	Latency time.Duration
	// Burst and Search are the largest number of requests, and of searches, in two
	// seconds, Tokens how many there are in all; 0: any.
	Burst, Search, Tokens int
	// BlockAfter is how many requests are answered 429 before Cloudflare keeps the
	// client out with a page; 0: it never does.
	BlockAfter int
}

// Fake is the vendor. It is safe for concurrent use.
type Fake struct {
	options Options
	mux     *http.ServeMux

	mu         sync.Mutex
	activities []*activity
	persons    []*person
	fields     []field
	types      []activityType
	users      []user
	text       string // key of a text field
	poisoned   map[string]bool
	requests   map[string]int
	limiter    limiter
}

var (
	_ fakes.Fake         = (*Fake)(nil)
	_ fakes.MessageAdder = (*Fake)(nil)
	_ fakes.Meddler      = (*Fake)(nil)
	_ fakes.OwnerAdder   = (*Fake)(nil)
	_ fakes.FieldRemover = (*Fake)(nil)
	_ fakes.FieldNamer   = (*Fake)(nil)
)

const (
	defaultToken = "pipedrive-t0ken-s3cret"
	optOutField  = "SMS opt-out"
)

// New makes an empty company.
func New(options Options) *Fake {
	options.Token = cmp.Or(options.Token, defaultToken)
	f := &Fake{
		options:  options,
		poisoned: map[string]bool{},
		requests: map[string]int{},
		fields: []field{
			{Name: "Name", Code: "name", Type: "varchar"},
			{Name: "Phone", Code: "phone", Type: "phone"},
		},
		types: []activityType{
			{ID: 1, Name: "Call", Key: "call", Icon: "call", Active: true},
			{ID: 2, Name: "Task", Key: "task", Icon: "task", Active: true},
			{ID: 3, Name: "Lunch", Key: "lunch", Icon: "lunch"},
		},
		users: []user{
			{ID: 1, Name: "Ops", Email: "ops@example.com", Active: true},
			{ID: 2, Name: "Sam", Email: "Sam@example.com", Active: true},
			{ID: 3, Name: "Gone", Email: "gone@example.com"},
		},
	}
	f.text = f.addField("City", "varchar").Code
	f.addType("SMS", "bubble")
	f.addField(optOutField, "varchar")
	f.mux = f.routes()
	return f
}

// Requests answers how many requests arrived, refused ones too, by method and
// pattern.
func (f *Fake) Requests() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.requests)
}

// Spent answers how many tokens were spent.
func (f *Fake) Spent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limiter.tokens
}

// Poison implements fakes.Fake.
func (f *Fake) Poison(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.poisoned[key] = true
}

// Config implements fakes.Fake.
func (f *Fake) Config(base string) string {
	return "type: pipedrive\nbase_url: " + base + "\ntoken: " + f.options.Token + "\nplan: ultimate\nseats: 5\n"
}

// Secrets implements fakes.Fake.
func (f *Fake) Secrets() []string { return []string{f.options.Token} }

// Messages implements fakes.Store.
func (f *Fake) Messages() []fakes.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fakes.Message
	for _, a := range f.activities {
		if !a.IsDeleted {
			out = append(out, a.message())
		}
	}
	return out
}

// written is what the connector puts into a description: the marker, and perhaps
// the status, its instant and the reason.
var written = regexp.MustCompile(`^\[crmsync:([^\]]+)\](?: (\w+) \d{4}-\d\d-\d\d \d\d:\d\d UTC(?:: (.*))?| (\w+))?$`)

func (a *activity) message() fakes.Message {
	m := fakes.Message{ID: strconv.Itoa(a.ID), Subject: a.Subject, Body: a.Note, OwnerID: strconv.Itoa(a.OwnerID), Direction: "outbound"}
	if strings.HasPrefix(a.Subject, "←") || strings.HasPrefix(a.Subject, "Inbound") {
		m.Direction = "inbound"
	}
	if a.PersonID != nil {
		m.Contact = strconv.Itoa(*a.PersonID)
	}
	if parts := written.FindStringSubmatch(a.PublicDescription); parts != nil {
		m.Key, _ = url.QueryUnescape(parts[1])
		m.Status, m.Reason = cmp.Or(parts[2], parts[4]), parts[3]
	}
	m.At, _ = time.Parse(time.DateOnly+" "+time.TimeOnly, a.DueDate+" "+a.DueTime)
	return m
}

// Contacts implements fakes.Store.
func (f *Fake) Contacts() []fakes.Contact {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []fakes.Contact
	for _, p := range f.persons {
		if !p.IsDeleted {
			out = append(out, f.contact(p))
		}
	}
	return out
}

func (f *Fake) contact(p *person) fakes.Contact {
	c := fakes.Contact{
		Ref: connectors.Ref{Type: "person", ID: strconv.Itoa(p.ID)}, Name: p.Name,
		OwnerID: strconv.Itoa(p.OwnerID), Updated: p.UpdateTime, Fields: map[string]string{},
	}
	for _, number := range p.Phones {
		c.Phones = append(c.Phones, number.Value)
	}
	if len(p.Emails) > 0 {
		c.Email = p.Emails[0].Value
	}
	for _, d := range f.fields {
		var said string
		if json.Unmarshal(p.CustomFields[d.Code], &said) != nil {
			continue
		}
		c.Fields[d.Code] = said
		if d.Name == optOutField {
			state, at, _ := strings.Cut(said, " 2")
			c.OptedOut = state == "opted out"
			c.ConsentAt, _ = time.Parse(time.RFC3339, "2"+at)
		}
	}
	return c
}

// AddContact implements fakes.Store.
func (f *Fake) AddContact(c fakes.Contact) connectors.Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &person{personBody: personBody{Name: c.Name, OwnerID: 1, Phones: []phone{}, Emails: []phone{}}}
	for i, number := range c.Phones {
		p.Phones = append(p.Phones, phone{Value: number, Primary: i == 0, Label: "work"})
	}
	if c.Email != "" {
		p.Emails = append(p.Emails, phone{Value: c.Email, Primary: true, Label: "work"})
	}
	f.keep(p)
	p.visible = time.Time{}
	return f.contact(p).Ref
}

// SetCustomField sets a custom field of a person, as somebody would.
func (f *Fake) SetCustomField(personID, key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.person(personID); p != nil {
		p.CustomFields[key], _ = json.Marshal(value)
	}
}

// DeleteContact implements fakes.Store.
func (f *Fake) DeleteContact(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.person(id); p != nil {
		p.IsDeleted = true
	}
}

// EditMessage implements fakes.Store. A person edits notes; the status stands
// where only the connector writes.
func (f *Fake) EditMessage(id, body, status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.activity(id); a != nil {
		mark, _, _ := strings.Cut(a.PublicDescription, "]")
		a.Note, a.PublicDescription = body, strings.TrimSpace(mark+"] "+status)
		a.UpdateTime = now()
	}
}

// DeleteMessage implements fakes.Meddler.
func (f *Fake) DeleteMessage(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.activity(id); a != nil {
		a.IsDeleted = true
	}
}

// MoveMessage implements fakes.Meddler.
func (f *Fake) MoveMessage(id, contact string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, p := f.activity(id), f.person(contact)
	if a == nil || p == nil {
		return
	}
	a.Participants, a.UpdateTime = []participant{{PersonID: p.ID, Primary: true}}, now()
	a.link()
}

// CopyMessage implements fakes.Meddler.
func (f *Fake) CopyMessage(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.activity(id)
	if a == nil {
		return ""
	}
	second := &activity{activityBody: a.activityBody}
	second.Participants = slices.Clone(a.Participants)
	return strconv.Itoa(f.file(second).ID)
}

// AddMessage implements fakes.MessageAdder. What JustCall's own integration writes
// is not confirmed; RingCentral's App Connect writes activities much like it.
func (f *Fake) AddMessage(m fakes.Message) connectors.Ref {
	subject := "Outbound SMS"
	if m.Direction == "inbound" {
		subject = "Inbound SMS"
	}
	return connectors.Ref{ID: f.AddActivity(m.Contact, subject, m.Body, m.At)}
}

// AddActivity adds one that somebody else wrote, and answers its id.
func (f *Fake) AddActivity(person, subject, note string, at time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &activity{activityBody: activityBody{
		Subject: subject, Type: "task", OwnerID: 1, Done: true, Note: note,
		DueDate: at.UTC().Format(time.DateOnly), DueTime: at.UTC().Format(time.TimeOnly),
	}}
	if id, err := strconv.Atoi(person); err == nil {
		a.Participants = []participant{{PersonID: id, Primary: true}}
	}
	return strconv.Itoa(f.file(a).ID)
}

// AddOwner implements fakes.OwnerAdder.
func (f *Fake) AddOwner(email string) (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := user{ID: len(f.users) + 1, Name: email, Email: email, Active: true}
	f.users = append(f.users, added)
	return strconv.Itoa(added.ID)
}

// RemoveFields implements fakes.FieldRemover.
func (f *Fake) RemoveFields() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.types = slices.DeleteFunc(f.types, func(t activityType) bool { return t.Custom })
	f.fields = slices.DeleteFunc(f.fields, func(d field) bool { return d.Name == optOutField })
}

// TextField implements fakes.FieldNamer.
func (f *Fake) TextField() string { return f.text }
