// Package fake is a small Salesforce organisation in memory: those parts of the
// REST and Tooling API that the connector uses, with the vendor's status codes,
// error bodies, headers, per-item results, pages, field types, unique fields,
// references, field permissions and searches. What is not part of it is refused.
//
// Sources are the vendor's guides that the connector names. Where they are
// silent the fake is the stricter one: the search knows a number by its digits
// as a whole only, and text with control characters is no JSON.
package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"crmsync/connectors/fakes"
)

// Options are how an organisation differs from a healthy, empty one that is set
// up for the connector.
type Options struct {
	// Latency is added to every request.
	Latency time.Duration
	// SearchLag is how late a search sees what was written.
	SearchLag time.Duration
	// DailyRequests is the limit on requests; 0 is 100,000.
	DailyRequests int
	// PageSize is how many records one page of a query holds; 0 is 2,000.
	PageSize int
	// Nameless keeps field and id out of the refusal of a double, as after a race.
	Nameless bool
	// NotUnique says that fields of Activity cannot be unique.
	NotUnique bool
	// TriggerLimit is how many Tasks in one request the customer's trigger bears;
	// 0 is any number.
	TriggerLimit int
	// BlockDuplicates is a duplicate rule: no second person with a number or an
	// e-mail address.
	BlockDuplicates bool
}

// Org is the organisation. It is safe for concurrent use.
type Org struct {
	options Options

	mu       sync.Mutex
	token    string
	tokens   int
	used     int
	requests map[string]int
	objects  map[string]*object
	poisoned map[string]bool
	cursors  map[string][]any
	serial   int
}

var (
	_ fakes.Fake         = (*Org)(nil)
	_ fakes.MessageAdder = (*Org)(nil)
	_ fakes.Meddler      = (*Org)(nil)
	_ fakes.OwnerAdder   = (*Org)(nil)
	_ fakes.FieldRemover = (*Org)(nil)
	_ fakes.FieldNamer   = (*Org)(nil)
)

// New makes an organisation with one user, whose access token is in Config.
func New(o Options) *Org {
	if o.DailyRequests == 0 {
		o.DailyRequests = 100_000
	}
	if o.PageSize == 0 {
		o.PageSize = 2_000
	}
	org := &Org{
		options: o, requests: map[string]int{}, poisoned: map[string]bool{},
		cursors: map[string][]any{}, objects: schema(),
	}
	org.renew()
	org.insert(org.objects["User"], map[string]any{
		"Name": "Integration User", "Email": "integration@example.com", "IsActive": true, "UserType": "Standard",
	})
	org.setUp()
	return org
}

// renew makes the present access token invalid, and a new one. The caller holds
// the lock, where there is one yet.
func (o *Org) renew() {
	o.tokens++
	o.token = fmt.Sprintf("00D5f000000fake!token%d", o.tokens)
}

// Expire ends the session. The next access token is answered.
func (o *Org) Expire() (token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.renew()
	return o.token
}

// Requests answers how many requests each endpoint had.
func (o *Org) Requests() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.requests)
}

// Poison implements fakes.Fake: a validation rule refuses the Task with that key.
func (o *Org) Poison(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.poisoned[key] = true
}

// Config implements fakes.Fake.
func (o *Org) Config(base string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return "type: salesforce\ninstance_url: " + base + "\ntoken: " + o.token + "\n"
}

// Secrets implements fakes.Fake.
func (o *Org) Secrets() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return []string{o.token}
}

// answer is what a request gets.
type answer struct {
	status int
	body   any
}

// problem is Salesforce's form of an error of a whole request.
type problem struct {
	Message   string   `json:"message"`
	ErrorCode string   `json:"errorCode"`
	Fields    []string `json:"fields,omitempty"`
}

func refuse(status int, code, message string, fields ...string) answer {
	return answer{status, []problem{{message, code, fields}}}
}

// call is one request, or one part of a composite request.
type call struct {
	version string
	path    string // below the version
	r       *http.Request
	query   func(string) string
	body    []byte
}

type endpoint struct {
	method  string
	path    *regexp.Regexp
	handle  func(*Org, call, []string) answer
	partial bool // may be a part of a composite request
}

func at(method, path string, handle func(*Org, call, []string) answer, partial bool) endpoint {
	return endpoint{method, regexp.MustCompile("^" + path + "/?$"), handle, partial}
}

// endpoints answers what the organisation serves.
func endpoints() []endpoint {
	return []endpoint{
		at("GET", ``, (*Org).resources, false),
		at("POST", `composite`, (*Org).composite, false),
		at("POST", `composite/sobjects`, (*Org).createMany, false),
		at("PATCH", `composite/sobjects`, (*Org).updateMany, false),
		at("GET", `sobjects/(\w+)/describe`, (*Org).describe, true),
		at("POST", `sobjects/(Contact|Lead|PermissionSet|PermissionSetAssignment|FieldPermissions)`, (*Org).createOne, false),
		at("GET", `(query|queryAll)`, (*Org).soql, true),
		at("GET", `(query|queryAll)/(01g\w+-\d+)`, (*Org).more, false),
		at("GET", `search`, (*Org).sosl, false),
		at("GET", `tooling/(query)`, (*Org).soql, false),
		at("POST", `tooling/sobjects/CustomField`, (*Org).createField, false),
	}
}

// whole is an address of the API.
var whole = regexp.MustCompile(`^/services/data/(v\d{2,3}\.0)/(.*)$`)

// ServeHTTP implements http.Handler.
func (o *Org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wait(r, o.options.Latency)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a, info := o.serve(r, body)
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Sforce-Limit-Info", info)
	w.WriteHeader(a.status)
	if a.body != nil {
		_ = json.NewEncoder(w).Encode(a.body)
	}
}

func (o *Org) serve(r *http.Request, body []byte) (a answer, usage string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a = o.answer(r, body)
	return a, fmt.Sprintf("api-usage=%d/%d", o.used, o.options.DailyRequests)
}

func (o *Org) answer(r *http.Request, body []byte) answer {
	m := whole.FindStringSubmatch(r.URL.Path)
	switch {
	case m == nil:
		return refuse(404, "NOT_FOUND", "The requested resource does not exist")
	case r.Header.Get("Authorization") != "Bearer "+o.token:
		return refuse(401, "INVALID_SESSION_ID", "Session expired or invalid")
	case o.used >= o.options.DailyRequests:
		return refuse(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
	}
	o.used++
	if len(r.URL.RequestURI()) > 16_384 {
		return refuse(414, "URI_TOO_LONG", "The length of the URI exceeds the 16,384 byte limit")
	}
	if len(body) > 0 && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return refuse(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type header specified in HTTP request is not supported")
	}
	o.requests[r.Method+" "+regexp.MustCompile(`01g.*`).ReplaceAllString(m[2], "next")]++
	return o.route(call{m[1], m[2], r, r.URL.Query().Get, body}, r.Method, false)
}

func (o *Org) route(c call, method string, part bool) answer {
	known := false
	for _, e := range endpoints() {
		m := e.path.FindStringSubmatch(c.path)
		if m == nil || part && !e.partial {
			continue
		}
		if known = true; e.method == method {
			return e.handle(o, c, m[1:])
		}
	}
	if known {
		return refuse(405, "METHOD_NOT_ALLOWED", "HTTP Method '"+method+"' not allowed.")
	}
	return refuse(404, "NOT_FOUND", "The requested resource does not exist")
}

// resources tells who the credentials belong to, among other things.
func (o *Org) resources(c call, _ []string) answer {
	root := "/services/data/" + c.version + "/"
	return answer{200, map[string]string{
		"tooling": root + "tooling", "query": root + "query", "search": root + "search", "composite": root + "composite",
		"identity": "https://login.salesforce.com/id/00D5f000000fakeEAA/" + o.objects["User"].rows[0].id,
	}}
}

// wait ends early with the request.
func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
