package pipedrive_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
)

// A sign-in brings the address of the company with it.
func TestSignedIn(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{Accept: func(token string) bool { return token == "granted" }})
	served := connectortest.Serve(t, f)
	served.Config, served.Transport, served.Grant = "", bearer{}, grant(served.URL)
	c := served.Open(t, pipedrive.Definition())
	out := c.PutMessages(t.Context(), []connectors.Record{text(person(f))})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	require.Equal(t, served.URL+"/person/1", out[0].Ref.URL)
}

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
