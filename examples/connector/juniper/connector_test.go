package juniper_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/juniper/juniper"
	"example.com/juniper/juniper/fake"
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// start serves a fresh fake until the test ends.
func start(t testing.TB) connectortest.Fake {
	f := fake.New()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return connectortest.Fake{Config: f.Config(server.URL), Secrets: f.Secrets(), Store: f, Poison: f.Poison}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Harness{
		Definition: juniper.Definition(),
		Start:      start,
		Reads: func(r *http.Request) bool {
			return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/search")
		},
		Refusals: []connectortest.Refusal{{
			Name:   "maintenance",
			Answer: connectortest.Answer{Status: 503, Body: `{"error":"maintenance"}`}, Want: connectors.Unavailable,
		}},
	})
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"token: x":                       "base_url is missing",
		"base_url: https://a":            "token is missing",
		"base_url: a\ntoken: x":          "base_url must be an absolute http or https URL",
		"base_url: https://a\ntokn: abc": "tokn",
	} {
		_, err := juniper.Definition().Open(connectortest.Config("x", text), connectors.Env{})
		require.ErrorContains(t, err, want)
	}
}
