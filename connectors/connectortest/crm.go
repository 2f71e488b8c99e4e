package connectortest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// CRMOptions say what kind of vendor a [CRM] is.
type CRMOptions struct {
	// Class is the idempotency class; B when empty.
	Class connectors.Class
	// Token is what calls must bring; empty lets everyone in.
	Token string
	// Seed makes the faults that happen by chance repeatable.
	Seed uint64
	// SearchLag is how long a contact that was created through the API stays
	// out of searches, MessageLag the same for texts.
	SearchLag, MessageLag time.Duration
	// Settle is how late a write lands whose connection Faults.Late closed.
	Settle time.Duration
	// MaxBatch is the largest batch that is not refused with 413; 0: any.
	MaxBatch int
	// Limits are enforced exactly, by the time of arrival. What exceeds one is
	// answered 429, with Faults.RetryAfter unless that is 0, and does not count.
	// Every answer says in headers what is left. They must be valid, and a Cost
	// sees the request as it arrived: with a path and no host.
	Limits []connectors.Limit
}

// CRM is a CRM in memory that speaks HTTP and misbehaves on demand. It counts
// what was really written, so that a test can prove that nothing was written
// twice. It is the vendor of connector testcrm (see [Definition]) and safe for
// concurrent use; the connectors may run in other processes, which need only
// its address.
type CRM struct {
	options CRMOptions
	mux     *http.ServeMux

	mu       sync.Mutex
	faults   Faults
	random   *rand.Rand
	messages []*stored
	byKey    map[string][]*stored
	byID     map[string]*stored
	lastID   int // of a text
	contacts []*person
	people   map[string]*person
	byPhone  map[string][]*person // by the number's last seven digits
	owners   map[string]string    // ids of users by e-mail address
	fields   []string
	history  []Change
	requests map[string]int
	limiters []*limiter
	limited  map[string]int
	late     int
}

type stored struct {
	Message
	visible time.Time
}

type person struct {
	Contact
	visible time.Time
	deleted bool
}

// Change is a write of a status or of a consent, in the order of arrival.
type Change struct {
	Op      string    // status or consent
	Key     string    // of the text whose status it is
	Contact string    // id of the contact whose consent it is
	Value   string    // sent, delivered, failed; out, in
	Reason  string    // why the text failed
	At      time.Time // the instant that came with it
}

// NewCRM makes an empty CRM.
func NewCRM(options CRMOptions) *CRM {
	options.Class = cmp.Or(options.Class, connectors.ClassB)
	c := &CRM{
		options:  options,
		random:   rand.New(rand.NewPCG(options.Seed, options.Seed)),
		byKey:    map[string][]*stored{},
		byID:     map[string]*stored{},
		people:   map[string]*person{},
		byPhone:  map[string][]*person{},
		owners:   map[string]string{},
		fields:   slices.Clone(ownFields),
		requests: map[string]int{},
		limiters: newLimiters(options.Limits),
		limited:  map[string]int{},
	}
	c.mux = c.routes()
	return c
}

// Start serves c on a port of its own until the test ends and answers the
// address, to be given as base_url.
func (c *CRM) Start(t testing.TB) string {
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return server.URL
}

// Messages implements Store.
func (c *CRM) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Message, len(c.messages))
	for i, m := range c.messages {
		out[i] = m.Message
	}
	return out
}

// Contacts implements Store.
func (c *CRM) Contacts() []Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Contact
	for _, p := range c.contacts {
		if !p.deleted {
			copied := p.Contact
			copied.Phones = slices.Clone(p.Phones)
			out = append(out, copied)
		}
	}
	return out
}

// Doubles answers the keys under which more than one text was written, with
// their number.
func (c *CRM) Doubles() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	doubles := map[string]int{}
	for key, messages := range c.byKey {
		if len(messages) > 1 {
			doubles[key] = len(messages)
		}
	}
	return doubles
}

// ContactDoubles answers the numbers that more than one contact carries, with
// their number.
func (c *CRM) ContactDoubles() map[sms.Phone]int {
	count := map[sms.Phone]int{}
	for _, contact := range c.Contacts() {
		for _, raw := range contact.Phones {
			count[parsed(raw)]++
		}
	}
	maps.DeleteFunc(count, func(_ sms.Phone, n int) bool { return n < 2 })
	return count
}

// History answers the writes of statuses and consents in order.
func (c *CRM) History() []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.history)
}

// Requests answers how many requests arrived, refused ones too, by operation:
// check, put, adopt, find_messages, status, find_contacts, create_contact,
// find_owners, consent, find_fields, create_fields.
func (c *CRM) Requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}

// AddContact implements Store.
func (c *CRM) AddContact(contact Contact) connectors.Ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addContact(contact, time.Time{}).Ref
}

func (c *CRM) addContact(contact Contact, visible time.Time) *person {
	contact.Ref = connectors.Ref{Type: cmp.Or(contact.Type, "contact"), ID: fmt.Sprintf("c%d", len(c.contacts)+1)}
	contact.Updated = time.Now().UTC()
	p := &person{Contact: contact, visible: visible}
	c.contacts = append(c.contacts, p)
	c.people[p.ID] = p
	for _, raw := range p.Phones {
		c.index(raw, p)
	}
	return p
}

func (c *CRM) index(raw string, p *person) {
	k := lastDigits(raw)
	if !slices.Contains(c.byPhone[k], p) {
		c.byPhone[k] = append(c.byPhone[k], p)
	}
}

// DeleteContact implements Store. The texts stay, so that they can be counted.
func (c *CRM) DeleteContact(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.people[id]; p != nil {
		p.deleted = true
	}
}

// MergeContacts moves numbers and texts of one contact to another and deletes
// it, as a person who found a duplicate does.
func (c *CRM) MergeContacts(from, into string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	source, target := c.people[from], c.people[into]
	if source == nil || target == nil || source == target {
		return
	}
	for _, raw := range source.Phones {
		target.Phones = append(target.Phones, raw)
		c.index(raw, target)
	}
	for _, m := range c.messages {
		if m.Contact == from {
			m.Contact = into
		}
	}
	source.deleted = true
	target.Updated = time.Now().UTC()
}

// EditMessage implements Store.
func (c *CRM) EditMessage(id, body, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.byID[id]; m != nil {
		m.Body, m.Status = body, status
	}
}

// DeleteMessage implements fakes.Meddler. Its key may be written again.
func (c *CRM) DeleteMessage(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.byID[id]
	if m == nil {
		return
	}
	same := func(other *stored) bool { return other == m }
	c.messages = slices.DeleteFunc(c.messages, same)
	c.byKey[m.Key] = slices.DeleteFunc(c.byKey[m.Key], same)
	delete(c.byID, id)
}

// MoveMessage implements fakes.Meddler.
func (c *CRM) MoveMessage(id, contact string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.byID[id]; m != nil {
		m.Contact = contact
	}
}

// CopyMessage implements fakes.Meddler. In class A the key is the id.
func (c *CRM) CopyMessage(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.byID[id]
	if m == nil || c.options.Class == connectors.ClassA {
		return ""
	}
	second := *m
	second.ID = c.messageID()
	c.keep(&second)
	return second.ID
}

func (c *CRM) messageID() string {
	c.lastID++
	return fmt.Sprintf("m%d", c.lastID)
}

func (c *CRM) keep(m *stored) {
	c.messages = append(c.messages, m)
	c.byID[m.ID] = m
	if m.Key != "" {
		c.byKey[m.Key] = append(c.byKey[m.Key], m)
	}
}

// parsed reads a number as an American would type it; "" for none.
func parsed(raw string) sms.Phone {
	phone, err := sms.ParsePhone(raw, "US")
	if err != nil {
		return ""
	}
	return phone
}

// lastDigits is how carelessly this CRM compares numbers, so that a connector
// has to look closer. It knows of extensions.
func lastDigits(raw string) string {
	raw, _, _ = strings.Cut(raw, " ext")
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, raw)
	return digits[max(0, len(digits)-7):]
}
