package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

// provisioning runs check --provision against a test CRM.
func provisioning(t *testing.T, crm *connectortest.CRM) func(flags ...string) (status int, out string) {
	t.Helper()
	text := "justcall: { main: { region: US, insecure: true } }\n" +
		"connectors: { crm: { type: testcrm, class: B, base_url: " + crm.Start(t) + " } }\n"
	file := filepath.Join(t.TempDir(), "crmsync.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return func(flags ...string) (int, string) {
		var out bytes.Buffer
		arguments := append([]string{"check", "--config", file}, flags...)
		status := Run(t.Context(), arguments, &out, &out, connectortest.Definition(connectortest.Options{}))
		return status, out.String()
	}
}

func TestProvision(t *testing.T) {
	t.Parallel()
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	crm.RemoveFields()
	check := provisioning(t, crm)

	const missing = "warning  connectors.crm: to be done: create field message_key\n"
	for range 2 {
		status, out := check("--provision", "--dry-run")
		require.Equal(t, 3, status, out)
		require.Contains(t, out, missing)
	}
	require.Empty(t, crm.Requests()["create_fields"], "a dry run changes nothing")

	status, out := check("--provision", "--json")
	require.Equal(t, 0, status, out)
	var said findings
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	require.Contains(t, said, finding{levelOK, "connectors.crm", "done: create field message_key"})

	status, out = check("--provision")
	require.Equal(t, 0, status, out)
	require.Equal(t, "ok       connectors.crm: everything is set up\n", out)
	require.Equal(t, 1, crm.Requests()["create_fields"])

	crm.SetFaults(func(f *connectortest.Faults) { f.Unauthorized = true })
	status, out = check("--provision")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "error    connectors.crm: provision: AUTH")
}

func TestDryRunNeedsProvision(t *testing.T) {
	t.Parallel()
	status, out := provisioning(t, connectortest.NewCRM(connectortest.CRMOptions{}))("--dry-run")
	require.Equal(t, 2, status, out)
	require.Contains(t, out, "--dry-run belongs to --provision")
}

// Check itself changes nothing, and says what to do.
func TestCheckNamesMissingFields(t *testing.T) {
	t.Parallel()
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	settings := parse(t, "justcall: { main: { region: US, insecure: true } }"+oneCRM)
	said := func() string {
		d := connectortest.Definition(connectortest.Options{CallTimeout: 5 * time.Second})
		c, err := d.Open(connectortest.Config("crm", "class: B\nbase_url: "+crm.Start(t)), connectors.Env{Client: newHTTPClient()})
		require.NoError(t, err)
		var f findings
		f.connector(t.Context(), settings, &activities.Instance{Name: "crm", Connector: c, Definition: d})
		return f.lines()
	}
	require.NotContains(t, said(), "--provision")
	crm.RemoveFields()
	require.Contains(t, said(), "warning connectors.crm: has to be set up (create field message_key; create field message_status): run 'crmsync check --provision'")
	require.Empty(t, crm.Requests()["create_fields"])
}

func TestNothingToProvision(t *testing.T) {
	t.Parallel()
	var f findings
	f.provision(context.Background(), &activities.Instance{Name: "crm", Connector: struct{ connectors.Connector }{}}, false)
	require.Equal(t, "ok connectors.crm: needs nothing set up in the CRM\n", f.lines())
}
