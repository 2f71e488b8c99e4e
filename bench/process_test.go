//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is this binary in another role.
type process struct {
	cmd *exec.Cmd
	log *os.File
}

// spawn starts a role, which ends with the benchmark. What it prints goes to
// out; nil: to its log.
func spawn(tb testing.TB, name, role string, out io.Writer, env []string, args ...string) *process {
	tb.Helper()
	log, err := os.Create(filepath.Join(tb.TempDir(), name+".log"))
	require.NoError(tb, err)
	p := &process{cmd: exec.Command(os.Args[0], args...), log: log}
	p.cmd.Env = append(append(os.Environ(), roleEnv+"="+role), env...)
	if *profileFlag != "" {
		p.cmd.Env = append(p.cmd.Env, profileEnv+"="+filepath.Join(*profileFlag, name+"-"+strconv.FormatInt(time.Now().UnixMilli(), 36)+".pprof"))
	}
	p.cmd.Stdout, p.cmd.Stderr = out, log
	if out == nil {
		p.cmd.Stdout = log
	}
	require.NoError(tb, p.cmd.Start())
	tb.Cleanup(func() {
		p.stop()
		if text, _ := os.ReadFile(log.Name()); tb.Failed() {
			tb.Logf("end of the log of %s:\n%s", name, text[max(len(text)-8<<10, 0):])
		}
		_ = log.Close()
	})
	return p
}

// stop asks the process to end and waits until it has.
func (p *process) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// daemon is a running crmsync.
type daemon struct {
	*process
	address, admin string
}

// poster has room for every connection that is open at a time.
var poster = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: time.Minute}

// ready waits until its workers have Temporal: it would take webhooks before, and
// spool their events.
func (d *daemon) ready(tb testing.TB) {
	tb.Helper()
	require.Eventually(tb, func() bool { return d.standing().Temporal }, time.Minute, 20*time.Millisecond, "the daemon is ready")
}

// standing is what its readiness says of its servers.
type standing struct {
	Temporal bool
	Spool    struct{ Waiting int }
}

// standing is empty while it does not answer.
func (d *daemon) standing() (s standing) {
	response, err := poster.Get("http://" + d.admin + "/readyz")
	if err != nil {
		return s
	}
	defer func() { _ = response.Body.Close() }()
	_ = json.NewDecoder(response.Body).Decode(&s)
	return s
}

// post posts a webhook until it is accepted, as JustCall does: what is answered
// 503 comes again.
func (d *daemon) post(ctx context.Context, body []byte) error {
	for {
		status, err := d.try(ctx, body)
		if err != nil || status == http.StatusOK {
			return err
		}
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("the webhook was answered %d", status)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func (d *daemon) try(ctx context.Context, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.address+"/webhooks/justcall/main/"+token, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	response, err := poster.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// metric sums up the samples whose names and labels contain all parts.
func (d *daemon) metric(tb testing.TB, parts ...string) (sum float64) {
	tb.Helper()
	response, err := poster.Get("http://" + d.admin + "/metrics")
	require.NoError(tb, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	for line := range strings.Lines(string(page)) {
		sample, number, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(sample, part) }) {
			continue
		}
		value, err := strconv.ParseFloat(number, 64)
		require.NoError(tb, err)
		sum += value
	}
	return sum
}
