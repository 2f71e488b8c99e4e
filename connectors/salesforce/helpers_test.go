package salesforce_test

import (
	"context"
	"net/http"

	"crmsync/connectors"
)

// bearer is what the daemon's client does: it adds the access token.
type bearer string

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func grantAt(url string) func(context.Context) (connectors.Grant, error) {
	return func(context.Context) (connectors.Grant, error) { return connectors.Grant{InstanceURL: url + "/"}, nil }
}
