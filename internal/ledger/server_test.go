package ledger_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

func TestRealServer(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	l := open(t, ledger.Options{URL: server.URL})
	l.Bind("ns1")
	remembers(t, l)
	require.NoError(t, l.Ping(t.Context()))
	require.True(t, l.State().Up)

	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	ttl, err := c.TTL(t.Context(), "crmsync:ns1:contact:hubspot:"+numberHash).Result()
	require.NoError(t, err)
	require.InDelta(t, 24*time.Hour, ttl, float64(time.Minute))
}

// A user who may do only what the ledger does, on its own keys.
func TestRealServerWithAccessList(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "crmsync", "on", ">s3cret", "~crmsync:*",
		"+ping", "+exists", "+get", "+set", "+del", "+hello", "+select", "+eval", "+evalsha", "+time", "+incrby", "+decrby",
		"+xadd", "+xlen", "+xrange", "+xack", "+xdel", "+xinfo|groups", "+xgroup|create", "+xreadgroup", "+xautoclaim").Err())
	l := open(t, ledger.Options{URL: "redis://crmsync:s3cret@" + server.Address + "/0"})
	l.Bind("ns1")
	remembers(t, l)
	spools(t, openSpool(t, ledger.Options{URL: "redis://crmsync:s3cret@" + server.Address + "/0"}, roomy))

	foreign := open(t, ledger.Options{URL: "redis://crmsync:s3cret@" + server.Address + "/0", Name: "other"})
	foreign.Bind("ns1")
	require.False(t, foreign.WinIntent(t.Context(), "hubspot", messageKey))
	require.Contains(t, foreign.State().LastError, "NOPERM")
}

func TestRealCluster(t *testing.T) {
	t.Parallel()
	address := startServer(t, "--cluster-enabled", "yes")
	c := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return c.Set(t.Context(), "probe", "1", 0).Err() == nil
	}, patient, 10*time.Millisecond)

	l := open(t, ledger.Options{URL: "redis://" + address, Mode: "cluster"})
	l.Bind("ns{1}")
	remembers(t, l)
	spools(t, openSpool(t, ledger.Options{URL: "redis://" + address, Mode: "cluster"}, roomy))
}

func TestRealSentinel(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(startServer(t))
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "sentinel monitor mymaster %s %s 1\n", host, port), 0o600))
	sentinel := startServer(t, config, "--sentinel")

	l := open(t, ledger.Options{URL: "redis://" + sentinel + "/0?master_name=mymaster", Mode: "sentinel"})
	l.Bind("ns1")
	remembers(t, l)
	spools(t, openSpool(t, ledger.Options{URL: "redis://" + sentinel + "/0?master_name=mymaster", Mode: "sentinel"}, roomy))
}

// startServer runs redis-server in a mode that devtest does not know, until the
// end of the test. A free port may be taken in the moment before the server
// takes it: then the next one is tried.
func startServer(t *testing.T, args ...string) (address string) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not on PATH")
	}
	for range 5 {
		if address = freeAddress(t); runServer(t, path, address, args) {
			return address
		}
	}
	require.Fail(t, "redis-server does not start")
	return ""
}

func runServer(t *testing.T, path, address string, args []string) bool {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, append(args, "--bind", host, "--port", port, "--dir", t.TempDir())...)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return answers(ctx, address, ended)
}

// answers waits until the server does, or has ended.
func answers(ctx context.Context, address string, ended <-chan struct{}) bool {
	c := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	for c.Ping(ctx).Err() != nil {
		select {
		case <-ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
