package connectortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"crmsync/connectors"
)

// doubt says whether a write that met a trouble may have happened.
type doubt int

const (
	undone    doubt = iota // it cannot have happened
	ambiguous              // it may have
	either                 // the connector may know better
)

// trouble is one way in which a request goes wrong.
type trouble struct {
	name       string
	kinds      []connectors.Kind
	doubt      doubt
	retryAfter time.Duration
	// first: only at the call's first request.
	first bool
	// fits tells the verbs that it is tried on; nil: all.
	fits func(verb) bool
	make func() trip
}

var unclear = []connectors.Kind{connectors.Unavailable, connectors.Unknown}

func troubles(h Harness) []trouble {
	list := []trouble{
		limitedFor("429 with Retry-After", "7", 7*time.Second),
		limitedFor("429 for the day", "36000", 10*time.Hour),
		limitedFor("429 without Retry-After", "", 0),
		refusal("401", connectors.Auth, undone, Answer{Status: 401}),
		refusal("403", connectors.Forbidden, undone, Answer{Status: 403}),
		refusal("500", connectors.Unavailable, ambiguous, Answer{Status: 500}),
		refusal("502 with a page", connectors.Unavailable, ambiguous, Answer{Status: 502, Body: htmlPage}),
		refusal("503 with a page", connectors.Unavailable, ambiguous, Answer{Status: 503, Body: htmlPage}),
		{name: "connection refused", kinds: []connectors.Kind{connectors.Unavailable}, doubt: undone, make: fixed(refuseConnection)},
		{name: "answer lost", kinds: []connectors.Kind{connectors.Unavailable}, doubt: ambiguous, make: fixed(loseAnswer)},
		{name: "timeout after sending", kinds: []connectors.Kind{connectors.Unavailable}, doubt: ambiguous, make: fixed(timeOut)},
		{name: "answer truncated", kinds: unclear, doubt: ambiguous, make: fixed(truncate)},
		{name: "200 with a page", kinds: []connectors.Kind{connectors.Unavailable}, doubt: ambiguous, make: fixed(answer(Answer{
			Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: htmlPage,
		}))},
		{name: "200 without a body", kinds: unclear, doubt: ambiguous, first: true, fits: told, make: fixed(answer(Answer{Status: 200}))},
		{name: "200 with an empty result", kinds: unclear, doubt: ambiguous, first: true, fits: told, make: fixed(answer(Answer{Status: 200, Body: "{}"}))},
		{name: "200 without an end", kinds: unclear, doubt: ambiguous, first: true, fits: big, make: func() trip { return endless(new(atomic.Int64)) }},
	}
	list = append(list, unsent()...)
	for _, r := range h.Refusals {
		own := refusal(r.Name, r.Want, either, r.Answer)
		own.retryAfter = r.RetryAfter
		list = append(list, own)
	}
	return list
}

// told: the verbs whose success is known from the answer's body.
func told(v verb) bool { return v.told }

// big: one verb that reads and one that writes stand for all, since it takes
// time.
func big(v verb) bool { return v.name == "check" || v.name == "put" }

const htmlPage = "<!doctype html><html><body>Please log in</body></html>"

func fixed(t trip) func() trip { return func() trip { return t } }

func limitedFor(name, header string, want time.Duration) trouble {
	a := Answer{Status: 429, Header: http.Header{}}
	if header != "" {
		a.Header.Set("Retry-After", header)
	}
	t := refusal(name, connectors.RateLimited, undone, a)
	t.retryAfter = want
	return t
}

func refusal(name string, want connectors.Kind, d doubt, a Answer) trouble {
	return trouble{name: name, kinds: []connectors.Kind{want}, doubt: d, make: fixed(answer(a))}
}

// answer makes an answer up. Where it has no body of its own it repeats all of
// the request, credentials too, as talkative servers do.
func answer(a Answer) trip {
	return func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
		body := a.Body
		if body == "" && a.Status/100 != 2 {
			sent, _ := io.ReadAll(r.Body)
			body = fmt.Sprintf(`{"message":%q}`, fmt.Sprint(r.URL, r.Header, string(sent)))
		}
		return response(r, a.Status, a.Header, io.NopCloser(strings.NewReader(body))), nil
	}
}

func response(r *http.Request, status int, header http.Header, body io.ReadCloser) *http.Response {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: body, ContentLength: -1, Request: r,
	}
}

func refuseConnection(http.RoundTripper, *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// done carries a request out and answers what the connector will not see.
func done(next http.RoundTripper, r *http.Request) (*http.Response, []byte, error) {
	res, err := next.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, body, err
}

func loseAnswer(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	if _, _, err := done(next, r); err != nil {
		return nil, err
	}
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

func timeOut(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	if _, _, err := done(next, r); err != nil {
		return nil, err
	}
	return nil, context.DeadlineExceeded
}

func truncate(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	res, body, err := done(next, r)
	if err != nil {
		return nil, err
	}
	half := io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{})
	return response(r, res.StatusCode, res.Header, io.NopCloser(half)), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// maxRead is how much of an answer may be read before it is a danger, in bytes.
const maxRead = 64 << 20

var errNoLimit = errors.New("the connector read 64 MiB of one answer: it has no limit")

// endless answers JSON that never ends and counts what is read.
func endless(read *atomic.Int64) trip {
	return func(_ http.RoundTripper, r *http.Request) (*http.Response, error) {
		return response(r, 200, nil, &flood{read: read}), nil
	}
}

var endlessText = strings.Repeat("a", 1<<20)

type flood struct{ read *atomic.Int64 }

func (f *flood) Read(p []byte) (int, error) {
	if f.read.Load() > maxRead {
		panic(errNoLimit)
	}
	if f.read.Load() == 0 {
		f.read.Add(2)
		return copy(p, `["`), nil
	}
	n := copy(p, endlessText)
	f.read.Add(int64(n))
	return n, nil
}

func (f *flood) Close() error { return nil }
