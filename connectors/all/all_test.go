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
