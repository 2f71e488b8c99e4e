package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/connectors/templates"
)

// verb is what all operations of one name have in common.
type verb struct {
	name     string // in the configuration
	op       string // in errors
	method   string // where none is given
	reads    bool
	results  []string // keys that result may have
	required []string // keys that result must have
	words    []string // what an answer may mean beside ok and the kinds
	samples  []any    // the first one is the fullest
}

var refKeys = []string{"id", "type", "parent", "url"}

var (
	checking  = verb{name: "check", op: "check", method: http.MethodGet, reads: true, samples: []any{nothing{}}}
	searching = verb{
		name: "find_contacts", op: "find contacts", method: http.MethodGet, reads: true,
		results: append([]string{"items", "phones", "name", "owner", "updated", "opted_out"}, refKeys...), required: []string{"id", "phones"},
		words: []string{isNone}, samples: []any{search{Phone: "+15125550143", Number: "+15125550143"}},
	}
	creating = verb{
		name: "create_contact", op: "create contact", method: http.MethodPost,
		results: refKeys, required: []string{"id"}, words: []string{existed}, samples: []any{
			newContactOf(connectors.NewContact{
				Key: "5f3a", Phone: "+15125550143", Name: "Ann Lee", Email: "ann@example.com", OwnerID: "42", Type: "lead",
				Fields: map[string]string{"source": "SMS"},
			}),
			newContactOf(connectors.NewContact{Key: "5f3a", Phone: "+15125550143"}),
		},
	}
	putting = verb{
		name: "put_message", op: "put messages", method: http.MethodPost,
		results: refKeys, required: []string{"id"}, words: []string{existed}, samples: []any{fullText(), leastText()},
	}
	puttingBatch = verb{
		name: "put_message", op: "put messages", method: http.MethodPost,
		results: append([]string{"items", "status"}, refKeys...), required: []string{"items", "id"}, words: []string{existed},
		samples: []any{batch{[]text{fullText(), leastText()}}, batch{[]text{leastText()}}},
	}
	updating = verb{
		name: "update_status", op: "update status", method: http.MethodPatch,
		samples: []any{fullStatus("failed"), fullStatus("delivered"), fullStatus("sent"), leastStatus()},
	}
	reading = verb{
		name: "find_message", op: "find messages", method: http.MethodGet, reads: true,
		results: append([]string{"items", "match", "contact"}, refKeys...), required: []string{"id", "match"},
		words: []string{isNone}, samples: []any{fullText(), leastText()},
	}
	consenting = verb{
		name: "set_consent", op: "set consent", method: http.MethodPatch, samples: []any{
			consent{Contact: sampleContact, Phone: "+15125550143", OptedOut: true, At: sampleAt},
			consent{Contact: connectors.Ref{ID: "1001"}, Phone: "+15125550143", At: sampleAt},
		},
	}
)

// operation is one compiled operation. It is safe for concurrent use.
type operation struct {
	verb
	path                 *templates.Template
	body                 *templates.Template
	query, headers, form map[string]*templates.Template
	result               map[string]*expression
	verdict              *expression
	statuses             map[int]string
	api                  *rest.Client
	refused              func(context.Context) // called where credentials are
	// idempotency is the header that carries the key of what is created; "" for
	// none.
	idempotency string
}

// compiler gathers what is wrong with an operation, each error beginning with
// the key.
type compiler struct {
	op   *operation
	errs []error
}

func (c *compiler) fail(key string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.errs = append(c.errs, fmt.Errorf("%s.%w", joinKey(c.op.name, key), e))
		}
	} else if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", joinKey(c.op.name, key), err))
	}
}

func joinKey(key, below string) string {
	if below == "" {
		return key
	}
	return key + "." + below
}

// compile reads an operation's templates and expressions, and tries them.
func compile(v verb, o Operation, verdict string) (*operation, error) {
	c := &compiler{op: &operation{verb: v, result: map[string]*expression{}}}
	c.op.words = slices.Concat([]string{isOK}, v.words, kinds)
	c.request(o)
	c.results(o.Result)
	statuses, err := parseStatuses(o.Status, c.op.words)
	c.op.statuses = statuses
	c.fail("status", err)
	if o.Verdict != "" {
		verdict = o.Verdict
	}
	if verdict != "" {
		c.op.verdict, err = parseExpression("verdict", verdict, v.samples[0])
		c.fail("verdict", err)
	}
	return c.op, errors.Join(c.errs...)
}

func (c *compiler) request(o Operation) {
	if o.Method != "" {
		c.op.method = o.Method
	}
	c.fail("method", c.op.checkMethod())
	if o.Path == "" {
		c.fail("path", errors.New("is missing"))
	} else {
		c.op.path = c.template("path", o.Path, templates.Path)
	}
	c.op.query = c.templates("query", o.Query, templates.Text)
	c.op.headers = c.templates("headers", o.Headers, templates.Header)
	c.op.form = c.templates("form", o.Form, templates.Text)
	for name := range o.Headers {
		c.fail("headers."+name, checkHeader(name))
	}
	if o.Body != "" {
		c.op.body = c.template("body", o.Body, templates.JSON)
	}
	switch {
	case o.Body != "" && len(o.Form) > 0:
		c.fail("form", errors.New("cannot stand beside body"))
	case (o.Body != "" || len(o.Form) > 0) && c.op.method == http.MethodGet:
		c.fail("method", errors.New("a GET carries no body: say method: POST"))
	}
}

func (o *operation) checkMethod() error {
	methods := []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if o.reads {
		methods = append(methods, http.MethodGet)
	}
	if !slices.Contains(methods, o.method) {
		return fmt.Errorf("must be one of %s", strings.Join(methods, ", "))
	}
	return nil
}

// headerName is a token of RFC 9110 §5.6.2.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// own are headers that belong to the connection or to auth.
var own = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Authorization"}

func checkHeader(name string) error {
	switch {
	case !headerName.MatchString(name):
		return errors.New("is not the name of a header")
	case slices.Contains(own, http.CanonicalHeaderKey(name)):
		return errors.New("cannot be set here; credentials belong under auth")
	}
	return nil
}

func (c *compiler) templates(key string, sources map[string]string, at templates.Place) map[string]*templates.Template {
	fields := map[string]*templates.Template{}
	for name, source := range sources {
		fields[name] = c.template(key+"."+name, source, at)
	}
	return fields
}

// template compiles a template and fills it in with each sample.
func (c *compiler) template(key, source string, at templates.Place) *templates.Template {
	f, err := templates.Parse(source, at, c.op.samples[0])
	if err != nil {
		c.fail(key, err)
		return f
	}
	for _, sample := range c.op.samples {
		if at == templates.Path && needsMore(f, sample) {
			continue
		}
		filled, err := f.Try(sample)
		if err != nil {
			c.fail(key, templates.Explain(err))
			return f
		}
		if at == templates.JSON && !json.Valid([]byte(filled)) {
			c.fail(key, errors.New("is not valid JSON once it is filled in (a value that stands for itself needs no quotes; see the documentation)"))
			return f
		}
	}
	return f
}

// needsMore reports whether a template uses the contact of a text that has
// none.
func needsMore(f *templates.Template, data any) bool {
	t, ok := data.(text)
	return ok && f.Uses("Contact") && t.Contact.Zero()
}

func (c *compiler) results(given map[string]string) {
	for key, source := range given {
		if !slices.Contains(c.op.results, key) {
			c.fail("result."+key, fmt.Errorf("has no meaning here; known are %s", orNone(c.op.results)))
			continue
		}
		x, err := parseExpression("result."+key, source, c.op.samples[0])
		c.fail("result."+key, err)
		c.op.result[key] = x
	}
	for _, key := range c.op.required {
		if given[key] == "" {
			c.fail("result."+key, errors.New("is missing: write an expression that picks it from the answer"))
		}
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}

// uses reports whether any template names it, such as Record.
func (o *operation) uses(name string) bool {
	fields := slices.Concat([]*templates.Template{o.path, o.body}, slices.Collect(maps.Values(o.query)),
		slices.Collect(maps.Values(o.headers)), slices.Collect(maps.Values(o.form)))
	return slices.ContainsFunc(fields, func(f *templates.Template) bool { return f != nil && f.Uses(name) })
}

// call makes the request and answers what expressions may look at, and what the
// answer means: ok, existed or none. A batch of items is judged one by one,
// save for a refusal of the whole.
func (o *operation) call(ctx context.Context, key string, input any, items int) (env, string, *connectors.Error) {
	request, err := o.request(key, input)
	if err != nil {
		return nil, "", &connectors.Error{Op: o.op, Kind: connectors.Invalid, Err: err}
	}
	var body document
	request.Items = items
	if o.verdict != nil || len(o.result) > 0 {
		request.Into, request.EmptyOK = &body, true
	}
	answer, err := o.api.Do(ctx, request)
	if err != nil && (answer == nil || success(answer.Status)) {
		return nil, "", connectors.AsError(o.op, err)
	}
	var byStatus *connectors.Error
	if err != nil {
		byStatus = connectors.AsError(o.op, err)
		_ = json.Unmarshal(answer.Body, &body) // what is no JSON says nothing
	}
	e := env{"body": body.value, "item": body.value, "status": answer.Status, "headers": headersOf(answer.Header), "input": pointerTo(input)}
	if items > 0 && err == nil {
		return e, isOK, nil
	}
	said, failure := o.judge(e, items, byStatus)
	if failure != nil && failure.Kind == connectors.Auth {
		o.refused(ctx)
	}
	return e, said, failure
}

func headersOf(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		out[name] = strings.Join(values, ", ")
	}
	return out
}

// request fills in the templates.
func (o *operation) request(key string, input any) (rest.Request, error) {
	r := rest.Request{Op: o.op, Method: o.method, ReadOnly: o.reads, Header: http.Header{}}
	if o.idempotency != "" && key != "" {
		r.Header.Set(o.idempotency, templates.UUID(key))
	}
	err := fill("path", o.path, input, func(s string) { r.Path = s })
	for name, f := range o.headers {
		err = errors.Join(err, fill("headers."+name, f, input, func(s string) { r.Header.Set(name, s) }))
	}
	if len(o.query) > 0 {
		r.Query = url.Values{}
	}
	for name, f := range o.query {
		err = errors.Join(err, fill("query."+name, f, input, func(s string) { r.Query.Set(name, s) }))
	}
	if len(o.form) > 0 {
		r.Form = url.Values{}
	}
	for name, f := range o.form {
		err = errors.Join(err, fill("form."+name, f, input, func(s string) { r.Form.Set(name, s) }))
	}
	if o.body != nil {
		err = errors.Join(err, fill("body", o.body, input, func(s string) { r.Body = json.RawMessage(s) }))
	}
	return r, err
}

func fill(key string, f *templates.Template, input any, set func(string)) error {
	s, err := f.Fill(input)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	set(s)
	return nil
}
