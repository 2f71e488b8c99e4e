package devstack_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
)

func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestTemporalSurvivesAKillWithItsData(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	preferred := taken(t)
	s, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{
		DataFile: filepath.Join(t.TempDir(), "temporal.sqlite"),
		Address:  preferred, UIAddress: "127.0.0.1:0", Progress: &progress,
		SearchAttributes: map[string]string{"Contact": "Keyword"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	require.Contains(t, progress.String(), preferred+" is in use: Temporal listens on "+s.Address)

	resp, err := http.Get(s.UI)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	c := devtest.Dial(t, s, s.Namespace)
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "nobody"}, "Anything")
	require.NoError(t, err)
	address, pid := s.Address, s.Pid()
	require.NoError(t, s.Kill())
	<-s.Done()
	require.NoError(t, s.Restart(t.Context()))
	require.Equal(t, address, s.Address)
	require.NotEqual(t, pid, s.Pid())
	_, err = c.DescribeWorkflowExecution(t.Context(), "w", "")
	require.NoError(t, err)
}

func TestTemporalOnAFixedPortThatIsTakenFails(t *testing.T) {
	t.Parallel()
	_, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Address: taken(t), Fixed: true})
	require.ErrorContains(t, err, "address already in use")
}

func TestTemporalSaysWhyItDidNotStart(t *testing.T) {
	t.Parallel()
	_, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{DataFile: "/no/such/folder/x"})
	require.ErrorContains(t, err, "the folder /no/such/folder does not exist")
}

func TestTestsShareTemporalAndHaveNamespacesOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := devtest.Temporal(t)
	require.Same(t, s, devtest.Temporal(t))
	one, two := devtest.Namespace(t, s), devtest.Namespace(t, s)
	require.NotEqual(t, one, two)
	_, err := devtest.Dial(t, s, one).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: "q"}, "Anything")
	require.NoError(t, err)
}

func redisClient(t *testing.T, r *devstack.Redis) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(r.URL)
	require.NoError(t, err)
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisIsEmptyAndFlushes(t *testing.T) {
	t.Parallel()
	r := devtest.Redis(t)
	c := redisClient(t, r)
	require.Zero(t, c.DBSize(t.Context()).Val())
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, r.Flush(t.Context()))
	require.Zero(t, c.DBSize(t.Context()).Val())
}

func TestRedisKeepsItsDataOnlyWithAFile(t *testing.T) {
	t.Parallel()
	for _, aof := range []bool{false, true} {
		r, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{AOF: aof, Require: true})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Stop()) })
		c := redisClient(t, r)
		require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
		require.NoError(t, r.Kill())
		require.NoError(t, r.Start(t.Context()))
		require.Equal(t, aof, c.Exists(t.Context(), "k").Val() == 1)
	}
}

// Not parallel: it changes the environment.
func TestWithoutRedisServer(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv(devstack.RequireEnv, "postgres,redis")
	_, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{})
	require.ErrorContains(t, err, "install it")

	t.Setenv(devstack.RequireEnv, "")
	r, err := devstack.StartRedis(context.Background(), devstack.RedisOptions{})
	require.NoError(t, err)
	require.Contains(t, r.How, "miniredis")
	c := redisClient(t, r)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, r.Kill())
	require.NoError(t, r.Start(t.Context()))
	require.Zero(t, c.DBSize(t.Context()).Val(), "it starts empty")
	require.NoError(t, r.Stop())
}
