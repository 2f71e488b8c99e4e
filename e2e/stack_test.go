package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
	"crmsync/worker"
)

// asDaemon makes the test binary be the daemon: its connector is the test CRM's.
const asDaemon = "CRMSYNC_E2E_DAEMON"

func TestMain(m *testing.M) {
	if options := os.Getenv(asDaemon); options != "" {
		os.Exit(daemonMain(options))
	}
	// Most tests wait for timers and other processes, not for this one's CPU.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func daemonMain(text string) int {
	var options connectortest.Options
	if err := json.Unmarshal([]byte(text), &options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return worker.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, connectortest.Definition(options))
}

// setup says what a test's stack is like.
type setup struct {
	crm       connectortest.CRMOptions
	connector connectortest.Options
	// more is added to the connector's configuration.
	more string
	// justcall replaces the settings of account main.
	justcall string
	// keys are privacy.keys; none leaves everything readable.
	keys []string
	// temporal replaces the tests' common server, for tests that stop it.
	temporal *devstack.Temporal
	// redis replaces one that keeps nothing.
	redis *devstack.Redis
}

// stack is a deployment: Temporal (one for all tests, a namespace for each),
// Redis, a CRM that keeps count, and any number of daemons.
type stack struct {
	t         *testing.T
	setup     setup
	temporal  *devstack.Temporal
	namespace string
	client    client.Client
	redis     *devstack.Redis
	crm       *connectortest.CRM
	// Where daemons look for them.
	temporalAddress, redisURL, crmURL string
}

func newStack(t *testing.T, s setup) *stack {
	t.Helper()
	st := &stack{t: t, setup: s, temporal: s.temporal}
	if st.temporal == nil {
		st.temporal = devtest.Temporal(t)
		st.namespace = devtest.Namespace(t, st.temporal)
	} else {
		st.namespace = st.temporal.Namespace
	}
	options := client.Options{HostPort: st.temporal.Address, Namespace: st.namespace, Logger: quiet{}}
	options.DataConverter, options.FailureConverter = ringOf(t, s.keys).Converters()
	var err error
	st.client, err = client.NewLazyClient(options)
	require.NoError(t, err)
	t.Cleanup(st.client.Close)
	if st.redis = s.redis; st.redis == nil {
		st.redis = devtest.Redis(t)
	}
	st.temporalAddress, st.redisURL = st.temporal.Address, st.redis.URL
	st.crm = connectortest.NewCRM(s.crm)
	st.crmURL = st.crm.Start(t)
	return st
}

// quiet is a Temporal logger that says nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// process is a running daemon.
type process struct {
	st      *stack
	address string
	admin   string
	config  string
	flags   []string // of run
	log     *syncBuffer
	cmd     *exec.Cmd
}

const token = "path-token-of-the-test"

// daemon starts a daemon and waits until it is ready.
func (st *stack) daemon() *process {
	st.t.Helper()
	p := st.prepare()
	p.start()
	p.ready()
	return p
}

// prepare makes a daemon that is not started yet.
func (st *stack) prepare() *process {
	st.t.Helper()
	p := &process{st: st, address: freeAddress(st.t), admin: freeAddress(st.t), log: &syncBuffer{}}
	p.config = filepath.Join(st.t.TempDir(), "crmsync.yaml")
	class := cmp.Or(st.setup.crm.Class, connectors.ClassB)
	account := cmp.Or(st.setup.justcall, fmt.Sprintf("{ region: US, webhook: { token: %q } }", token))
	text := fmt.Sprintf(`
temporal: { address: %q, namespace: %q }
redis: { url: %q }
server: { listen: %q, admin: %q }
log: { level: info }
privacy: %s
justcall:
  main: %s
connectors:
  crm: { type: testcrm, base_url: %q, class: %s%s }
`, st.temporalAddress, st.namespace, st.redisURL, p.address, p.admin, privacy(st.setup.keys), account, st.crmURL, class, st.setup.more)
	require.NoError(st.t, os.WriteFile(p.config, []byte(text), 0o600))
	st.t.Cleanup(func() {
		p.kill()
		if st.t.Failed() {
			st.t.Logf("log of the daemon at %s:\n%s", p.address, p.log)
		}
	})
	return p
}

func (p *process) start() {
	p.st.t.Helper()
	options, err := json.Marshal(p.st.setup.connector)
	require.NoError(p.st.t, err)
	p.cmd = exec.Command(os.Args[0], append([]string{"run", "--config", p.config}, p.flags...)...)
	p.cmd.Env = append(os.Environ(), asDaemon+"="+string(options))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(p.st.t, p.cmd.Start())
}

// ready waits until the daemon is, and its workers have Temporal: webhooks may be
// posted before.
func (p *process) ready() {
	p.st.t.Helper()
	eventually(p.st.t, 30*time.Second, "the daemon is ready", func() bool { return p.isReady() && p.hasTemporal() })
}

func (p *process) hasTemporal() bool {
	response, err := http.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var detail readiness
	return json.NewDecoder(response.Body).Decode(&detail) == nil && detail.Temporal
}

func (p *process) isReady() bool {
	response, err := http.Get("http://" + p.address + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// kill ends the daemon with SIGKILL.
func (p *process) kill() {
	if p.cmd != nil && p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// term asks the daemon to stop and waits until it has.
func (p *process) term() {
	p.st.t.Helper()
	require.NoError(p.st.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.st.t, p.cmd.Wait())
}

// answer is what the webhook said.
type answer struct {
	Status int
	Result string `json:"result"`
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

// post posts a webhook with the right token.
func (p *process) post(body []byte) answer {
	p.st.t.Helper()
	a, err := p.try(body)
	require.NoError(p.st.t, err)
	return a
}

func (p *process) try(body []byte) (answer, error) {
	return send(http.MethodPost, "http://"+p.address+"/webhooks/justcall/main/"+token, nil, bytes.NewReader(body))
}

func send(method, url string, header http.Header, body io.Reader) (answer, error) {
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return answer{}, err
	}
	maps.Copy(request.Header, header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{Status: response.StatusCode}
	err = json.NewDecoder(response.Body).Decode(&a)
	return a, err
}

// accepted posts a webhook and expects it to be accepted.
func (p *process) accepted(body []byte) string {
	p.st.t.Helper()
	a := p.post(body)
	require.Equal(p.st.t, 200, a.Status, a)
	require.Equal(p.st.t, "accepted", a.Result, a)
	return a.Key
}

// text is a classic webhook of a text.
type text struct {
	id, event, from, to, body string
	line                      string // ours; line when empty
	at                        time.Time
}

func inbound(id, from, body string) text {
	return text{id: id, event: "sms.received", from: from, to: line, body: body}
}

func outbound(id, to, body string) text {
	return text{id: id, event: "sms.sent", from: line, to: to, body: body}
}

const line = "+15125550100"

func (m text) json() []byte {
	m.line = cmp.Or(m.line, line)
	direction := "inbound"
	if m.from == m.line {
		direction = "outbound"
	}
	if m.at.IsZero() {
		m.at = time.Now()
	}
	out, _ := json.Marshal(map[string]any{
		"event": m.event, "timestamp": m.at.UTC().Format(time.RFC3339),
		"data": map[string]any{
			"message_id": m.id, "direction": direction, "from": m.from, "to": m.to, "body": m.body,
			"media_urls": []string{}, "justcall_number": m.line, "contact_name": "Contact of " + m.id, "agent_id": nil,
		},
	})
	return out
}

// as is the same text with another event.
func (m text) as(event string) text {
	m.event = event
	return m
}

func eventually(t *testing.T, within time.Duration, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, within, 20*time.Millisecond, what)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := devstack.FreeAddress()
	require.NoError(t, err)
	return address
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
