package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

const secret = "s3cret-of-the-crm"

// vendor is what the made-up CRMs have in common: a store, and how it is served.
type vendor struct {
	mu       sync.Mutex
	texts    []*connectortest.Message
	ids      map[string]*connectortest.Message // by what the URL names them
	people   []*person
	poisoned map[string]bool
	next     int
	copies   bool // nothing keeps a key to one text
}

type person struct {
	connectortest.Contact
	deleted bool
}

func newVendor(firstID int) *vendor {
	return &vendor{ids: map[string]*connectortest.Message{}, poisoned: map[string]bool{}, next: firstID}
}

func (v *vendor) id() string {
	v.next++
	return fmt.Sprint(v.next)
}

// Messages implements connectortest.Store.
func (v *vendor) Messages() []connectortest.Message {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]connectortest.Message, len(v.texts))
	for i, m := range v.texts {
		out[i] = *m
	}
	return out
}

// Contacts implements connectortest.Store.
func (v *vendor) Contacts() []connectortest.Contact {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []connectortest.Contact
	for _, p := range v.people {
		if !p.deleted {
			out = append(out, p.Contact)
		}
	}
	return out
}

// AddContact implements connectortest.Store.
func (v *vendor) AddContact(c connectortest.Contact) connectors.Ref {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.add(c).Ref
}

func (v *vendor) add(c connectortest.Contact) *person {
	c.Ref = connectors.Ref{Type: "contact", ID: v.id()}
	c.Updated = time.Date(2026, 11, 1, 0, 0, v.next%60, 0, time.UTC)
	p := &person{Contact: c}
	v.people = append(v.people, p)
	return p
}

// DeleteContact implements connectortest.Store.
func (v *vendor) DeleteContact(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.person(id).deleted = true
}

// EditMessage implements connectortest.Store.
func (v *vendor) EditMessage(id, body, status string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.texts {
		if m.ID == id {
			m.Body, m.Status = body, status
		}
	}
}

// DeleteMessage implements fakes.Meddler.
func (v *vendor) DeleteMessage(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.texts = slices.DeleteFunc(v.texts, func(m *connectortest.Message) bool { return m.ID == id })
	maps.DeleteFunc(v.ids, func(_ string, m *connectortest.Message) bool { return m.ID == id })
}

// MoveMessage implements fakes.Meddler.
func (v *vendor) MoveMessage(id, contact string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.texts {
		if m.ID == id {
			m.Contact = contact
		}
	}
}

// CopyMessage implements fakes.Meddler.
func (v *vendor) CopyMessage(id string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range v.texts {
		if m.ID == id && v.copies {
			return v.put("", *m).ID
		}
	}
	return ""
}

func (v *vendor) poison(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.poisoned[key] = true
}

// person answers nil for one that is not there.
func (v *vendor) person(id string) *person {
	for _, p := range v.people {
		if p.ID == id && !p.deleted {
			return p
		}
	}
	return nil
}

// missing reports whether a text names a contact that is not there.
func (v *vendor) missing(id string) bool { return id != "" && v.person(id) == nil }

func (v *vendor) put(name string, m connectortest.Message) *connectortest.Message {
	m.ID = v.id()
	v.texts = append(v.texts, &m)
	v.ids[name] = &m
	return &m
}

// ending answers the people with a number whose digits end like query's, as
// careless searches do.
func (v *vendor) ending(query string) []*person {
	var out []*person
	for _, p := range v.people {
		for _, number := range p.Phones {
			if digits := digitsOf(query); !p.deleted && digits != "" && strings.HasSuffix(digitsOf(number), digits) {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// digitsOf are those of a number without its extension.
func digitsOf(s string) string {
	s, _, _ = strings.Cut(s, " ext")
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// like is how careless databases compare.
func like(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

type object = map[string]any

// refusal is an answer that is no success.
type refusal struct {
	status int
	answer any
}

func (refusal) Error() string { return "refused" }

// handle serves one operation: the request's body in, the answer out.
func (v *vendor) handle(do func(r *http.Request, in object) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := object{}
		if r.ContentLength != 0 {
			decoder := json.NewDecoder(r.Body)
			decoder.UseNumber()
			if decoder.Decode(&in) != nil || r.Header.Get("Content-Type") != "application/json" {
				http.Error(w, `{"error":"bad request"}`, http.StatusBadRequest)
				return
			}
		}
		v.mu.Lock()
		status, answer, err := do(r, in)
		v.mu.Unlock()
		if refused, ok := errors.AsType[refusal](err); ok {
			status, answer = refused.status, refused.answer
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if answer != nil {
			_ = json.NewEncoder(w).Encode(answer)
		}
	}
}

// word reads a text or a number of a request, "" for null.
func word(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// demand lets in only who brings the right header.
func demand(name, value string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(name) != value {
			http.Error(w, `{"error":"who are you?"}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// start serves a CRM until the test ends.
func start(t testing.TB, h http.Handler) (url string) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// reads tells the requests that change nothing.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/search")
}
