package connectortest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// Serve serves a vendor's fake until the test ends. The settings are further
// lines of the instance's configuration.
func Serve(t testing.TB, f fakes.Fake, settings ...string) Fake {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	config := strings.TrimSuffix(f.Config(server.URL), "\n") + "\n" + strings.Join(settings, "\n")
	return Fake{URL: server.URL, Config: config, Secrets: f.Secrets(), Store: f, Poison: f.Poison}
}

// Open opens an instance on the fake, called as the definition is.
func (f Fake) Open(t testing.TB, d connectors.Definition) connectors.Connector {
	t.Helper()
	env := connectors.Env{Client: &http.Client{Transport: f.Transport}, Grant: f.Grant}
	c, err := d.Open(Config(d.Name, f.Config), env)
	require.NoError(t, err)
	return c
}

// Refuses holds the definition to refuse settings, which are the keys, with an
// error that names the instance and holds the text beside them.
func Refuses(t *testing.T, d connectors.Definition, settings map[string]string) {
	t.Helper()
	for text, want := range settings {
		_, err := d.Open(Config("x", text), connectors.Env{Client: &http.Client{}})
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "connectors.x", text)
	}
}

// Golden holds v, as JSON, to the file testdata/name, and writes that file anew
// where update is set.
func Golden(t *testing.T, name string, v any, update bool) {
	t.Helper()
	var got strings.Builder
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(v))
	path := filepath.Join("testdata", name)
	if update {
		require.NoError(t, os.WriteFile(path, []byte(got.String()), 0o644)) //nolint:gosec // as git keeps it
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, string(want), got.String())
}
