package worker_test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"crmsync/connectors/all"
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
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
