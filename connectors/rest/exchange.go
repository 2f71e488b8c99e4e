package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"crmsync/connectors"
)

var errTooLarge = errors.New("the answer is larger than the limit")

// exchange sends the request and reads the answer. sent is false only where it
// is certain that no byte of the request left.
func (c *Client) exchange(req *http.Request) (answer *Answer, sent bool, err error) {
	if err := req.Context().Err(); err != nil {
		return nil, false, err
	}
	var asked, connected atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	res, err := c.http.Do(req)
	if err != nil {
		// A transport that knows no traces shows neither: then think the worst.
		waiting := asked.Load() && !connected.Load()
		return nil, !waiting && !dialFailed(err), err
	}
	defer res.Body.Close()
	answer = &Answer{Status: res.StatusCode, Header: res.Header}
	answer.Body, err = c.read(res)
	if answer.Status/100 != 2 {
		err = nil // the status alone gives the verdict
	}
	return answer, true, err
}

func (c *Client) read(res *http.Response) ([]byte, error) {
	if res.StatusCode/100 != 2 {
		return io.ReadAll(io.LimitReader(res.Body, min(maxErrorBody, c.limit)))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.limit+1))
	if err == nil && int64(len(body)) > c.limit {
		return nil, errTooLarge
	}
	return body, err
}

func dialFailed(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, dns := errors.AsType[*net.DNSError](err)
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	return dns || cert
}

// broken is the verdict where no whole answer came.
func broken(r Request, answer *Answer, sent bool, err error) *connectors.Error {
	// A transport that refuses to send, such as one whose sign-in has ended,
	// speaks for itself.
	if own, ok := errors.AsType[*connectors.Error](err); ok {
		e := *own
		e.Op = r.Op
		return &e
	}
	e := &connectors.Error{Op: r.Op, Kind: connectors.Unavailable, Ambiguous: sent && r.writes(), Err: cause(err)}
	if answer != nil {
		e.Status = answer.Status
	}
	if errors.Is(err, errTooLarge) {
		e.Kind = connectors.Unknown
	}
	return e
}

// cause puts a transport's error into words that can hold nothing of the
// request or of the answer: net/http quotes URLs, and lines that it cannot
// parse.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, errTooLarge} {
		if errors.Is(err, known) {
			return known
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return connectionCause(op)
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("timed out")
	}
	if strings.HasPrefix(err.Error(), "net/http: invalid header") {
		return errors.New("a header, such as the one with the token, holds a character that is not allowed")
	}
	return fmt.Errorf("the connection failed (%T)", innermost(err))
}

func connectionCause(op *net.OpError) error {
	if errno, ok := errors.AsType[syscall.Errno](op); ok {
		return fmt.Errorf("%s: %w", op.Op, errno)
	}
	if dns, ok := errors.AsType[*net.DNSError](op); ok {
		return dns
	}
	if op.Timeout() {
		return fmt.Errorf("%s: timed out", op.Op)
	}
	return fmt.Errorf("%s: the connection failed", op.Op)
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// decode reads a success, or says why it is none.
func decode(r Request, a *Answer) *connectors.Error {
	body := bytes.TrimSpace(a.Body)
	fail := func(kind connectors.Kind, why string) *connectors.Error {
		return &connectors.Error{Op: r.Op, Kind: kind, Status: a.Status, Ambiguous: r.writes(), Err: errors.New(why)}
	}
	switch {
	case page(a.Header, body):
		return fail(connectors.Unavailable, "a web page came in place of an answer")
	case r.Into == nil, len(body) == 0 && r.EmptyOK:
		return nil
	case len(body) == 0:
		return fail(connectors.Unknown, "the answer is empty")
	case !json.Valid(body):
		return fail(connectors.Unavailable, "the answer is not JSON")
	}
	if err := json.Unmarshal(body, r.Into); err != nil {
		return fail(connectors.Unknown, "the answer is not of the expected form")
	}
	return nil
}

// page recognises what proxies, login walls and maintenance windows send.
func page(h http.Header, body []byte) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return len(body) > 0 && (kind == "text/html" || body[0] == '<')
}
