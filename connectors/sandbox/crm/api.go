package crm

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"crmsync/sms"
)

// The API. Batches answer 207 and one Result for each item, in order.
type (
	// Batch is the body of a request with several items.
	Batch[T any] struct {
		Items []T `json:"items"`
	}
	// Result is the verdict on one item: an HTTP status and, where there is
	// one, the record's id.
	Result struct {
		Status int    `json:"status"`
		ID     string `json:"id,omitempty"`
		// Contact is that of a text that was found; empty: it is unlinked.
		Contact string `json:"contact,omitempty"`
		Error   string `json:"error,omitempty"`
	}
	// Results answers a Batch.
	Results struct {
		Results []Result `json:"results"`
	}
	// Found answers a search: the contacts of each number.
	Found struct {
		Contacts [][]Contact `json:"contacts"`
	}
)

// maxBody bounds a request, in bytes.
const maxBody = 32 << 20

// Handler serves the API and the page.
//
//	GET    /api/check                                   the CRM answers
//	GET    /api/contacts                                every contact
//	POST   /api/contacts         Contact                create; 200 where the key is there
//	POST   /api/contacts/search  Batch of numbers       Found
//	PATCH  /api/contacts/consent Batch of ConsentChange Results
//	PATCH  /api/contacts/{id}    {"name"}               rename
//	DELETE /api/contacts/{id}                           delete
//	POST   /api/contacts/{id}/merge {"into"}            merge into another
//	GET    /api/messages                                every text
//	PUT    /api/messages         Batch of Message       Results: 201, 200 where the key is there, 404, 422
//	POST   /api/messages/find    Batch of keys          Results
//	PATCH  /api/messages/status  Batch of StatusChange  Results
//	PATCH  /api/messages/{id}    {"body","status"}      edit, as a person
//	DELETE /api/messages/{id}                           delete, as a person
func (c *CRM) Handler() http.Handler {
	mux := http.NewServeMux()
	c.apiRoutes(mux)
	c.pageRoutes(mux)
	// Pages of other origins must not be able to delete contacts here.
	return http.NewCrossOriginProtection().Handler(c.guard(mux))
}

func (c *CRM) apiRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/check", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]string{"name": "sandbox CRM"}, nil)
	})
	mux.HandleFunc("GET /api/contacts", func(w http.ResponseWriter, r *http.Request) {
		contacts, err := c.Contacts(r.FormValue("q"))
		reply(w, 200, contacts, err)
	})
	mux.HandleFunc("GET /api/messages", func(w http.ResponseWriter, _ *http.Request) {
		messages, err := c.Messages()
		reply(w, 200, messages, err)
	})
	mux.HandleFunc("POST /api/contacts", take(func(_ *http.Request, n Contact) (int, any, error) {
		contact, created, err := c.CreateContact(n)
		return map[bool]int{true: 201, false: 200}[created], contact, err
	}))
	mux.HandleFunc("POST /api/contacts/search", take(func(_ *http.Request, b Batch[sms.Phone]) (int, any, error) {
		found, err := c.FindContacts(b.Items)
		return 200, Found{found}, err
	}))
	mux.HandleFunc("PATCH /api/contacts/consent", take(func(_ *http.Request, b Batch[ConsentChange]) (int, any, error) {
		items, err := c.SetConsent(b.Items)
		return 207, verdicts(items), err
	}))
	mux.HandleFunc("PUT /api/messages", take(func(_ *http.Request, b Batch[Message]) (int, any, error) {
		items, err := c.PutMessages(b.Items)
		return 207, putResults(items), err
	}))
	mux.HandleFunc("POST /api/messages/find", take(func(_ *http.Request, b Batch[string]) (int, any, error) {
		texts, err := c.FindMessages(b.Items)
		return 207, findResults(texts), err
	}))
	mux.HandleFunc("PATCH /api/messages/status", take(func(_ *http.Request, b Batch[StatusChange]) (int, any, error) {
		items, err := c.UpdateStatus(b.Items)
		return 207, verdicts(items), err
	}))
	c.personRoutes(mux)
}

// personRoutes are what people do in a CRM.
func (c *CRM) personRoutes(mux *http.ServeMux) {
	type empty struct{}
	mux.HandleFunc("PATCH /api/contacts/{id}", take(func(r *http.Request, b struct{ Name string }) (int, any, error) {
		return 200, empty{}, c.Rename(r.PathValue("id"), b.Name)
	}))
	mux.HandleFunc("DELETE /api/contacts/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, empty{}, c.Delete(r.PathValue("id")))
	})
	mux.HandleFunc("POST /api/contacts/{id}/merge", take(func(r *http.Request, b struct{ Into string }) (int, any, error) {
		return 200, empty{}, c.Merge(r.PathValue("id"), b.Into)
	}))
	mux.HandleFunc("PATCH /api/messages/{id}", take(func(r *http.Request, b struct {
		Body   string
		Status sms.Status
	},
	) (int, any, error) {
		return 200, empty{}, c.EditMessage(r.PathValue("id"), b.Body, b.Status)
	}))
	mux.HandleFunc("DELETE /api/messages/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, empty{}, c.DeleteMessage(r.PathValue("id")))
	})
}

// guard lets in who knows the token, as bearer or as password.
func (c *CRM) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			_, given, _ = r.BasicAuth()
		}
		if c.token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(c.token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="sandbox CRM"`)
			reply(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized"}, nil)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// take decodes the body before it does something.
func take[T any](do func(*http.Request, T) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in)
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			reply(w, http.StatusRequestEntityTooLarge, map[string]string{"error": tooLarge.Error()}, nil)
			return
		}
		if err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "the body is not the expected JSON"}, nil)
			return
		}
		status, answer, err := do(r, in)
		reply(w, status, answer, err)
	}
}

func reply(w http.ResponseWriter, status int, answer any, err error) {
	if err != nil {
		status, answer = statusOf(err), map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a client that went away
}

func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, ErrNoContact), errors.Is(err, ErrNoMessage):
		return http.StatusNotFound
	case errors.Is(err, ErrNoKey):
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

func verdicts(items []error) Results {
	out := Results{Results: make([]Result, len(items))}
	for i, err := range items {
		out.Results[i].Status = statusOf(err)
		if err != nil {
			out.Results[i].Error = err.Error()
		}
	}
	return out
}

func putResults(items []Put) Results {
	out := Results{Results: make([]Result, len(items))}
	for i, p := range items {
		out.Results[i] = Result{Status: statusOf(p.Err), ID: p.ID}
		if p.Created {
			out.Results[i].Status = http.StatusCreated
		}
	}
	return out
}

func findResults(texts []Message) Results {
	out := Results{Results: make([]Result, len(texts))}
	for i, m := range texts {
		out.Results[i] = Result{Status: http.StatusOK, ID: m.ID, Contact: m.Contact}
		if m.ID == "" {
			out.Results[i].Status = http.StatusNotFound
		}
	}
	return out
}
