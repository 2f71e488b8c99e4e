package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/all"
)

func TestConnectorsNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ourcrm")
	run := func(arguments ...string) (int, string) {
		var out bytes.Buffer
		status := Run(t.Context(), append([]string{"connectors", "new"}, arguments...), &out, &out, all.Connectors()...)
		return status, out.String()
	}
	status, out := run("ourcrm", "--dir", dir)
	require.Equal(t, 0, status, out)
	require.Contains(t, out, "1. cd "+dir+" && go test ./...")
	require.Contains(t, out, "ourcrm/connector.go")
	code, err := os.ReadFile(filepath.Join(dir, "ourcrm", "connector.go"))
	require.NoError(t, err)
	require.Contains(t, string(code), "package ourcrm\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ourcrm", "connector.go"), []byte("mine"), 0o600))

	status, out = run("ourcrm", "--dir", dir)
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "nothing is overwritten")
	code, err = os.ReadFile(filepath.Join(dir, "ourcrm", "connector.go"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(code))

	for want, arguments := range map[string][]string{
		"the name must be":                     {"Our-CRM"},
		"this build has a connector sandbox":   {"sandbox"},
		"crmsync's source is not around":       {"ourcrm", "--source", t.TempDir(), "--dir", dir + "2"},
		"accepts 1 arg(s), received 0":         {},
		"unknown flag: --force\nSee 'crmsync ": {"ourcrm", "--force"},
	} {
		status, out = run(arguments...)
		require.Equal(t, 2, status, out)
		require.Contains(t, out, want)
	}
	require.NoDirExists(t, dir+"2")
}
