package pipedrive_test

import (
	"context"
	"net/http"

	"crmsync/connectors"
)

// bearer signs in as the daemon's client does.
type bearer struct{}

// RoundTrip implements http.RoundTripper.
func (bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer granted")
	return http.DefaultTransport.RoundTrip(r)
}

func grant(url string) func(context.Context) (connectors.Grant, error) {
	return func(context.Context) (connectors.Grant, error) {
		return connectors.Grant{Token: "granted", InstanceURL: url + "/"}, nil
	}
}
