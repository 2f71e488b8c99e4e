package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Transport counts and times a connector's requests, by method and class of
// status. It looks at nothing else of them, least of all at the URL.
func (m *Metrics) Transport(connector string, next http.RoundTripper) http.RoundTripper {
	return &transport{m, connector, next}
}

type transport struct {
	*Metrics
	name string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	response, err := t.next.RoundTrip(r)
	connector, method := t.connector(t.name), attribute.String("method", methods.label(r.Method))
	add(t.counters.requests, 1, connector, method, attribute.String("status", class(response, err)))
	t.counters.requestTime.Record(context.Background(), time.Since(begun).Seconds(), metric.WithAttributes(connector, method))
	return response, err
}

// CloseIdleConnections lets http.Client close the connections behind it.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

var methods = setOf([]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
})

// class is a status's class. 429 stands alone: it is no mistake of ours, and
// says that the CRM's limits are reached.
func class(response *http.Response, err error) string {
	switch {
	case err != nil:
		return "error"
	case response.StatusCode == http.StatusTooManyRequests:
		return "429"
	case response.StatusCode < 100 || response.StatusCode > 599:
		return Other
	}
	return strconv.Itoa(response.StatusCode/100) + "xx"
}
