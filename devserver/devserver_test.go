package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// TestMain lets the test binary be the server as well, so that the tests
// start, stop and kill real processes without building another binary.
func TestMain(m *testing.M) {
	if os.Getenv("DEVSERVER_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a started devserver.
type process struct {
	ready
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	rest   *bufio.Reader
	stderr *bytes.Buffer
	wait   func() error
}

// command runs the server with free ports.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0],
		append([]string{"--listen", "127.0.0.1:0", "--ui", "", "--exit-with-parent"}, args...)...)
	cmd.Env = append(os.Environ(), "DEVSERVER_TEST_MAIN=1")
	return cmd
}

func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, args...), stderr: &bytes.Buffer{}}
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.stdin, p.rest, p.wait = stdin, bufio.NewReader(stdout), sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.wait() })

	line, err := p.rest.ReadString('\n')
	if err != nil {
		_ = p.wait()
	}
	require.NoError(t, err, "no ready line; stderr: %s", p.stderr)
	require.NoError(t, json.Unmarshal([]byte(line), &p.ready))
	return p
}

// ended waits for the process and demands that it printed nothing more.
func (p *process) ended() {
	p.t.Helper()
	more, err := io.ReadAll(p.rest)
	require.NoError(p.t, err)
	require.Empty(p.t, string(more), "stdout after the ready line")
	require.NoError(p.t, p.wait(), "stderr: %s", p.stderr)
}

func (p *process) client() client.Client {
	p.t.Helper()
	c, err := client.Dial(client.Options{HostPort: p.Frontend})
	require.NoError(p.t, err)
	p.t.Cleanup(c.Close)
	return c
}

func (p *process) startWorkflow(id string, attributes ...temporal.SearchAttributeUpdate) {
	p.t.Helper()
	_, err := p.client().ExecuteWorkflow(p.t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: "nobody", TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
	}, "Anything")
	require.NoError(p.t, err)
}

func (p *process) requireRunning(id string) {
	p.t.Helper()
	d, err := p.client().DescribeWorkflowExecution(p.t.Context(), id, "")
	require.NoError(p.t, err)
	require.Equal(p.t, "Running", d.GetWorkflowExecutionInfo().GetStatus().String())
}

// requireListed waits until a search finds the workflow.
func (p *process) requireListed(id string) {
	p.t.Helper()
	c := p.client()
	require.Eventually(p.t, func() bool {
		list, err := c.ListWorkflow(p.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'"})
		return err == nil && slices.ContainsFunc(list.GetExecutions(), func(e *workflow.WorkflowExecutionInfo) bool {
			return e.GetExecution().GetWorkflowId() == id
		})
	}, time.Minute, 20*time.Millisecond, "%s is listed", id)
}

func TestServesFrontendAndUIOnLoopback(t *testing.T) {
	t.Parallel()
	p := launch(t, "--ui", "127.0.0.1:0", "--namespace", "mine", "--retention", "72h")
	require.Equal(t, "1.32.1", p.Version)
	require.True(t, strings.HasPrefix(p.Frontend, "127.0.0.1:"))

	resp, err := http.Get(p.UI)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	ns, err := p.client().WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "mine"})
	require.NoError(t, err)
	require.Equal(t, 72*time.Hour, ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.ended()
}

func TestSearchAttributesAreUsableAtOnce(t *testing.T) {
	t.Parallel()
	p := launch(t, "--search-attribute", "Contact=Keyword", "--search-attribute", "Tries=Int")
	p.startWorkflow("w",
		temporal.NewSearchAttributeKeyKeyword("Contact").ValueSet("c1"),
		temporal.NewSearchAttributeKeyInt64("Tries").ValueSet(1))
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){
		"stop":          func(p *process) { require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt)); p.ended() },
		"kill":          func(p *process) { require.NoError(p.t, p.cmd.Process.Kill()); _ = p.wait() },
		"end of parent": func(p *process) { require.NoError(p.t, p.stdin.Close()); p.ended() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "temporal.sqlite")
			first := launch(t, "--data", file)
			first.startWorkflow("w")
			first.requireListed("w")
			end(first)

			again := launch(t, "--data", file, "--listen", first.Frontend, "--retention", "240h")
			require.Equal(t, first.Frontend, again.Frontend)
			again.requireRunning("w")
			again.requireListed("w")
			ns, err := again.client().WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
			require.NoError(t, err)
			require.Equal(t, 240*time.Hour, ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), "a new retention applies to an old file")
		})
	}
}

func TestAHalfCreatedFileIsStartedAfresh(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.sqlite")
	require.NoError(t, os.WriteFile(file+".new", []byte("left by a killed first boot"), 0o600))
	launch(t, "--data", file)
	require.NoFileExists(t, file+".new")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	notSQLite := filepath.Join(t.TempDir(), "letter.txt")
	require.NoError(t, os.WriteFile(notSQLite, bytes.Repeat([]byte("dear all, "), 500), 0o600))

	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"--nope"}, "flag provided but not defined: -nope"},
		{"argument", []string{"start"}, `unexpected argument "start"`},
		{"two stores", []string{"--data", "x", "--postgres", "postgres://localhost"}, "--data and --postgres exclude each other"},
		{"no folder", []string{"--data", "/no/such/folder/x"}, "the folder /no/such/folder does not exist"},
		{"not a database", []string{"--data", notSQLite}, "--data " + notSQLite + ": "},
		{"short retention", []string{"--retention", "5m"}, "--retention 5m0s: the server takes no less than 1h"},
		{"log level", []string{"--log-level", "loud"}, `--log-level "loud": want debug, info, warn or error`},
		{"reachable from outside", []string{"--listen", "0.0.0.0:0"}, `--listen "0.0.0.0:0": want a loopback address`},
		{"UI reachable from outside", []string{"--ui", ":8233"}, `--ui ":8233": want a loopback address`},
		{"no port", []string{"--listen", "127.0.0.1"}, `--listen "127.0.0.1": want host:port`},
		{"taken port", []string{"--listen", taken.Addr().String()}, "--listen: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"attribute without type", []string{"--search-attribute", "Contact"}, "want Name=Type"},
		{"attribute of unknown type", []string{"--search-attribute", "Contact=Phone"}, `"Phone" is not a type of search attribute`},
		{"no namespace", []string{"--namespace", ""}, "--namespace must not be empty"},
		{"no PostgreSQL", []string{"--postgres", "postgres://u@127.0.0.1:1/x"}, "--postgres: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, c.args...)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), c.want)
		})
	}
}

func TestAFileBelongsToOneServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "temporal.sqlite")
	launch(t, "--data", file)
	out, err := command(t, "--data", file).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the file is in use by another server")
}
