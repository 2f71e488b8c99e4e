package connectortest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

// The API of the test CRM. Batches answer 207 and a result for each item; a
// batch of one answers that item's status.
type (
	apiMessage struct {
		ID        string    `json:"id,omitempty"`  // class A
		Key       string    `json:"key,omitempty"` // classes B and C; with A only to be counted
		Contact   string    `json:"contact,omitempty"`
		Direction string    `json:"direction"`
		Subject   string    `json:"subject,omitempty"`
		Body      string    `json:"body"`
		At        time.Time `json:"at"`
		OwnerID   string    `json:"owner_id,omitempty"`
	}
	apiStatus struct {
		ID     string    `json:"id,omitempty"`
		Key    string    `json:"key,omitempty"`
		Status string    `json:"status"`
		Reason string    `json:"reason,omitempty"`
		At     time.Time `json:"at"`
	}
	apiConsent struct {
		Contact  string    `json:"contact"`
		OptedOut bool      `json:"opted_out"`
		At       time.Time `json:"at"`
	}
	apiFind struct {
		IDs  []string `json:"ids,omitempty"`
		Keys []string `json:"keys,omitempty"`
	}
	apiFound struct {
		Results [][]apiText `json:"results"`
	}
	apiText struct {
		ID          string `json:"id"`
		Contact     string `json:"contact,omitempty"`
		ContactType string `json:"contact_type,omitempty"`
	}
	apiResult struct {
		Status int    `json:"status"`
		ID     string `json:"id,omitempty"`
	}
	apiResults struct {
		Results []apiResult `json:"results"`
	}
	apiBatch[T any] struct {
		Items []T `json:"items"`
	}
	apiContact struct {
		Name    string `json:"name,omitempty"`
		Email   string `json:"email,omitempty"`
		OwnerID string `json:"owner_id,omitempty"`
		Phone   string `json:"phone"`

		Type   string            `json:"type,omitempty"`
		Fields map[string]string `json:"fields,omitempty"`
	}
	apiContacts struct {
		Contacts [][]Contact `json:"contacts"`
	}
	apiClass struct {
		Class connectors.Class `json:"class"`
	}
)

// effect does what a request asks for, under the lock.
type effect func() (status int, answer any)

func (c *CRM) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern, op string, writes bool, read func(*http.Request) (effect, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, op, writes, read) })
	}
	handle("GET /check", "check", false, func(*http.Request) (effect, error) {
		return func() (int, any) { return 200, apiClass{c.options.Class} }, nil
	})
	handle("POST /messages", "put", true, batch(c, c.put))
	handle("POST /messages/find", "find_messages", false, func(r *http.Request) (effect, error) {
		q, err := body[apiFind](r)
		return func() (int, any) { return 200, c.findMessages(q) }, err
	})
	handle("PATCH /messages/status", "status", true, batch(c, c.setStatus))
	handle("POST /contacts/search", "find_contacts", false, func(r *http.Request) (effect, error) {
		q, err := body[apiBatch[string]](r)
		return func() (int, any) { return 200, c.findContacts(q.Items) }, err
	})
	handle("POST /contacts", "create_contact", true, func(r *http.Request) (effect, error) {
		n, err := body[apiContact](r)
		return func() (int, any) { return c.createContact(n) }, err
	})
	handle("POST /messages/adopt", "adopt", true, batch(c, c.adopt))
	handle("POST /owners/search", "find_owners", false, func(r *http.Request) (effect, error) {
		q, err := body[apiBatch[string]](r)
		return func() (int, any) { return 200, c.findOwners(q.Items) }, err
	})
	handle("PATCH /contacts/consent", "consent", true, batch(c, c.setConsent))
	handle("GET /fields", "find_fields", false, func(*http.Request) (effect, error) {
		return func() (int, any) { return 200, apiFields{slices.Clone(c.fields)} }, nil
	})
	handle("POST /fields", "create_fields", true, func(r *http.Request) (effect, error) {
		in, err := body[apiFields](r)
		return func() (int, any) { return 200, c.createFields(in.Fields) }, err
	})
	return mux
}

// ServeHTTP implements http.Handler.
func (c *CRM) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

func (c *CRM) serve(w http.ResponseWriter, r *http.Request, op string, writes bool, read func(*http.Request) (effect, error)) {
	c.mu.Lock()
	c.requests[op]++
	retryAfter := c.faults.RetryAfter
	c.mu.Unlock()
	if !c.admit(w, r) {
		refuse(w, limited, retryAfter)
		return
	}
	do, err := read(r)
	if err != nil {
		http.Error(w, `{"error":"bad request"}`, http.StatusBadRequest)
		return
	}
	wait(r, c.latency())
	f, retryAfter := c.decide(r, writes)
	switch f {
	case down, unauthorized, limited, cut, page:
		refuse(w, f, retryAfter)
		return
	case late:
		c.later(do)
		panic(http.ErrAbortHandler)
	}
	c.mu.Lock()
	status, answer := do()
	c.mu.Unlock()
	if f == lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (c *CRM) later(do effect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late++
	time.AfterFunc(c.options.Settle, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.late--
		do()
	})
}

func body[T any](r *http.Request) (T, error) {
	var v T
	err := json.NewDecoder(r.Body).Decode(&v)
	return v, err
}

func batch[T any](c *CRM, do func(T) apiResult) func(*http.Request) (effect, error) {
	return func(r *http.Request) (effect, error) {
		b, err := body[apiBatch[T]](r)
		return func() (int, any) {
			if c.options.MaxBatch > 0 && len(b.Items) > c.options.MaxBatch {
				return http.StatusRequestEntityTooLarge, nil
			}
			var out apiResults
			for _, item := range b.Items {
				out.Results = append(out.Results, do(item))
			}
			if len(out.Results) == 1 {
				return out.Results[0].Status, out
			}
			return http.StatusMultiStatus, out
		}, err
	}
}

// put writes one text as the class demands.
func (c *CRM) put(m apiMessage) apiResult {
	key := m.Key
	if c.options.Class == connectors.ClassD {
		key = markedKey(m.Body)
	}
	if c.faults.poisoned(key) {
		return apiResult{Status: http.StatusUnprocessableEntity}
	}
	if !slices.Contains(c.fields, keyField) {
		return apiResult{Status: http.StatusBadRequest}
	}
	if m.Contact != "" && (c.people[m.Contact] == nil || c.people[m.Contact].deleted) {
		return apiResult{Status: http.StatusNotFound}
	}
	if there := c.existing(m); there != nil {
		if c.options.Class == connectors.ClassB {
			return apiResult{Status: http.StatusOK, ID: there.ID}
		}
		return apiResult{Status: http.StatusConflict, ID: there.ID}
	}
	id := c.messageID()
	if c.options.Class == connectors.ClassA {
		id = m.ID
	}
	c.keep(&stored{visible: time.Now().Add(c.options.MessageLag), Message: Message{
		ID: id, Key: key, Contact: m.Contact, Direction: m.Direction, Subject: m.Subject, Body: m.Body, At: m.At,
		OwnerID: m.OwnerID,
	}})
	return apiResult{Status: http.StatusCreated, ID: id}
}

func (c *CRM) existing(m apiMessage) *stored {
	switch c.options.Class {
	case connectors.ClassA:
		return c.byID[m.ID]
	case connectors.ClassB, connectors.ClassC:
		if there := c.byKey[m.Key]; len(there) > 0 {
			return there[0]
		}
	}
	return nil
}

// findMessages answers by id at once, by key only what a search sees already.
func (c *CRM) findMessages(q apiFind) apiFound {
	out := apiFound{Results: [][]apiText{}}
	add := func(found ...*stored) {
		texts := []apiText{}
		for _, m := range found {
			text := apiText{ID: m.ID, Contact: m.Contact}
			if p := c.people[m.Contact]; p != nil {
				text.ContactType = p.Type
			}
			texts = append(texts, text)
		}
		out.Results = append(out.Results, texts)
	}
	for _, id := range q.IDs {
		if m := c.byID[id]; m != nil {
			add(m)
		} else {
			add()
		}
	}
	for _, key := range q.Keys {
		hidden := func(m *stored) bool { return time.Now().Before(m.visible) }
		add(slices.DeleteFunc(slices.Clone(c.byKey[key]), hidden)...)
	}
	return out
}

func (c *CRM) setStatus(s apiStatus) apiResult {
	m := c.byID[s.ID]
	if m == nil && s.Key != "" && c.options.Class != connectors.ClassD && len(c.byKey[s.Key]) > 0 {
		m = c.byKey[s.Key][0]
	}
	if m == nil {
		return apiResult{Status: http.StatusNotFound}
	}
	m.Status, m.Reason = s.Status, s.Reason
	c.history = append(c.history, Change{Op: "status", Key: m.Key, Value: s.Status, Reason: s.Reason, At: s.At})
	return apiResult{Status: http.StatusOK, ID: m.ID}
}

func (c *CRM) setConsent(s apiConsent) apiResult {
	p := c.people[s.Contact]
	if p == nil || p.deleted {
		return apiResult{Status: http.StatusNotFound}
	}
	p.OptedOut, p.ConsentAt, p.Updated = s.OptedOut, s.At, time.Now().UTC()
	value := map[bool]string{true: "out", false: "in"}[s.OptedOut]
	c.history = append(c.history, Change{Op: "consent", Contact: p.ID, Value: value, At: s.At})
	return apiResult{Status: http.StatusOK, ID: p.ID}
}

func (c *CRM) createContact(n apiContact) (int, any) {
	if !slices.Contains([]string{"", "contact", leadType}, n.Type) {
		return http.StatusUnprocessableEntity, nil
	}
	return http.StatusCreated, c.addContact(Contact{
		Ref: connectors.Ref{Type: n.Type}, Name: n.Name, Email: n.Email, OwnerID: n.OwnerID, Phones: []string{n.Phone}, Fields: n.Fields,
	}, time.Now().Add(c.options.SearchLag)).Contact
}

// findContacts finds more than was asked for: whoever shares the last digits.
func (c *CRM) findContacts(phones []string) apiContacts {
	out := apiContacts{Contacts: make([][]Contact, len(phones))}
	for i, phone := range phones {
		for _, p := range c.byPhone[lastDigits(phone)] {
			if !p.deleted && !time.Now().Before(p.visible) {
				out.Contacts[i] = append(out.Contacts[i], p.Contact)
			}
		}
	}
	return out
}

// The marker that a text of class D carries in its body.
const markerStart, markerEnd = "\n[ref:", "]"

func marker(key string) string { return markerStart + key + markerEnd }

func markedKey(body string) string {
	i := strings.LastIndex(body, markerStart)
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(body[i+len(markerStart):], markerEnd)
}

// messageID is the second half of a key.
func messageID(key string) string {
	_, id, _ := strings.Cut(key, "/")
	return id
}
