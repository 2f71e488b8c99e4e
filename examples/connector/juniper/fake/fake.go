// Package fake is a small Juniper in memory: the endpoints that the connector
// uses, as strict as the vendor. It knows the happy path and the vendor's
// refusals; the conformance suite adds what goes wrong on the way.
package fake

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

const token = "juniper-t0ken"

// Fake is the vendor. It is safe for concurrent use.
type Fake struct {
	mux *http.ServeMux

	mu       sync.Mutex
	people   []*person
	texts    []*fakes.Message
	poisoned map[string]bool
	last     int // id that was given
}

type person struct {
	fakes.Contact
	ref string
}

var (
	_ fakes.Fake    = (*Fake)(nil)
	_ fakes.Meddler = (*Fake)(nil)
)

// New makes an empty CRM.
func New() *Fake {
	f := &Fake{mux: http.NewServeMux(), poisoned: map[string]bool{}}
	f.mux.HandleFunc("GET /me", take(f, func(struct{}) (int, any) { return 200, object{"name": "crmsync"} }))
	f.mux.HandleFunc("POST /people/search", take(f, f.searchPeople))
	f.mux.HandleFunc("POST /people", take(f, f.createPerson))
	f.mux.HandleFunc("PATCH /people", take(f, each(f.setConsent)))
	f.mux.HandleFunc("POST /texts/search", take(f, f.searchTexts))
	f.mux.HandleFunc("PUT /texts", take(f, each(f.put)))
	f.mux.HandleFunc("PATCH /texts", take(f, each(f.setState)))
	return f
}

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		reply(w, http.StatusUnauthorized, object{"error": "who are you?"})
		return
	}
	f.mux.ServeHTTP(w, r)
}

// Config implements fakes.Fake.
func (f *Fake) Config(base string) string {
	return "type: juniper\nbase_url: " + base + "\ntoken: " + token + "\n"
}

// Secrets implements fakes.Fake.
func (f *Fake) Secrets() []string { return []string{token} }

// Poison implements fakes.Fake.
func (f *Fake) Poison(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.poisoned[key] = true
}

// Messages implements fakes.Store.
func (f *Fake) Messages() []fakes.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]fakes.Message, len(f.texts))
	for i, m := range f.texts {
		out[i] = *m
	}
	return out
}

// Contacts implements fakes.Store.
func (f *Fake) Contacts() []fakes.Contact {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]fakes.Contact, len(f.people))
	for i, p := range f.people {
		out[i] = p.Contact
	}
	return out
}

// AddContact implements fakes.Store.
func (f *Fake) AddContact(c fakes.Contact) connectors.Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.add(c, "").Ref
}

// DeleteContact implements fakes.Store.
func (f *Fake) DeleteContact(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.people = slices.DeleteFunc(f.people, func(p *person) bool { return p.ID == id })
}

// EditMessage implements fakes.Store.
func (f *Fake) EditMessage(id, body, status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.texts {
		if m.ID == id {
			m.Body, m.Status = body, status
		}
	}
}

// DeleteMessage implements fakes.Meddler.
func (f *Fake) DeleteMessage(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = slices.DeleteFunc(f.texts, func(m *fakes.Message) bool { return m.ID == id })
}

// MoveMessage implements fakes.Meddler.
func (f *Fake) MoveMessage(id, contact string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.texts {
		if m.ID == id {
			m.Contact = contact
		}
	}
}

// CopyMessage implements fakes.Meddler: a ref is on one text only.
func (f *Fake) CopyMessage(string) string { return "" }

func (f *Fake) id() string {
	f.last++
	return fmt.Sprint(f.last)
}

func (f *Fake) add(c fakes.Contact, ref string) *person {
	c.Ref = connectors.Ref{Type: "contact", ID: f.id()}
	c.Updated = time.Now().UTC()
	p := &person{c, ref}
	f.people = append(f.people, p)
	return p
}

func (f *Fake) person(id string) *person {
	i := slices.IndexFunc(f.people, func(p *person) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return f.people[i]
}

func (f *Fake) text(ref string) *fakes.Message {
	i := slices.IndexFunc(f.texts, func(m *fakes.Message) bool { return m.Key == ref })
	if i < 0 {
		return nil
	}
	return f.texts[i]
}
