package juniper_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/juniper/juniper"
	"example.com/juniper/juniper/fake"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Harness{
		Definition: juniper.Definition(),
		Start:      func(t testing.TB) connectortest.Fake { return connectortest.Serve(t, fake.New()) },
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
	connectortest.Refuses(t, juniper.Definition(), map[string]string{
		"token: x":                       "base_url is missing",
		"base_url: https://a":            "token is missing",
		"base_url: a\ntoken: x":          "base_url must be an absolute http or https URL",
		"base_url: https://a\ntokn: abc": "tokn",
	})
}
