// Package fake is a small HubSpot: the endpoints that package hubspot uses, as
// strict as the real ones. What it knows of HubSpot's ways is what the comments of
// package hubspot cite.
package fake

import (
	"cmp"
	"html"
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

// Options say what kind of account the fake is. The zero value is one in good
// health, with the custom properties that the connector's defaults name.
type Options struct {
	// Token is what calls must bring; "pat-na1-fake" when empty.
	Token string
	// TokenLife is how long it is accepted; 0: for ever.
	TokenLife time.Duration
	// Scopes are those of the token; nil: all.
	Scopes []string
	// Latency is added to every request.
	Latency time.Duration
	// SearchLag is how long a contact that was created through the API stays out
	// of searches.
	SearchLag time.Duration
	// Burst, Search and Daily are the limits of all requests but searches in 10 s,
	// of searches in 1 s, and of all in the day of UTC; 0: none.
	Burst, Search, Daily int
	// Page bounds the pages of every list; 0: as HubSpot does.
	Page int
	// Bare leaves out the custom properties, as they are before somebody runs
	// crmsync check --provision.
	Bare bool
	// NoUnique refuses properties with unique values on communications, NoKey any
	// for the key. The connector's settings in Config go with either.
	NoUnique, NoKey bool
	// WholeBatches refuses a batch for one bad input, whether or not the inputs
	// are traced.
	WholeBatches bool
	// Quiet leaves unknown records out of the answer to an update without a word,
	// as has been seen.
	Quiet bool
	// NoTraces leaves the traces of inputs out of results.
	NoTraces bool
	// Masked hides numbers, as from tokens without the scopes for sensitive data.
	Masked bool
}

// Fake is a running account. It is safe for concurrent use.
type Fake struct {
	options Options
	mux     *http.ServeMux
	born    time.Time

	mu       sync.Mutex
	schema   map[string]map[string]*property // by record type and name
	groups   map[string]bool
	records  map[string][]*record // by type, in the order of creation
	byID     map[string]*record
	unique   map[string]*record   // by type, property and value
	index    map[string][]*record // by type, property and value, for searches
	poisoned map[string]bool
	requests map[string]int
	spent    map[string][]time.Time
	limited  int
	lastID   int
	users    []string // the owners' addresses
}

var (
	_ fakes.Fake         = (*Fake)(nil)
	_ fakes.MessageAdder = (*Fake)(nil)
	_ fakes.Meddler      = (*Fake)(nil)
	_ fakes.OwnerAdder   = (*Fake)(nil)
	_ fakes.FieldRemover = (*Fake)(nil)
	_ fakes.FieldNamer   = (*Fake)(nil)
)

// record is a contact or a communication.
type record struct {
	id       string
	kind     string
	values   map[string]string
	contacts []string // that a communication is associated with
	created  time.Time
	updated  time.Time
	visible  time.Time // in searches from then on
	archived bool
}

// New makes an account without records.
func New(options Options) *Fake {
	options.Token = cmp.Or(options.Token, "pat-na1-fake")
	f := &Fake{
		options: options, born: time.Now(),
		schema: schema(), groups: map[string]bool{}, records: map[string][]*record{}, byID: map[string]*record{},
		unique: map[string]*record{}, index: map[string][]*record{}, poisoned: map[string]bool{},
		requests: map[string]int{}, spent: map[string][]time.Time{}, lastID: 1000,
	}
	if !options.Bare {
		f.provision()
	}
	f.mux = f.routes()
	return f
}

// Config implements fakes.Fake.
func (f *Fake) Config(base string) string {
	text := "type: hubspot\nbase_url: " + base + "\ntoken: " + f.options.Token + "\n"
	switch {
	case f.options.NoKey:
		text += `fields: { key: "" }` + "\n"
	case f.options.NoUnique:
		text += "unique: false\n"
	}
	return text
}

// Secrets implements fakes.Fake.
func (f *Fake) Secrets() []string { return []string{f.options.Token} }

// Poison implements fakes.Fake: a validation rule of the account refuses the text.
func (f *Fake) Poison(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.poisoned[key] = true
}

// Requests answers how many requests each endpoint got, refused ones too.
func (f *Fake) Requests() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.requests)
}

// Limited answers how many requests got 429.
func (f *Fake) Limited() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limited
}

// Messages implements fakes.Store.
func (f *Fake) Messages() []fakes.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []fakes.Message
	for _, r := range f.records[communications] {
		if !r.archived {
			all = append(all, message(r))
		}
	}
	return all
}

func message(r *record) fakes.Message {
	at, _ := instant(r.values["hs_timestamp"])
	m := fakes.Message{
		ID: r.id, Key: keyOf(r.values), Body: r.values["hs_communication_body"], At: at,
		Status: r.values["justcall_status"], Reason: r.values["justcall_status_reason"], Direction: r.values["justcall_direction"],
		OwnerID: r.values["hubspot_owner_id"],
	}
	if len(r.contacts) > 0 {
		m.Contact = r.contacts[0]
	}
	return m
}

var marker = regexp.MustCompile(`\[jc:([^\]\s]+)\]`)

// keyOf decodes the key of a text.
func keyOf(values map[string]string) string {
	encoded := values["justcall_message_id"]
	if m := marker.FindAllStringSubmatch(html.UnescapeString(values["hs_communication_body"]), -1); encoded == "" && len(m) > 0 {
		encoded = m[len(m)-1][1]
	}
	key, err := url.PathUnescape(encoded)
	if err != nil {
		return encoded
	}
	return key
}

// Contacts implements fakes.Store.
func (f *Fake) Contacts() []fakes.Contact {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []fakes.Contact
	for _, r := range f.records[contacts] {
		if !r.archived {
			all = append(all, contact(r))
		}
	}
	return all
}

func contact(r *record) fakes.Contact {
	at, _ := instant(r.values["justcall_sms_opt_out_at"])
	c := fakes.Contact{
		Ref:   connectors.Ref{Type: "contact", ID: r.id},
		Name:  strings.TrimSpace(r.values["firstname"] + " " + r.values["lastname"]),
		Email: r.values["email"], OwnerID: r.values["hubspot_owner_id"],
		OptedOut: r.values["justcall_sms_opt_out"] == "true", ConsentAt: at, Updated: r.updated,
		Fields: map[string]string{textField: r.values[textField]},
	}
	for _, field := range phoneFields {
		if raw := r.values[field]; raw != "" {
			c.Phones = append(c.Phones, raw)
		}
	}
	return c
}

// phoneFields are where AddContact puts the first, second and third number.
var phoneFields = []string{"phone", "mobilephone", "hs_whatsapp_phone_number"}

// AddContact implements fakes.Store.
func (f *Fake) AddContact(c fakes.Contact) connectors.Ref {
	first, last, _ := strings.Cut(c.Name, " ")
	values := map[string]string{"firstname": first, "lastname": last, "email": c.Email, "hubspot_owner_id": c.OwnerID}
	for i, raw := range c.Phones[:min(len(c.Phones), len(phoneFields))] {
		values[phoneFields[i]] = raw
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.store(contacts, values)
	r.visible = r.created
	return connectors.Ref{Type: "contact", ID: r.id}
}

// AddMessage implements fakes.MessageAdder: a heading, and below it the text, which
// is in HTML.
func (f *Fake) AddMessage(m fakes.Message) connectors.Ref {
	body := "<p><strong>JustCall: " + m.Direction + " SMS</strong></p><p>" + m.Body + "</p>"
	return connectors.Ref{ID: f.AddRaw(m.Contact, body, m.At)}
}

// AddRaw puts a logged SMS on a contact's timeline, as anybody else does.
func (f *Fake) AddRaw(contact, body string, at time.Time) (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.store(communications, map[string]string{
		"hs_communication_channel_type": "SMS", "hs_communication_logged_from": "CRM",
		"hs_communication_body": body, "hs_timestamp": strconv.FormatInt(at.UnixMilli(), 10),
	})
	r.contacts = []string{contact}
	return r.id
}

// AddOwner implements fakes.OwnerAdder.
func (f *Fake) AddOwner(email string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users = append(f.users, email)
	return strconv.Itoa(firstOwner + len(f.users))
}

// RemoveFields implements fakes.FieldRemover.
func (f *Fake) RemoveFields() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.schema, f.groups = schema(), map[string]bool{}
}

// textField is a property of a contact that nothing else is done with.
const textField = "company"

// TextField implements fakes.FieldNamer.
func (f *Fake) TextField() string { return textField }

// Value answers a property of a record.
func (f *Fake) Value(id, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.byID[id]; r != nil {
		return r.values[name]
	}
	return ""
}

// DeleteContact implements fakes.Store. It puts a communication into the recycle
// bin, too, where its unique values stay taken.
func (f *Fake) DeleteContact(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.byID[id]; r != nil {
		r.archived = true
	}
}

// DeleteMessage implements fakes.Meddler.
func (f *Fake) DeleteMessage(id string) { f.DeleteContact(id) }

// MoveMessage implements fakes.Meddler.
func (f *Fake) MoveMessage(id, contact string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.byID[id]; r != nil {
		r.contacts = []string{contact}
	}
}

// CopyMessage implements fakes.Meddler. A unique key is on one record only.
func (f *Fake) CopyMessage(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.byID[id]
	if key := f.schema[communications]["justcall_message_id"]; r == nil || key != nil && key.Unique {
		return ""
	}
	second := f.store(communications, r.values)
	second.contacts = slices.Clone(r.contacts)
	return second.id
}

// EditMessage implements fakes.Store.
func (f *Fake) EditMessage(id, body, status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.byID[id]; r != nil {
		r.values["hs_communication_body"], r.values["justcall_status"] = body, status
	}
}

// store adds a record. It is called with the lock held.
func (f *Fake) store(kind string, values map[string]string) *record {
	f.lastID++
	now := time.Now().UTC()
	r := &record{
		id: strconv.Itoa(f.lastID), kind: kind, values: map[string]string{},
		created: now, updated: now, visible: now.Add(f.options.SearchLag),
	}
	f.records[kind] = append(f.records[kind], r)
	f.byID[r.id] = r
	f.change(r, values)
	return r
}

// change sets values of a record, and what follows from them.
func (f *Fake) change(r *record, values map[string]string) {
	for name, value := range values {
		if value == "" {
			delete(r.values, name)
			continue
		}
		r.values[name] = value
		if p := f.schema[r.kind][name]; p != nil && p.Unique {
			f.unique[uniqueKey(r.kind, name, value)] = r
		}
	}
	r.updated = time.Now().UTC()
	if r.kind == contacts {
		calculate(r.values)
	}
	for name, value := range r.values {
		if at := uniqueKey(r.kind, name, value); searched(name) && !slices.Contains(f.index[at], r) {
			f.index[at] = append(f.index[at], r)
		}
	}
}

// searched: the fake's searches are for numbers, and for keys.
func searched(property string) bool {
	return property == "justcall_message_id" || property == textField || strings.Contains(property, "phone") || strings.Contains(property, "mobile")
}

// uniqueKey: HubSpot is taken to tell no small letters from capital ones.
func uniqueKey(kind, name, value string) string {
	return kind + "." + name + "=" + strings.ToLower(strings.TrimSpace(value))
}
