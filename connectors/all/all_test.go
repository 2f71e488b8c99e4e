package all_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/all"
	"crmsync/connectors/connectortest"
)

func TestEveryExampleOpens(t *testing.T) {
	t.Parallel()
	grant := func(context.Context) (connectors.Grant, error) { return connectors.Grant{}, nil }
	for _, d := range all.Connectors() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, d.Title)
			require.Contains(t, d.Example, "type: "+d.Name)
			c, err := d.Open(connectortest.Config("example", d.Example), connectors.Env{Client: http.DefaultClient, Grant: grant})
			require.NoError(t, err)
			require.NotNil(t, c)
		})
	}
}

func TestListMakesARegistry(t *testing.T) {
	t.Parallel()
	list := all.Connectors()
	registry, err := connectors.NewRegistry(list...)
	require.NoError(t, err)
	require.Len(t, registry.All(), len(list))
	require.True(t, slices.IsSortedFunc(list, func(a, b connectors.Definition) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}))
}

// Every connector that speaks to a vendor can be tried without an account there.
func TestFakesAreOfTheConnectors(t *testing.T) {
	t.Parallel()
	var have, want []string
	for _, f := range all.Fakes() {
		have = append(have, f.Connector.Name)
		config := connectortest.Config("trial", f.New().Config("http://127.0.0.1:8090"))
		_, err := f.Connector.Open(config, connectors.Env{Client: http.DefaultClient})
		require.NoError(t, err, f.Connector.Name)
	}
	for _, d := range all.Connectors() {
		if d.Name != "http" && d.Name != "sandbox" { // any API, and a CRM that comes along
			want = append(want, d.Name)
		}
	}
	require.Equal(t, want, have)
}
