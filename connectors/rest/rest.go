// Package rest is the HTTP toolkit of the connectors: a thin client for JSON
// APIs that makes one attempt per call and turns every way in which it can fail
// into a [connectors.Error].
//
//	api := rest.New(env.Client, cfg.BaseURL, rest.Bearer(cfg.Token))
//	var found struct{ Contacts []contact }
//	_, err := api.Do(ctx, rest.Request{
//		Op: "find contacts", Method: "POST", Path: "contacts/search", ReadOnly: true,
//		Body: query, Into: &found,
//	})
//
// A status maps to a kind as [KindOf] says; a [Judge] overrides that where the
// vendor's own error body knows better.
//
// A failed write is ambiguous when it may have happened all the same: the
// connection broke or timed out once the request may have been sent, the answer
// was a 5xx, or a 2xx that cannot be understood. It is not when the connection
// never came about, nor for any 3xx or 4xx. A read never is.
//
// Errors hold the verb, the status and a cause in words of our own: no query
// string, no header and nothing of a body.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"crmsync/connectors"
)

// MaxAnswer is the largest answer that is read, in bytes. A larger one fails
// with UNKNOWN.
const MaxAnswer = 16 << 20

// maxErrorBody is how much of an error's body is read for a Judge.
const maxErrorBody = 1 << 20

// Client calls one JSON API. It is safe for concurrent use.
type Client struct {
	http   *http.Client
	base   string
	grant  func(context.Context) (connectors.Grant, error)
	header http.Header
	judge  Judge
	limit  int64
}

// Judge gives the verdict on an answer that is not a success. It is given the
// default verdict and returns it, changed or not, or another; nil is read as
// the default. Answer.Body holds the vendor's error body, nothing of which may
// go into the error except the vendor's own error codes.
type Judge func(answer *Answer, verdict *connectors.Error) *connectors.Error

// Option changes a client.
type Option func(*Client)

// Header sends a header with every call.
func Header(name, value string) Option {
	return func(c *Client) { c.header.Set(name, value) }
}

// Bearer sends the token with every call, unless it is empty.
func Bearer(token connectors.Secret) Option {
	return func(c *Client) {
		if token != "" {
			c.header.Set("Authorization", "Bearer "+token.Reveal())
		}
	}
}

// AtGrant calls the API at the grant's instance URL where the client has no base
// of its own.
func AtGrant(grant func(context.Context) (connectors.Grant, error)) Option {
	return func(c *Client) { c.grant = grant }
}

// WithJudge sets the vendor's reading of error bodies for every call.
func WithJudge(j Judge) Option { return func(c *Client) { c.judge = j } }

// WithMaxAnswer replaces MaxAnswer.
func WithMaxAnswer(bytes int64) Option { return func(c *Client) { c.limit = bytes } }

// New makes a client for the API at base, which [CheckBase] has approved. Of
// the given client it follows no redirect to another host, and none that would
// turn a write into a read.
func New(client *http.Client, base string, options ...Option) *Client {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = sameHost
	c := &Client{
		http:   &own,
		base:   strings.TrimRight(base, "/"),
		header: http.Header{"Accept": {"application/json"}},
		limit:  MaxAnswer,
	}
	for _, option := range options {
		option(c)
	}
	return c
}

// maxRedirects bounds a chain of redirects on one host.
const maxRedirects = 3

func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || next.Method != first.Method ||
		next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// Request is one call.
type Request struct {
	// Op is the verb that errors name, such as "find contacts".
	Op string
	// Method is GET when empty.
	Method string
	// Path is below the base. [Path] escapes what is put into it.
	Path  string
	Query url.Values
	// Header comes on top of the client's.
	Header http.Header
	// Body is sent as JSON; nil for none.
	Body any
	// Form is sent as an HTML form's fields are, where Body is nil; nil for none.
	Form url.Values
	// ReadOnly says of a POST that it only reads. GET and HEAD always do.
	ReadOnly bool
	// Items is how many items the call carries. If the vendor refuses several
	// at once (kinds INVALID, NOT_FOUND and CONFLICT), the error is WholeBatch.
	Items int
	// Into takes the decoded answer; nil where none is expected.
	Into any
	// EmptyOK says that a success without a body is no failure, though Into is
	// set; Into is then left as it is.
	EmptyOK bool
	// Judge overrides the client's for this call.
	Judge Judge
}

func (r Request) writes() bool {
	return !r.ReadOnly && r.Method != "" && r.Method != http.MethodGet && r.Method != http.MethodHead
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	// Body is as much of the body as was read.
	Body []byte
}

// Do makes one attempt. Its error is always a *connectors.Error. The answer is
// nil only where none came, and is there beside an error too, so that a caller
// can read what a refusal says (such as the id of the record that exists).
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	req, err := c.request(ctx, r)
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return nil, e // the sign-in ended
	}
	if err != nil {
		return nil, &connectors.Error{Op: r.Op, Kind: connectors.Invalid, Err: err}
	}
	answer, sent, err := c.exchange(req)
	show(req, answer)
	if err != nil {
		return answer, broken(r, answer, sent, err)
	}
	if answer.Status/100 != 2 {
		return answer, c.verdict(r, answer)
	}
	if e := decode(r, answer); e != nil {
		return answer, e
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u, err := c.url(ctx, r)
	if err != nil {
		return nil, err
	}
	body, kind, err := r.content()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the base URL or the method is not valid")
	}
	maps.Copy(req.Header, c.header)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	return req, nil
}

// content answers the body and its type, "" for none.
func (r Request) content() (body []byte, kind string, err error) {
	switch {
	case r.Body != nil:
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, "", errors.New("the request cannot be written as JSON")
		}
		return body, "application/json", nil
	case r.Form != nil:
		return []byte(r.Form.Encode()), "application/x-www-form-urlencoded", nil
	}
	return nil, "", nil
}

func (c *Client) url(ctx context.Context, r Request) (string, error) {
	// An empty segment would address the collection in place of the record.
	if strings.Contains(r.Path, "//") {
		return "", errors.New("the path has an empty segment")
	}
	base, err := c.address(ctx)
	if err != nil {
		return "", err
	}
	u := base + "/" + strings.TrimPrefix(r.Path, "/")
	if len(r.Query) > 0 {
		u += "?" + r.Query.Encode()
	}
	return u, nil
}

func (c *Client) address(ctx context.Context) (string, error) {
	if c.base != "" || c.grant == nil {
		return c.base, nil
	}
	grant, err := c.grant(ctx)
	if err != nil {
		return "", err
	}
	if err := CheckBase(grant.InstanceURL); err != nil {
		return "", fmt.Errorf("the instance URL of the sign-in %w", err)
	}
	return strings.TrimRight(grant.InstanceURL, "/"), nil
}

// Path joins segments with slashes, each escaped, so that an id can hold any
// character. A path with an empty segment is refused by Do.
func Path(segments ...string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		switch s {
		case "":
			escaped[i] = "/"
		case ".", "..":
			// Servers resolve these as steps, PathEscape leaves them alone.
			escaped[i] = strings.ReplaceAll(s, ".", "%2E")
		default:
			escaped[i] = url.PathEscape(s)
		}
	}
	return strings.Join(escaped, "/")
}

// CheckBase reports why raw cannot be the address of an API: it must be an
// absolute http or https URL without credentials, query or fragment.
func CheckBase(raw string) error {
	if raw == "" {
		return errors.New("is missing")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be an absolute http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have no credentials, query or fragment")
	}
	return nil
}
