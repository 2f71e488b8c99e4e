//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
)

// requireEnv lists what tests must not do without, e.g. "redis,postgres".
const requireEnv = "CRMSYNC_TEST_REQUIRE"

// TestPostgres keeps a server's state in PostgreSQL: in that which
// DEVSERVER_TEST_POSTGRES names, whose user may create databases, or else in one
// of its own.
func TestPostgres(t *testing.T) {
	t.Parallel()
	url := os.Getenv("DEVSERVER_TEST_POSTGRES")
	if url == "" {
		url = startPostgres(t)
	}
	first := launch(t, "--postgres", url)
	id := "w-" + time.Now().Format(time.RFC3339Nano)
	first.startWorkflow(id)
	require.NoError(t, first.cmd.Process.Kill())
	_ = first.wait()

	again := launch(t, "--postgres", url)
	again.requireRunning(id)
	c := again.client()
	require.Eventually(t, func() bool {
		counted, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: "WorkflowId = '" + id + "'"})
		return err == nil && counted.GetCount() == 1
	}, time.Minute, 50*time.Millisecond, "the list has it")
}

// startPostgres starts a PostgreSQL server of the test's own and answers the URL
// of a database that is not there yet.
func startPostgres(t *testing.T) string {
	t.Helper()
	programs, err := findPostgres()
	if err != nil && !slices.Contains(strings.Split(os.Getenv(requireEnv), ","), "postgres") {
		t.Skip(err)
	}
	require.NoError(t, err)
	owner, err := notRoot()
	require.NoError(t, err)
	dir := ownedFolder(t, owner)
	command := func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(programs, program), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return cmd
	}
	data := filepath.Join(dir, "data")
	out, err := command("initdb", "-D", data, "-U", "crmsync", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	address, err := freeAddress("127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	serve(t, command("postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir, "-F"), "postgres://crmsync@"+address+"/postgres")
	return "postgres://crmsync@" + address + "/crmsync_test"
}

// findPostgres answers the folder of initdb and postgres: that of the PATH, or
// the newest of where Debian puts them.
func findPostgres() (string, error) {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	if onPath, err := exec.LookPath("initdb"); err == nil {
		folders = append([]string{filepath.Dir(onPath)}, folders...)
	}
	for _, folder := range folders {
		_, noInit := os.Stat(filepath.Join(folder, "initdb"))
		_, noServer := os.Stat(filepath.Join(folder, "postgres"))
		if noInit == nil && noServer == nil {
			return folder, nil
		}
	}
	return "", errors.New("PostgreSQL is not installed: neither on PATH nor in /usr/lib/postgresql")
}

// version is the 15 of /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

// notRoot answers whom PostgreSQL shall run as: it refuses to be root. Nil means
// the current user.
func notRoot() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("there is neither a user postgres nor nobody to run PostgreSQL as")
}

// ownedFolder is a temporary folder of that user. The test's own lies in one
// that only the current user may enter.
func ownedFolder(t *testing.T, owner *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "crmsync-postgres-") //nolint:usetesting // for the reason above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	if owner != nil {
		require.NoError(t, os.Chown(dir, int(owner.Uid), int(owner.Gid)))
	}
	return dir
}

// serve starts a PostgreSQL server, which ends with the test, and waits until it
// takes connections.
func serve(t *testing.T, cmd *exec.Cmd, url string) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // at once, without leaving children
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { <-ended })
	require.NoError(t, awaitPostgres(t, url, ended), &output)
}

func awaitPostgres(t *testing.T, url string, ended <-chan struct{}) error {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := pgconn.Connect(t.Context(), url)
		if err == nil {
			return conn.Close(t.Context())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL takes no connections: %w", err)
		}
		select {
		case <-ended:
			return errors.New("PostgreSQL ended early")
		case <-tick.C:
		}
	}
}
