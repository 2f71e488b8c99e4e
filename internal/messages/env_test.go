package messages

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"crmsync/config"
	"crmsync/sms"
	"crmsync/workflows"
)

const twoAccounts = `
name: sms
justcall:
  main: { region: US, webhook: { token: t0ken } }
  uk: { region: GB, webhook: { token: t0ken } }
connectors:
  close: { type: sandbox, base_url: http://localhost:1, accounts: [main, uk] }
  hubspot: { type: sandbox, base_url: http://localhost:2, accounts: [main] }
`

// desk finds and repairs; there is no Temporal behind it.
func desk(t *testing.T) *Messages {
	t.Helper()
	c, err := config.Parse("crmsync.yaml", []byte(twoAccounts), config.System())
	require.NoError(t, err)
	return &Messages{
		Config: c, Data: converter.GetDefaultDataConverter(), Failures: temporal.GetDefaultFailureConverter(),
		Attributes: workflows.AttributesOf(c.Name), Hasher: sms.NewHasher([]byte("a key of the test")), By: "ada",
	}
}
