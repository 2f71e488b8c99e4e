package ledger_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"crmsync/internal/ledger"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]ledger.Options{
		"no scheme":                 {URL: "localhost:6379"},
		"another scheme":            {URL: "http://user:hunter2@localhost"},
		"a bad escape":              {URL: "redis://user:hunter2%zz@localhost"},
		"a password with a slash":   {URL: "redis://user:hunter2/x@localhost:6379"},
		"a bad port":                {URL: "redis://user:hunter2@localhost:port"},
		"a bad database":            {URL: "redis://user:hunter2@localhost/hunter2"},
		"an unknown setting":        {URL: "redis://user:hunter2@localhost/0?hunter2=hunter2"},
		"an unknown mode":           {URL: "redis://user:hunter2@localhost", Mode: "ring"},
		"sentinel without a master": {URL: "redis://user:hunter2@localhost", Mode: "sentinel"},
		"sentinel reading replicas": {URL: "redis://localhost?master_name=m&replica_only=true", Mode: "sentinel"},
		"a bad sentinel":            {URL: "redis://localhost?master_name=m&addr=x&password=hunter2", Mode: "sentinel"},
		"a bad cluster":             {URL: "redis://user:hunter2@localhost?addr=x", Mode: "cluster"},
	}
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ledger.Open(o)
			require.ErrorContains(t, err, "redis url: ")
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestOpenDoesNoIO(t *testing.T) {
	t.Parallel()
	for _, o := range []ledger.Options{
		{URL: "redis://nowhere.invalid:1"},
		{URL: "rediss://user:secret@nowhere.invalid:1/3?pool_size=5", Mode: "single"},
		{URL: "redis://nowhere.invalid:1?master_name=m", Mode: "sentinel"},
		{URL: "redis://nowhere.invalid:1?addr=also.invalid:2", Mode: "cluster"},
		{URL: "unix:///nowhere/redis.sock"},
	} {
		l, err := ledger.Open(o)
		require.NoError(t, err)
		require.True(t, l.State().Up)
		require.NoError(t, l.Close())
	}
}

func TestSingleOptions(t *testing.T) {
	t.Parallel()
	o, err := ledger.SingleOptions("rediss://user:secret@redis.example.com:6380/3?pool_size=7&max_retries=5", time.Second)
	require.NoError(t, err)
	require.Equal(t, "redis.example.com:6380", o.Addr)
	require.Equal(t, 3, o.DB)
	require.Equal(t, "user", o.Username)
	require.Equal(t, "secret", o.Password)
	require.Equal(t, "redis.example.com", o.TLSConfig.ServerName)
	require.Equal(t, 7, o.PoolSize)
	require.Equal(t, -1, o.MaxRetries, "the ledger's own")
	require.Equal(t, time.Second, o.ReadTimeout)
	require.True(t, o.ContextTimeoutEnabled)
	require.True(t, o.DisableIdentity)
	require.Equal(t, maintnotifications.ModeDisabled, o.MaintNotificationsConfig.Mode)
}

func TestSentinelOptions(t *testing.T) {
	t.Parallel()
	o, err := ledger.SentinelOptions("redis://s:sp@one:26379/2?master_name=mymaster&addr=two:26379&username=u&password=p", time.Second)
	require.NoError(t, err)
	require.Equal(t, "mymaster", o.MasterName)
	require.ElementsMatch(t, []string{"one:26379", "two:26379"}, o.SentinelAddrs)
	require.Equal(t, "sp", o.SentinelPassword)
	require.Equal(t, "u", o.Username)
	require.Equal(t, "p", o.Password)
	require.Equal(t, 2, o.DB)
	require.Equal(t, -1, o.MaxRetries)
	require.True(t, o.ContextTimeoutEnabled)
}

func TestClusterOptions(t *testing.T) {
	t.Parallel()
	o, err := ledger.ClusterOptions("rediss://u:p@one:6379?addr=two:6379", time.Second)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"one:6379", "two:6379"}, o.Addrs)
	require.Equal(t, "p", o.Password)
	require.NotNil(t, o.TLSConfig)
	require.Equal(t, -1, o.MaxRetries)
	require.True(t, o.ContextTimeoutEnabled)
	require.Equal(t, maintnotifications.ModeDisabled, o.MaintNotificationsConfig.Mode)
}

func TestPasswordOfTheURL(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.RequireUserAuth("worker", "p@ss")
	right := open(t, ledger.Options{URL: "redis://worker:p%40ss@" + m.Addr()})
	require.NoError(t, right.Ping(t.Context()))
	wrong := open(t, ledger.Options{URL: "redis://worker:other@" + m.Addr()})
	require.ErrorContains(t, wrong.Ping(t.Context()), "WRONGPASS")
}
