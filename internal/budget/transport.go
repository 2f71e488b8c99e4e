package budget

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"crmsync/connectors"
)

// Transport sends requests when the budget of a CRM account allows them. It is
// safe for concurrent use.
type Transport struct {
	account *account
	share   float64
	next    http.RoundTripper
	rules   atomic.Pointer[rules]
}

// rules are a definition's.
type rules struct {
	buckets     []*bucket
	usage       func(http.Header) []connectors.Usage
	callTimeout time.Duration
}

// Keep sets what to keep: the definition's limits, what headers say of them, and
// how long a request may take. The limits must be valid
// ([connectors.ValidateLimits]). It may be called again; requests under way keep
// the old rules.
func (t *Transport) Keep(d connectors.Definition) {
	r := &rules{usage: d.Usage, callTimeout: cmp.Or(d.CallTimeout, connectors.DefaultCallTimeout)}
	for _, l := range d.Limits {
		r.buckets = append(r.buckets, newBucket(l, t.share))
	}
	t.rules.Store(r)
}

func (t *Transport) current() *rules {
	if r := t.rules.Load(); r != nil {
		return r
	}
	return &rules{callTimeout: connectors.DefaultCallTimeout}
}

// RoundTrip implements http.RoundTripper. Where the request was not sent, the
// error is a *connectors.Error that says so.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	rules := t.current()
	asks := rules.asks(r)
	paid, err := t.account.wait(r.Context(), asks, rules.latest(r.Context()))
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), rules.callTimeout)
	response, err := t.next.RoundTrip(r.WithContext(ctx))
	news := late(asks, paid, time.Now())
	if err != nil {
		cancel()
		t.account.tell(r.Context(), news)
		return nil, err
	}
	t.account.tell(r.Context(), append(news, t.account.hear(rules, asks, response)...))
	response.Body = &body{response.Body, cancel}
	return response, nil
}

// latest is when a request can be sent at the latest, so that it still has
// CallTimeout; the zero time where the caller does not mind.
func (r *rules) latest(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	return deadline.Add(-r.callTimeout)
}

// body releases the request's deadline once nobody reads any more.
type body struct {
	io.ReadCloser
	release context.CancelFunc
}

// Close implements io.Closer.
func (b *body) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}

// CloseIdleConnections lets http.Client close the connections behind it.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
