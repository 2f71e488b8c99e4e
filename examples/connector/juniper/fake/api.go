package fake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors/fakes"
)

type object = map[string]any

// The schemas of the API. They are not the connector's, so that a slip there
// shows here.
type (
	apiPerson struct {
		ID      string    `json:"id"`
		Ref     string    `json:"ref"`
		Name    string    `json:"name"`
		Email   string    `json:"email"`
		Owner   string    `json:"owner"`
		Phones  []string  `json:"phones"`
		Updated time.Time `json:"updated"`
	}
	apiText struct {
		Ref      string    `json:"ref"`
		Person   string    `json:"person"`
		Outgoing bool      `json:"outgoing"`
		Title    string    `json:"title"`
		Body     string    `json:"body"`
		Owner    string    `json:"owner"`
		SentAt   time.Time `json:"sent_at"`
	}
	apiState struct {
		Ref   string `json:"ref"`
		State string `json:"state"`
		Note  string `json:"note"`
	}
	apiConsent struct {
		Person  string    `json:"person"`
		NoTexts bool      `json:"no_texts"`
		Since   time.Time `json:"since"`
	}
	apiSearch struct {
		Refs   []string `json:"refs"`
		Phones []string `json:"phones"`
	}
	apiItems[T any] struct {
		Items []T `json:"items"`
	}
)

// take reads a request strictly, and does something under the lock.
func take[T any](f *Fake, do func(T) (status int, answer any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil && r.Method != http.MethodGet {
			reply(w, http.StatusBadRequest, object{"error": "the body is not what it should be"})
			return
		}
		f.mu.Lock()
		status, answer := do(in)
		f.mu.Unlock()
		reply(w, status, answer)
	}
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// maxItems is the largest batch.
const maxItems = 50

// each answers an id and a code for each item of a batch.
func each[T any](do func(T) (id, code string)) func(apiItems[T]) (int, any) {
	return func(batch apiItems[T]) (int, any) {
		if len(batch.Items) > maxItems {
			return http.StatusRequestEntityTooLarge, object{"error": "too many items"}
		}
		results := make([]object, len(batch.Items))
		for i, item := range batch.Items {
			id, code := do(item)
			results[i] = object{"id": id, "code": code}
		}
		return http.StatusOK, object{"items": results}
	}
}

func (f *Fake) put(t apiText) (id, code string) {
	there := f.text(t.Ref)
	switch {
	case t.Ref == "" || f.poisoned[t.Ref]:
		return "", "refused"
	case there != nil:
		return there.ID, "exists"
	case t.Person != "" && f.person(t.Person) == nil:
		return "", "no_person"
	}
	m := &fakes.Message{
		ID: f.id(), Key: t.Ref, Contact: t.Person, Subject: t.Title, Body: t.Body, OwnerID: t.Owner, At: t.SentAt,
		Direction: map[bool]string{true: "outbound", false: "inbound"}[t.Outgoing],
	}
	f.texts = append(f.texts, m)
	return m.ID, "created"
}

func (f *Fake) setState(s apiState) (id, code string) {
	m := f.text(s.Ref)
	if m == nil {
		return "", "no_text"
	}
	m.Status, m.Reason = s.State, s.Note
	return m.ID, "changed"
}

func (f *Fake) setConsent(c apiConsent) (id, code string) {
	p := f.person(c.Person)
	if p == nil {
		return "", "no_person"
	}
	p.OptedOut, p.ConsentAt = c.NoTexts, c.Since
	return p.ID, "changed"
}

func (f *Fake) searchTexts(s apiSearch) (int, any) {
	found := []object{}
	for _, m := range f.texts {
		if slices.Contains(s.Refs, m.Key) {
			found = append(found, object{"id": m.ID, "ref": m.Key, "person": m.Contact})
		}
	}
	return http.StatusOK, object{"items": found}
}

// searchPeople compares digits, and knows of extensions.
func (f *Fake) searchPeople(s apiSearch) (int, any) {
	wanted := map[string]bool{}
	for _, number := range s.Phones {
		wanted[digits(number)] = true
	}
	found := []apiPerson{}
	for _, p := range f.people {
		if slices.ContainsFunc(p.Phones, func(number string) bool { return wanted[digits(number)] }) {
			found = append(found, p.api())
		}
	}
	return http.StatusOK, apiItems[apiPerson]{found}
}

func (f *Fake) createPerson(in apiPerson) (int, any) {
	if i := slices.IndexFunc(f.people, func(p *person) bool { return p.ref == in.Ref }); in.Ref != "" && i >= 0 {
		return http.StatusOK, f.people[i].api()
	}
	return http.StatusCreated, f.add(fakes.Contact{Name: in.Name, Email: in.Email, OwnerID: in.Owner, Phones: in.Phones}, in.Ref).api()
}

func (p *person) api() apiPerson {
	return apiPerson{ID: p.ID, Ref: p.ref, Name: p.Name, Email: p.Email, Owner: p.OwnerID, Phones: p.Phones, Updated: p.Updated}
}

func digits(number string) string {
	number, _, _ = strings.Cut(number, " ext")
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}
