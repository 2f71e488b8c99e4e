package ledger_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	address := startServer(t, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	l := open(t, ledger.Options{URL: "redis://" + address + "/0"})
	s, err := l.Settings(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, s.Version)
	s.Version = ""
	require.Equal(t, ledger.Settings{AppendOnly: "1", AppendSync: "always", MaxMemory: "104857600", Policy: "allkeys-lru"}, s)
}

// Managed servers forbid CONFIG, and some forbid INFO.
func TestSettingsThatAreForbidden(t *testing.T) {
	t.Parallel()
	server := devtest.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: server.Address, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Do(t.Context(), "ACL", "SETUSER", "some", "on", ">s3cret", "+info", "+hello", "+select").Err(); err != nil {
		t.Skip("the Redis in this process knows no users:", err)
	}
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "none", "on", ">s3cret", "+ping", "+hello", "+select").Err())

	s, err := open(t, ledger.Options{URL: "redis://some:s3cret@" + server.Address + "/0"}).Settings(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, s.Version)
	require.Empty(t, s.AppendSync)

	_, err = open(t, ledger.Options{URL: "redis://none:s3cret@" + server.Address + "/0"}).Settings(t.Context())
	require.ErrorContains(t, err, "NOPERM")
	require.NotContains(t, err.Error(), "s3cret")
}
