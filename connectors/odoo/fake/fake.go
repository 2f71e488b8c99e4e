// Package fake is as much of Odoo as the connector uses, in memory: search_read,
// fields_get and load of five models, over JSON-RPC and JSON-2, with Odoo's own
// errors and its strictness: a field, model, method, argument or type that there
// is not is refused. A load is one transaction; two that create the same external
// id at the same time end as in PostgreSQL, where one of them is undone.
package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/connectors/fakes"
)

// Options is what kind of Odoo it is.
type Options struct {
	// Version is 16 to 19; 0 means 16.
	Version int
	// Protocol is what Config speaks: jsonrpc, or json2 from 19 on, where it is
	// the default.
	Protocol string
	// LookUp leaves the user's number out of Config.
	LookUp bool
	// NoPhoneValidation leaves out the module phone_validation.
	NoPhoneValidation bool
	// Employee takes the right to write the list of numbers that want no texts.
	Employee bool
	// LimitEvery refuses about one request in so many, as a host's proxy does; 0:
	// none.
	LimitEvery int
	// Latency is added to every request.
	Latency time.Duration
}

// The credentials.
const (
	database = "example"
	login    = "crmsync@example.com"
	apiKey   = "0d00-s3cret-k3y"
	uid      = 2
)

// Odoo is the server. It is safe for concurrent use.
type Odoo struct {
	options Options

	mu       sync.Mutex
	expired  bool
	asked    int
	requests map[string]int
	poisoned map[string]bool
	tables   map[string]*table
	xids     map[string]xid
	last     int // id
	seq      int // of the last transaction
}

var (
	_ fakes.Fake       = (*Odoo)(nil)
	_ fakes.Meddler    = (*Odoo)(nil)
	_ fakes.OwnerAdder = (*Odoo)(nil)
	_ fakes.FieldNamer = (*Odoo)(nil)
)

// New makes an Odoo with nobody in it but the user of Config.
func New(options Options) *Odoo {
	if options.Version == 0 {
		options.Version = 16
	}
	if options.Protocol == "" && options.Version >= 19 {
		options.Protocol = "json2"
	}
	o := &Odoo{options: options, requests: map[string]int{}, poisoned: map[string]bool{}, xids: map[string]xid{}, last: uid}
	o.tables = o.models()
	o.tables["res.users"].records[uid] = o.newUser(login)
	o.tables["res.users"].records[uid]["id"] = uid
	return o
}

// Requests answers how many there were of each model and method.
func (o *Odoo) Requests() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.requests)
}

// ExpireKey ends the API key, as Odoo does after at most three months.
func (o *Odoo) ExpireKey() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expired = true
}

// Config implements fakes.Fake.
func (o *Odoo) Config(base string) string {
	lines := []string{"type: odoo", "base_url: " + base, "database: " + database, "api_key: " + apiKey, "leads: true"}
	if o.options.Protocol == "json2" {
		lines = append(lines, "protocol: json2")
	} else {
		lines = append(lines, "login: "+login)
		if !o.options.LookUp {
			lines = append(lines, fmt.Sprintf("uid: %d", uid))
		}
	}
	if o.options.Version >= 19 {
		lines = append(lines, "phone_fields: [phone, "+o.secondPhone()+"]")
	}
	if o.options.NoPhoneValidation {
		lines = append(lines, "phone_validation: false")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Secrets implements fakes.Fake.
func (*Odoo) Secrets() []string { return []string{apiKey} }

// exception is one of Python's, with the status that JSON-2 gives it.
type exception struct {
	name, message string
	status        int
}

func raise(status int, name, format string, args ...any) *exception {
	return &exception{name, fmt.Sprintf(format, args...), status}
}

func accessDenied() *exception { return raise(403, "odoo.exceptions.AccessDenied", "Access Denied") }

func valueError(format string, args ...any) *exception {
	return raise(500, "builtins.ValueError", format, args...)
}

func (e *exception) fault() map[string]any {
	return map[string]any{"name": e.name, "message": e.message, "arguments": []string{e.message}, "context": map[string]any{}, "debug": "Traceback (most recent call last):\n"}
}

// ServeHTTP implements http.Handler.
func (o *Odoo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	seen := o.seq // what the transaction sees
	o.asked++
	limited := o.options.LimitEvery > 0 && o.asked%o.options.LimitEvery == 0
	o.mu.Unlock()
	if !wait(r, o.options.Latency) {
		return
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case limited:
		w.Header().Set("Retry-After", "1")
		page(w, http.StatusTooManyRequests, "Too Many Requests")
	case r.Method != http.MethodPost:
		page(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	case kind != "application/json":
		page(w, http.StatusUnsupportedMediaType, "Unsupported Media Type")
	case r.URL.Path == "/jsonrpc":
		o.serveRPC(w, r, seen)
	case o.options.Version >= 19 && strings.HasPrefix(r.URL.Path, "/json/2/"):
		o.serveJSON2(w, r, seen)
	default:
		page(w, http.StatusNotFound, "Not Found")
	}
}

func wait(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func page(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<title>%d %s</title>\n<h1>%s</h1>\n", status, title, title)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// serveRPC answers every error with the status 200.
func (o *Odoo) serveRPC(w http.ResponseWriter, r *http.Request, seen int) {
	var in struct {
		Version string `json:"jsonrpc"`
		ID      any    `json:"id"`
		Method  string `json:"method"`
		Params  struct {
			Service string            `json:"service"`
			Method  string            `json:"method"`
			Args    []json.RawMessage `json:"args"`
		} `json:"params"`
	}
	raw, _ := io.ReadAll(r.Body)
	if json.Unmarshal(raw, &in) != nil {
		page(w, http.StatusBadRequest, "Bad Request")
		return
	}
	out := map[string]any{"jsonrpc": "2.0", "id": in.ID}
	result, e := o.dispatch(in.Params.Service+"."+in.Params.Method, in.Params.Args, seen)
	switch {
	case e != nil:
		out["error"] = map[string]any{"code": 200, "message": "Odoo Server Error", "data": e.fault()}
	case result != nil: // Odoo leaves out None
		out["result"] = result
	}
	answer(w, http.StatusOK, out)
}

func (o *Odoo) dispatch(service string, args []json.RawMessage, seen int) (any, *exception) {
	var db, user, key, model, method string
	var id int
	var positional []json.RawMessage
	var named map[string]json.RawMessage
	switch {
	case service == "common.login" && decode(args, &db, &user, &key):
		return o.login(db, user, key)
	case service == "object.execute_kw" && decode(args, &db, &id, &key, &model, &method, &positional, &named):
		if e := o.authorize(db, id, key); e != nil {
			return nil, e
		}
		if len(positional) > 0 {
			return nil, raise(500, "builtins.TypeError", "%s takes named arguments here", method)
		}
		return o.call(model, method, named, seen)
	}
	return nil, raise(500, "builtins.TypeError", "%s() got other arguments than it takes", service)
}

func decode(args []json.RawMessage, into ...any) bool {
	if len(args) != len(into) {
		return false
	}
	for i, raw := range args {
		if json.Unmarshal(raw, into[i]) != nil {
			return false
		}
	}
	return true
}

func (o *Odoo) login(db, user, key string) (any, *exception) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests["common.login"]++
	switch {
	case db != database:
		return nil, noDatabase(db)
	case user != login || key != apiKey || o.expired:
		return false, nil
	}
	return uid, nil
}

func (o *Odoo) authorize(db string, id int, key string) *exception {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case db != database:
		return noDatabase(db)
	case id != uid:
		return raise(404, "odoo.exceptions.MissingError", "Record does not exist or has been deleted.\n(Record: res.users(%d,), User: %d)", id, id)
	case key != apiKey || o.expired:
		return accessDenied()
	}
	return nil
}

func noDatabase(db string) *exception {
	return raise(500, "psycopg2.OperationalError", "connection to server failed: FATAL:  database %q does not exist\n", db)
}

func (o *Odoo) serveJSON2(w http.ResponseWriter, r *http.Request, seen int) {
	result, e := o.json2(r, seen)
	if e != nil {
		answer(w, e.status, e.fault())
		return
	}
	answer(w, http.StatusOK, result)
}

func (o *Odoo) json2(r *http.Request, seen int) (any, *exception) {
	o.mu.Lock()
	expired := o.expired
	o.mu.Unlock()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/json/2/"), "/")
	var named map[string]json.RawMessage
	raw, _ := io.ReadAll(r.Body)
	switch {
	case r.Header.Get("X-Odoo-Database") != database:
		return nil, raise(404, "werkzeug.exceptions.NotFound", "The requested URL was not found on the server.")
	case len(path) != 2:
		return nil, raise(404, "werkzeug.exceptions.NotFound", "Did you mean POST /json/2/<model>/<method>?")
	case r.Header.Get("Authorization") != "Bearer "+apiKey || expired:
		return nil, raise(401, "werkzeug.exceptions.Unauthorized", "Invalid apikey")
	case json.Unmarshal(raw, &named) != nil:
		return nil, raise(400, "werkzeug.exceptions.BadRequest", "could not parse the body as json")
	}
	return o.call(path[0], path[1], named, seen)
}

// arguments are those that each method takes.
var arguments = map[string][]string{
	"search_read": {"domain", "fields", "offset", "limit", "order"},
	"fields_get":  {"allfields", "attributes"},
	"load":        {"fields", "data"},
}

// call runs a method as one transaction.
func (o *Odoo) call(model, method string, named map[string]json.RawMessage, seen int) (any, *exception) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests[model+"."+method]++
	t, there := o.tables[model]
	if !there {
		return nil, o.noModel(model)
	}
	known, there := arguments[method]
	if !there {
		return nil, o.noMethod(model, method)
	}
	for name := range named {
		if name != "context" && !slices.Contains(known, name) {
			return nil, raise(422, "builtins.TypeError", "got an unexpected keyword argument '%s'", name)
		}
	}
	if model == blacklist && o.options.Employee && method != "fields_get" {
		return nil, raise(403, "odoo.exceptions.AccessError", "You are not allowed to access 'Phone Blacklist' (phone.blacklist) records.")
	}
	ctx := context{}
	if raw := named["context"]; raw != nil && json.Unmarshal(raw, &ctx) != nil {
		return nil, raise(422, "builtins.TypeError", "the context is not of its form")
	}
	switch method {
	case "search_read":
		return o.searchRead(t, ctx, named)
	case "fields_get":
		return t.fieldsGet(named)
	}
	return o.load(t, ctx, named, seen)
}

func (o *Odoo) noModel(model string) *exception {
	if o.options.Protocol == "json2" {
		return raise(404, "werkzeug.exceptions.NotFound", "the model '%s' does not exist", model)
	}
	return raise(422, "odoo.exceptions.UserError", "Object %s doesn't exist", model)
}

func (o *Odoo) noMethod(model, method string) *exception {
	if o.options.Protocol == "json2" {
		return raise(404, "werkzeug.exceptions.NotFound", "The method '%s.%s' does not exist", model, method)
	}
	return raise(500, "builtins.AttributeError", "The method '%s' does not exist on the model '%s'", method, model)
}
