package worker_test

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"crmsync/connectors/all"
	"crmsync/connectors/sandbox/crm"
	"crmsync/worker"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"crmsync": func() { worker.Main(all.Connectors()...) },
	})
}

// TestScripts runs the command line as a user would: one file per command under
// testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"sandbox": sandbox},
	})
}

// sandbox starts a sandbox CRM until the script ends; its address is $CRM.
func sandbox(ts *testscript.TestScript, _ bool, _ []string) {
	c, err := crm.Open(filepath.Join(ts.MkAbs("."), "sandbox.db"), crm.NoSync())
	ts.Check(err)
	server := httptest.NewServer(c.Handler())
	ts.Defer(func() {
		server.Close()
		_ = c.Close()
	})
	ts.Setenv("CRM", server.URL)
}
