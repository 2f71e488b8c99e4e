package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	p.useSandbox(t, 1)
	p.run(buildProgram(t))
	p.accepted(inbound("msg_one", "+15125551234", "so that everything has been used once").json())
	require.Equal(t, connectors.Written, st.result("main/msg_one/sms.received").Deliveries["crm"].State)
	resident := p.resident(t)
	t.Logf("%.1f MiB resident when idle", float64(resident)/1024)
	require.Less(t, resident, idleMemory)
}

// buildProgram builds the daemon as it is released, without the race detector.
func buildProgram(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crmsync")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, "..").CombinedOutput()
	require.NoError(t, err, string(out))
	return file
}

// useSandbox makes the connector, and n-1 more, that of the sandbox CRM: the test
// CRM's is in no release.
func (p *process) useSandbox(t *testing.T, n int) {
	t.Helper()
	sandbox, err := crm.Open(filepath.Join(t.TempDir(), "sandbox.db"), crm.NoSync())
	require.NoError(t, err)
	server := httptest.NewServer(sandbox.Handler())
	t.Cleanup(func() {
		p.kill()
		server.Close()
		require.NoError(t, sandbox.Close())
	})
	one := fmt.Sprintf("{ type: sandbox, base_url: %q }", server.URL)
	more := ""
	for i := range n - 1 {
		more += fmt.Sprintf("\n  crm%d: %s", i+2, one)
	}
	p.configure(t, one+more)
}

// configure replaces the connector in the configuration.
func (p *process) configure(t *testing.T, connector string) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	head, _, found := strings.Cut(string(text), "  crm: ")
	require.True(t, found)
	require.NoError(t, os.WriteFile(p.config, []byte(head+"  crm: "+connector+"\n"), 0o600))
}

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

// TestTemporalAbsentAtStart starts the daemon long before Temporal: as long as
// Redis is there, what comes waits in it.
func TestTemporalAbsentAtStart(t *testing.T) {
	t.Parallel()
	absent := &devstack.Temporal{Address: freeAddress(t), Namespace: "default"}
	st := newStack(t, setup{temporal: absent})
	p := st.prepare()
	p.start()
	p.says("waiting for Temporal")
	require.True(t, p.isReady())
	p.accepted(inbound("msg_early", "+15125551234", "is anybody there?").json())
	require.False(t, p.detail().Temporal)

	ownTemporal(t, absent.Address)
	p.ready()
	eventually(t, time.Minute, "it is delivered by itself", func() bool { return len(st.crm.Messages()) == 1 })
	require.Equal(t, connectors.Written, st.result("main/msg_early/sms.received").Deliveries["crm"].State)
}

// TestBothAbsentAtStart starts the daemon with nothing that could keep an event.
func TestBothAbsentAtStart(t *testing.T) {
	t.Parallel()
	absent := &devstack.Temporal{Address: freeAddress(t), Namespace: "default"}
	st := newStack(t, setup{temporal: absent})
	require.NoError(t, st.redis.Kill())
	p := st.prepare()
	p.start()
	p.says("waiting for Temporal")
	require.Equal(t, http.StatusServiceUnavailable, p.post(inbound("msg_early", "+15125551234", "is anybody there?").json()).Status)
	require.False(t, p.isReady())
	require.True(t, p.answers("/healthz"), "it is alive and waits")
}

// TestRedisAbsentAtStart never starts Redis.
func TestRedisAbsentAtStart(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until the daemon goes on without Redis: 10 s")
	}
	st := newStack(t, setup{})
	require.NoError(t, st.redis.Kill())
	p := st.prepare()
	p.start()
	p.says("waiting for Redis")
	require.False(t, p.isReady())
	p.says("going on with Temporal alone")
	p.ready()
	p.taken(inbound("msg_alone", "+15125551234", "without Redis").json())
	require.Equal(t, connectors.Written, st.result("main/msg_alone/sms.received").Deliveries["crm"].State)
}

// taken posts a webhook until it is answered 200, as JustCall does: without the
// spool a Temporal that is busy with other tests may take too long for it.
func (p *process) taken(body []byte) {
	p.st.t.Helper()
	eventually(p.st.t, time.Minute, "the webhook is answered 200", func() bool { return p.post(body).Status == http.StatusOK })
}

// says waits for a line in the daemon's log.
func (p *process) says(text string) {
	p.st.t.Helper()
	eventually(p.st.t, time.Minute, "the log says: "+text, func() bool { return strings.Contains(p.log.String(), text) })
}

func (p *process) answers(path string) bool {
	response, err := http.Get("http://" + p.address + path)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// TestStopUnderLoad stops the daemon while texts come in and the CRM is slow:
// what was accepted is delivered by the next process, once.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{
		crm:       connectortest.CRMOptions{Class: connectors.ClassD},
		connector: connectortest.Options{Settle: 300 * time.Millisecond, CallTimeout: 10 * time.Second},
	})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 200 * time.Millisecond })
	p := st.daemon()
	load := p.load(2)
	eventually(t, time.Minute, "texts are accepted and some delivered", func() bool {
		return len(load.accepted()) >= 20 && len(st.crm.Messages()) > 0
	})
	begun := time.Now()
	p.term()
	accepted := load.stop()
	t.Logf("stopped after %s, with %d of %d texts delivered", time.Since(begun).Round(time.Millisecond), len(st.crm.Messages()), len(accepted))
	require.Less(t, time.Since(begun), 30*time.Second)

	st.crm.SetFaults(func(f *connectortest.Faults) { f.Latency = 0 })
	p.start()
	p.ready()
	for _, key := range accepted {
		st.result(key)
	}
	// Temporal may have taken one more whose poster was told to come again.
	require.GreaterOrEqual(t, len(st.crm.Messages()), len(accepted))
	require.Empty(t, st.crm.Doubles())
}

// mostLoad is how many texts each poster of a load has: the spool takes more per
// second than Temporal.
const mostLoad = 50

// load is texts that are posted until somebody says stop, or there are no more.
type load struct {
	posters sync.WaitGroup
	ended   atomic.Bool
	mu      sync.Mutex
	keys    []string
}

func (p *process) load(posters int) *load {
	l := &load{}
	for poster := range posters {
		l.posters.Go(func() {
			for i := 0; i < mostLoad && !l.ended.Load(); i++ {
				l.post(p, fmt.Sprintf("msg_%d_%d", poster, i), fmt.Sprintf("+1512555%04d", 1000*poster+i%10))
			}
		})
	}
	return l
}

// post posts one text until it is taken, or the daemon is gone.
func (l *load) post(p *process, id, from string) {
	a, err := p.try(inbound(id, from, "under load").json())
	if err != nil {
		l.ended.Store(true)
		return
	}
	if a.Result == "accepted" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.keys = append(l.keys, a.Key)
	}
}

func (l *load) accepted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.keys)
}

func (l *load) stop() []string {
	l.ended.Store(true)
	l.posters.Wait()
	return l.accepted()
}

// TestRefusesToRun starts the daemon with configurations that it must not run.
func TestRefusesToRun(t *testing.T) {
	t.Parallel()
	const rest = "connectors:\n  crm: { type: testcrm, base_url: http://127.0.0.1:1 }\n"
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"no file": {"", []string{"crmsync.yaml: no such file", "--config"}},
		"several errors at once": {
			"server: { listen: nowhere }\nlog: { level: loud }\njustcal: {}\n" + rest,
			[]string{"crmsync.yaml:1: server.listen: ", "crmsync.yaml:2: log.level: ", "crmsync.yaml:3: justcal: "},
		},
		"nothing authenticates": {
			"justcall:\n  main: { region: US }\n" + rest,
			[]string{"crmsync.yaml:2: justcall.main.webhook: has neither a token nor a signing secret"},
		},
		"unknown connector": {
			"justcall:\n  main: { webhook: { token: " + token + " } }\nconnectors:\n  crm: { type: nosuch }\n",
			[]string{"crmsync.yaml:4: connectors.crm.type: ", `no connector "nosuch"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, status := refusal(t, c.config)
			require.Equal(t, 1, status, out)
			for _, want := range c.want {
				require.Contains(t, out, want)
			}
		})
	}
}

// refusal runs the daemon with a configuration, none where it is empty, and
// answers what it printed and its exit status.
func refusal(t *testing.T, config string) (string, int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crmsync.yaml")
	if config != "" {
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", "--config", file)
	cmd.Env = append(os.Environ(), asDaemon+"={}")
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "it runs: %s", out)
	return string(out), exit.ExitCode()
}
