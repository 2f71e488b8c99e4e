package justcalltest

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/sms"
)

const (
	v2  = "v2"
	v21 = "v2.1"
)

// ServeHTTP answers the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.options.authorized(r) {
		refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if !s.limits.allow(w.Header()) {
		refuse(w, http.StatusTooManyRequests, "Too many requests")
		return
	}
	handler, name := s.route(r)
	if handler == nil {
		refuse(w, http.StatusNotFound, "There is no "+r.Method+" "+r.URL.Path)
		return
	}
	s.mu.Lock()
	s.calls[name]++
	s.mu.Unlock()
	handler(w, r)
}

func (o Options) authorized(r *http.Request) bool {
	credentials := o.Key + ":" + o.Secret
	want := map[string]string{
		"bearer": "Bearer " + credentials, "plain": credentials,
		"basic": "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)),
	}[o.Auth]
	return r.Header.Get("Authorization") == want
}

// route finds the call, and its name without ids.
func (s *Server) route(r *http.Request) (http.HandlerFunc, string) {
	base := map[string]string{v2: "api/v2", v21: "v2.1"}[s.options.API]
	path, ok := strings.CutPrefix(r.URL.Path, "/"+base+"/")
	if !ok {
		return nil, ""
	}
	routes := map[string]http.HandlerFunc{"GET texts/{id}": s.getText, "POST texts/new": s.newText}
	if s.options.API == v2 {
		routes["GET texts/list"] = s.listTexts
	} else {
		maps.Copy(routes, map[string]http.HandlerFunc{
			"GET texts": s.listTexts, "GET users": s.listUsers, "GET phone-numbers": s.listNumbers, "GET webhooks": s.listWebhooks,
			"GET contacts": s.listContacts, "GET contacts/blacklist": s.listSuppressed, "GET contacts/{id}": s.getContact,
			"POST contacts": s.newContact, "PUT contacts": s.putContact, "PUT contacts/status": s.putStatus,
		})
	}
	parent, _, _ := strings.Cut(path, "/")
	for _, pattern := range []string{path, parent + "/{id}"} {
		if handler := routes[r.Method+" "+pattern]; handler != nil {
			return handler, r.Method + " " + base + "/" + pattern
		}
	}
	return nil, ""
}

func (s *Server) listTexts(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	known := []string{"page", "per_page"}
	if s.options.API == v21 {
		known = append(known, "sort", "order", "from_datetime", "to_datetime", "contact_number", "justcall_number", "sms_direction")
	}
	if !allowed(w, q, known...) {
		return
	}
	s.mu.Lock()
	call, hook := s.calls["GET v2.1/texts"]+s.calls["GET api/v2/texts/list"], s.onList
	s.mu.Unlock()
	if hook != nil {
		hook(call)
	}
	texts, ok := s.find(q)
	if !ok {
		refuse(w, http.StatusBadRequest, "Invalid request parameters")
		return
	}
	rows := make([]object, len(texts))
	for i, t := range texts {
		rows[i] = s.options.row(t)
	}
	s.page(w, r, rows)
}

// find answers the texts that a query asks for, in its order: the newest first by
// default.
func (s *Server) find(q url.Values) ([]Text, bool) {
	from, ok1 := s.options.instant(q.Get("from_datetime"))
	to, ok2 := s.options.instant(q.Get("to_datetime"))
	if !ok1 || !ok2 {
		return nil, false
	}
	var found []Text
	for _, t := range s.Texts() {
		inWindow := !t.At.Before(from) && (to.IsZero() || !t.At.After(to))
		if inWindow && is(q.Get("contact_number"), t.Contact) && is(q.Get("justcall_number"), t.Line) {
			found = append(found, t)
		}
	}
	if q.Get("sort") == "datetime" {
		slices.SortStableFunc(found, func(a, b Text) int { return a.At.Compare(b.At) })
	}
	if q.Get("order") != "asc" {
		slices.Reverse(found)
	}
	return found, true
}

func is(filter string, p sms.Phone) bool {
	return filter == "" || strings.TrimPrefix(filter, "+") == digits(p)
}

// instant reads a parameter of the window, in the user's time zone.
func (o Options) instant(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, s, o.Zone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func (s *Server) getText(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	s.mu.Lock()
	i := s.index(id)
	var t Text
	if i >= 0 {
		t = s.texts[i]
	}
	s.mu.Unlock()
	if i < 0 {
		refuse(w, http.StatusNotFound, "SMS not found")
		return
	}
	answer(w, object{"status": "success", "data": s.options.row(t)})
}

// newText sends a text. Nothing in crmsync does.
func (s *Server) newText(w http.ResponseWriter, r *http.Request) {
	from, to := "from", "to"
	if s.options.API == v21 {
		from, to = "justcall_number", "contact_number"
	}
	fields, ok := body(w, r, from, to, "body", "media_url", "schedule_at", "restrict_once")
	if !ok {
		return
	}
	t := Text{Message: sms.Message{
		Direction: sms.Outbound, Line: sms.Phone(text(fields[from])), Contact: sms.Phone(text(fields[to])),
		Body: text(fields["body"]), Medium: "One-To-One via API", At: time.Now().UTC().Truncate(time.Second),
	}}
	s.mu.Lock()
	t.ID = strconv.Itoa(7_000_000 + len(s.sent))
	s.sent = append(s.sent, t)
	s.mu.Unlock()
	s.Post(t)
	answer(w, object{"status": "success", "data": object{"id": numeric(t.ID), "message_id": t.ID}})
}

// page answers one page of rows, in the form that the version is documented with.
func (s *Server) page(w http.ResponseWriter, r *http.Request, rows []object) {
	o, q := s.options, r.URL.Query()
	rows = append([]object{}, rows...) // never null
	first := map[string]int{v2: 1, v21: 0}[o.API]
	if o.OtherBase {
		first = 1 - first
	}
	number, size := first, 20
	for name, into := range map[string]*int{"page": &number, "per_page": &size} {
		if q.Has(name) {
			n, err := strconv.Atoi(q.Get(name))
			if err != nil || n < 0 {
				refuse(w, http.StatusBadRequest, name+" must be a number")
				return
			}
			*into = n
		}
	}
	number, size = max(number, first), min(max(size, 1), o.MaxPage)
	from := min((number-first)*size, len(rows))
	to := min(from+size, len(rows))
	list := object{"status": "success", "data": rows[from:to]}
	if o.API == v21 {
		list["count"], list["current_page"], list["per_page"] = to-from, number, size
		o.describe(list, r, len(rows), number, to)
	}
	answer(w, list)
}

// describe says how many rows there are and where the next page is.
func (o Options) describe(list object, r *http.Request, total, number, to int) {
	if o.NoTotals {
		delete(list, "current_page")
	} else {
		list["total_count"] = total
	}
	if o.NoLinks {
		return
	}
	next := ""
	if to < total {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(number+1))
		// As behind a proxy, the address is not the one that was called.
		next = "https://api.justcall.io" + r.URL.Path + "?" + q.Encode()
	}
	list["next_page_link"], list["prev_page_link"] = next, ""
}

// allowed refuses parameters that are not documented.
func allowed(w http.ResponseWriter, q url.Values, known ...string) bool {
	for name := range q {
		if !slices.Contains(known, name) {
			refuse(w, http.StatusBadRequest, "property "+name+" should not exist")
			return false
		}
	}
	return true
}

// body reads the fields of a request, and refuses those that are not known.
func body(w http.ResponseWriter, r *http.Request, known ...string) (fields object, ok bool) {
	if json.NewDecoder(r.Body).Decode(&fields) != nil {
		refuse(w, http.StatusBadRequest, "Bad request")
		return nil, false
	}
	for name := range fields {
		if !slices.Contains(known, name) {
			refuse(w, http.StatusBadRequest, "property "+name+" should not exist")
			return nil, false
		}
	}
	return fields, true
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(marshal(object{"status": "error", "message": message}))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(marshal(v))
}
