//go:build linux

package bench

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack"
)

// startPostgres starts a PostgreSQL server of the benchmark's own and answers
// its URL and process id. It skips the benchmark where none is installed.
func startPostgres(tb testing.TB) (url string, pid int) {
	tb.Helper()
	programs := findPostgres(tb)
	owner := notRoot(tb)
	dir, err := os.MkdirTemp("", "crmsync-bench-") //nolint:usetesting // the benchmark's own is closed to other users
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if owner != nil {
		require.NoError(tb, os.Chown(dir, int(owner.Uid), int(owner.Gid)))
	}
	command := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, program), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return cmd
	}
	data := filepath.Join(dir, "data")
	out, err := command("initdb", "-D", data, "-U", "crmsync", "-A", "trust", "-E", "UTF8", "--no-locale").CombinedOutput()
	require.NoError(tb, err, string(out))
	address, err := devstack.FreeAddress()
	require.NoError(tb, err)
	_, port, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	server := command("postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir)
	require.NoError(tb, server.Start())
	tb.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once, without leaving children
		_ = server.Wait()
	})
	require.Eventually(tb, func() bool {
		return command("pg_isready", "-h", "127.0.0.1", "-p", port).Run() == nil
	}, time.Minute, 50*time.Millisecond, "PostgreSQL takes connections")
	return "postgres://crmsync@" + address + "/crmsync_bench", server.Process.Pid
}

// findPostgres answers the folder of the programs: the newest of where Debian
// puts them, or that of the PATH.
func findPostgres(tb testing.TB) string {
	tb.Helper()
	folder := ""
	if path, err := exec.LookPath("initdb"); err == nil {
		folder = filepath.Dir(path)
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range debian {
		folder = filepath.Dir(path) // in order of version, up to 99
	}
	if folder == "" {
		tb.Skip("PostgreSQL is not installed")
	}
	return folder
}

// notRoot answers whom PostgreSQL runs as, which refuses to be root. Nil means
// the current user.
func notRoot(tb testing.TB) *syscall.Credential {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	require.NoError(tb, err)
	uid, err := strconv.Atoi(u.Uid)
	require.NoError(tb, err)
	gid, err := strconv.Atoi(u.Gid)
	require.NoError(tb, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
