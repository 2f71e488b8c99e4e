package fake

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failure is a refusal in the vendor's words.
type failure struct {
	status int
	text   string
	code   string
}

func (e failure) Error() string { return e.text }

func badRequest(text string) error { return failure{http.StatusBadRequest, text, "ERR_BAD_REQUEST"} }
func notFound(text string) error   { return failure{http.StatusNotFound, text, "ERR_NOT_FOUND"} }

// page is a part of a list.
type page struct {
	data any
	next string
}

// handler does what a request asks for, under the lock.
type handler func(r *http.Request) (any, error)

func (f *Fake) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, cost int, params string, h handler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.serve(w, r, pattern, cost, strings.Fields(params), h)
		})
	}
	handle("GET /api/v2/activities", 10, "ids person_id owner_id done updated_since updated_until sort_by sort_direction limit cursor", f.listActivities)
	handle("POST /api/v2/activities", 5, "", f.postActivity)
	handle("GET /api/v2/activities/{id}", 1, "", f.getActivity)
	handle("PATCH /api/v2/activities/{id}", 5, "", f.patchActivity)
	handle("GET /api/v2/persons", 10, "ids owner_id updated_since sort_by sort_direction limit cursor", f.listPersons)
	handle("GET /api/v2/persons/search", 20, "term fields exact_match limit cursor", f.searchPersons)
	handle("POST /api/v2/persons", 5, "", f.postPerson)
	handle("GET /api/v2/persons/{id}", 1, "custom_fields", f.getPerson)
	handle("PATCH /api/v2/persons/{id}", 5, "", f.patchPerson)
	handle("GET /api/v2/personFields", 10, "include_fields limit cursor", f.listFields)
	handle("GET /api/v2/personFields/{id}", 1, "", f.getField)
	handle("POST /api/v2/personFields", 5, "", f.postField)
	handle("GET /v1/activityTypes", 20, "", func(*http.Request) (any, error) { return f.types, nil })
	handle("POST /v1/activityTypes", 10, "", f.postType)
	handle("GET /v1/users", 20, "", func(*http.Request) (any, error) { return f.users, nil })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, notFound("Unknown method .")) })
	return mux
}

// ServeHTTP implements http.Handler.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

func (f *Fake) serve(w http.ResponseWriter, r *http.Request, pattern string, cost int, params []string, h handler) {
	f.wait(r)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		refuse(w, badRequest("The body cannot be read"))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[pattern]++
	if !f.authorised(r) {
		refuse(w, failure{http.StatusUnauthorized, "unauthorized access", ""})
		return
	}
	if !f.admit(w, strings.HasSuffix(pattern, "/search"), cost) {
		return
	}
	data, err := answerTo(r, params, h)
	if err != nil {
		refuse(w, err)
		return
	}
	out := map[string]any{"success": true, "data": data}
	if p, ok := data.(page); ok {
		out["data"], out["additional_data"] = p.data, map[string]any{"next_cursor": nullable(p.next)}
	}
	send(w, http.StatusOK, out)
}

func (f *Fake) wait(r *http.Request) {
	if f.options.Latency <= 0 {
		return
	}
	timer := time.NewTimer(f.options.Latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

func (f *Fake) authorised(r *http.Request) bool {
	token := r.Header.Get("X-Api-Token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if f.options.Accept != nil {
		return f.options.Accept(token)
	}
	return token == f.options.Token
}

func answerTo(r *http.Request, params []string, h handler) (any, error) {
	for name := range r.URL.Query() {
		if !slices.Contains(params, name) {
			return nil, badRequest("Parameter '" + name + "' is not allowed")
		}
	}
	return h(r)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[failure](err)
	if !ok {
		e = failure{http.StatusBadRequest, err.Error(), "ERR_BAD_REQUEST"}
	}
	body := map[string]any{
		"success": false, "error": e.text, "errorCode": e.status, "error_info": "Please check developers.pipedrive.com",
		"data": nil, "additional_data": nil,
	}
	if e.code != "" {
		body["code"] = e.code
	}
	send(w, e.status, body)
}

// decode reads a body over what into holds. Unknown fields and wrong types are
// refused.
func decode(r *http.Request, into any) error {
	if r.Header.Get("Content-Type") != "application/json" {
		return badRequest("Content-Type must be application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("Validation failed: " + err.Error())
	}
	return nil
}

// paged answers the page of a list that a request asks for.
func paged[T any](r *http.Request, all []T) (page, error) {
	q := r.URL.Query()
	limit, offset := 100, 0
	if raw := q.Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || n > 500 {
			return page{}, badRequest("limit must be from 1 to 500")
		}
		limit = n
	}
	if raw := q.Get("cursor"); raw != "" {
		plain, _ := base64.StdEncoding.DecodeString(raw)
		n, err := strconv.Atoi(string(plain))
		if err != nil || n < 0 || n > len(all) {
			return page{}, badRequest("cursor is not valid")
		}
		offset = n
	}
	end := min(offset+limit, len(all))
	p := page{data: append([]T{}, all[offset:end]...)}
	if end < len(all) {
		p.next = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return p, nil
}

func (f *Fake) listActivities(r *http.Request) (any, error) {
	q := r.URL.Query()
	since, err := instant(q, "updated_since")
	if err != nil {
		return nil, err
	}
	var found []*activity
	for _, a := range f.activities {
		of := q.Get("person_id")
		if !a.UpdateTime.Before(since) && (of == "" || a.PersonID != nil && strconv.Itoa(*a.PersonID) == of) && listed(q, a.ID) {
			found = append(found, a)
		}
	}
	if q.Get("sort_direction") == "desc" {
		slices.Reverse(found)
	}
	return paged(r, found)
}

func instant(q url.Values, name string) (time.Time, error) {
	if q.Get(name) == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, q.Get(name))
	if err != nil {
		return at, badRequest(name + " must be in RFC3339 format")
	}
	return at, nil
}

func listed(q url.Values, id int) bool {
	return q.Get("ids") == "" || slices.Contains(strings.Split(q.Get("ids"), ","), strconv.Itoa(id))
}

func (f *Fake) postActivity(r *http.Request) (any, error) {
	a := &activity{activityBody: activityBody{OwnerID: 1, Type: "call"}}
	if err := f.readActivity(r, a); err != nil {
		return nil, err
	}
	return f.file(a), nil
}

// readActivity reads a body into a.
func (f *Fake) readActivity(r *http.Request, a *activity) error {
	a.PersonID = nil
	if err := decode(r, &a.activityBody); err != nil {
		return err
	}
	if a.PersonID != nil {
		return badRequest("'person_id' is a read-only field. Add a primary participant to set 'person_id' instead.")
	}
	if why := f.validate(a.activityBody); why != "" {
		return badRequest(why)
	}
	return nil
}

func (f *Fake) getActivity(r *http.Request) (any, error) {
	if a := f.activity(r.PathValue("id")); a != nil && f.answers(a.IsDeleted) {
		return a, nil
	}
	return nil, notFound("Activity not found")
}

// answers reports whether requests for one record see it.
func (f *Fake) answers(deleted bool) bool { return !deleted || f.options.SoftDeletes }

func (f *Fake) patchActivity(r *http.Request) (any, error) {
	a := f.activity(r.PathValue("id"))
	if a == nil || !f.answers(a.IsDeleted) {
		return nil, notFound("Activity not found")
	}
	changed := *a
	if err := f.readActivity(r, &changed); err != nil {
		return nil, err
	}
	changed.UpdateTime = now()
	changed.link()
	*a = changed
	return a, nil
}

func (f *Fake) listPersons(r *http.Request) (any, error) {
	var found []*person
	for _, p := range f.persons {
		if f.answers(p.IsDeleted) && listed(r.URL.Query(), p.ID) {
			found = append(found, p)
		}
	}
	return paged(r, found)
}

func (f *Fake) getPerson(r *http.Request) (any, error) {
	if p := f.person(r.PathValue("id")); p != nil && f.answers(p.IsDeleted) {
		return p, nil
	}
	return nil, notFound("Person not found")
}

func (f *Fake) postPerson(r *http.Request) (any, error) {
	p := &person{personBody: personBody{OwnerID: 1, Phones: []phone{}, Emails: []phone{}}}
	if err := decode(r, &p.personBody); err != nil {
		return nil, err
	}
	if why := f.validatePerson(p.personBody); why != "" {
		return nil, badRequest(why)
	}
	return f.keep(p), nil
}

func (f *Fake) patchPerson(r *http.Request) (any, error) {
	p := f.person(r.PathValue("id"))
	if p == nil || !f.answers(p.IsDeleted) {
		return nil, notFound("Person not found")
	}
	changed := p.personBody
	changed.CustomFields = map[string]json.RawMessage{}
	if err := decode(r, &changed); err != nil {
		return nil, err
	}
	if why := f.validatePerson(changed); why != "" {
		return nil, badRequest(why)
	}
	for key, value := range p.CustomFields { // those that were not named stay
		if _, named := changed.CustomFields[key]; !named {
			changed.CustomFields[key] = value
		}
	}
	p.personBody, p.UpdateTime = changed, now()
	return p, nil
}

func (f *Fake) listFields(r *http.Request) (any, error) { return paged(r, f.fields) }

func (f *Fake) getField(r *http.Request) (any, error) {
	i := slices.IndexFunc(f.fields, func(d field) bool { return d.Code == r.PathValue("id") })
	if i < 0 {
		return nil, notFound("Field not found")
	}
	return f.fields[i], nil
}

func (f *Fake) postField(r *http.Request) (any, error) {
	var body fieldBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Name == "" || !slices.Contains([]string{"varchar", "text", "double", "date"}, body.Type) {
		return nil, badRequest("field_name and a field_type must be given")
	}
	return f.addField(body.Name, body.Type), nil
}

func (f *Fake) postType(r *http.Request) (any, error) {
	var body typeBody
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if body.Name == "" || !slices.Contains([]string{"task", "email", "call", "bubble", "smartphone"}, body.Icon) {
		return nil, badRequest("name and a known icon_key must be given")
	}
	return f.addType(body.Name, body.Icon), nil
}
