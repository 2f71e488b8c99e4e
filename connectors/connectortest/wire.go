package connectortest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"sync"
)

// wire is the transport between connector and fake. It counts requests and
// makes one of them go wrong.
type wire struct {
	next  http.RoundTripper
	own   *http.Transport // to be closed, where next is ours
	reads func(*http.Request) bool

	mu       sync.Mutex
	requests []request
	position int // of the request that goes wrong, from 1; 0: none
	trouble  trip
}

// request is what the wire remembers of one.
type request struct {
	fingerprint [sha256.Size]byte
	reads       bool
}

// trip carries one request, well or badly.
type trip func(next http.RoundTripper, r *http.Request) (*http.Response, error)

func newWire(next http.RoundTripper, reads func(*http.Request) bool) *wire {
	w := &wire{next: next, reads: reads}
	if next == nil {
		w.own = &http.Transport{}
		w.next = w.own
	}
	return w
}

func (w *wire) close() {
	if w.own != nil {
		w.own.CloseIdleConnections()
	}
}

// fail makes the request at that position, counted from now, go wrong.
func (w *wire) fail(position int, trouble trip) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests, w.position, w.trouble = nil, position, trouble
}

// heal lets everything through again and answers what was requested since
// fail.
func (w *wire) heal() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.requests
	w.requests, w.position = nil, 0
	return seen
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.requests)
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := drained(r)
	if err != nil {
		return nil, err
	}
	seen := request{
		reads:       w.reads(refilled(r, body)),
		fingerprint: sha256.Sum256([]byte(r.Method + " " + r.URL.String() + "\n" + string(body))),
	}
	r = refilled(r, body)
	w.mu.Lock()
	w.requests = append(w.requests, seen)
	hit, trouble := len(w.requests) == w.position, w.trouble
	w.mu.Unlock()
	if hit {
		return trouble(w.next, r)
	}
	return w.next.RoundTrip(r)
}

// refilled answers a copy of r whose body can be read from the start.
func refilled(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r
}

func drained(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}
