package worker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/budget"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

func TestConnectorsToOneCRMAccountShareItsLimits(t *testing.T) {
	t.Parallel()
	limits := []connectors.Limit{{Name: "hourly", Amount: 5, Window: time.Hour}}
	crm := connectortest.NewCRM(connectortest.CRMOptions{Limits: limits})
	settings := "{ type: testcrm, base_url: " + crm.Start(t) + ", budget: { share: 40%, account: acme } }"
	c, err := config.Parse("crmsync.yaml", []byte("justcall: { main: {} }\nconnectors:\n  one: "+settings+"\n  two: "+settings), config.Lookup{})
	require.NoError(t, err)
	registry, err := connectors.NewRegistry(connectortest.Definition(connectortest.Options{Limits: limits}))
	require.NoError(t, err)
	memory, err := ledger.Open(ledger.Options{URL: devtest.Redis(t).URL, Timeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = memory.Close() })
	instances, err := openInstances(c, registry, way{budgets: budget.New(memory)})
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, instance := range instances {
		_, err := instance.Connector.Check(ctx)
		require.NoError(t, err)
	}
	for _, instance := range instances {
		_, err := instance.Connector.Check(ctx)
		require.Equal(t, connectors.RateLimited, connectors.AsError("", err).Kind)
	}
	require.Equal(t, 2, crm.Requests()["check"], "40 % of five")
}
