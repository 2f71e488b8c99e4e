package worker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors/all"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

// TestSpoolCommand shows what waits and what is dead, without Temporal, and has
// dead letters tried again or deleted.
func TestSpoolCommand(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf("redis: { url: %q }", devtest.Redis(t).URL)
	file := filepath.Join(t.TempDir(), "crmsync.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	run := func(arguments ...string) (string, int) {
		var out bytes.Buffer
		status := Run(context.Background(), append([]string{"spool", "--config", file}, arguments...), &out, &out, all.Connectors()...)
		return out.String(), status
	}
	out, status := run()
	require.Equal(t, 0, status)
	require.Equal(t, "0 waiting, the oldest for 0s; 0 dead; 0.0 MiB\n", out)
	out, _ = run("retry")
	require.Equal(t, "There are no dead letters.\n", out)

	spool, err := openSpool(parse(t, text))
	require.NoError(t, err)
	t.Cleanup(func() { _ = spool.Close() })
	var entries []ledger.Entry
	for i := range 3 {
		entry, err := spool.Add(t.Context(), ledger.EventStream, fmt.Appendf(nil, `{"event":{"account":"main","kind":"sms.sent","message":{"id":"msg_%d","body":"a secret"}}}`, i))
		require.NoError(t, err)
		entries = append(entries, entry)
	}
	require.NoError(t, spool.Bury(t.Context(), entries[0], "too large"))
	require.NoError(t, spool.Bury(t.Context(), entries[1], "too large"))
	out, _ = run()
	require.Contains(t, out, "1 waiting, the oldest for 0s; 2 dead")
	require.Regexp(t, `(?m)^dead +\S+Z +\S+ +main/msg_0/sms.sent +too large$`, out)
	require.Regexp(t, `(?m)^spooled +\S+Z +\S+ +main/msg_2/sms.sent`, out)
	require.NotContains(t, out, "a secret")
	out, _ = run("--json")
	require.Contains(t, out, `"dead": 2`)
	require.NotContains(t, out, "a secret")

	var f findings
	f.spool(t.Context(), parse(t, text))
	require.Contains(t, f.lines(), "warning spool: Temporal refused 2 events for good")

	dead, err := spool.Dead(t.Context(), 2)
	require.NoError(t, err)
	out, status = run("drop", dead[0].ID, "1-1")
	require.Equal(t, 1, status)
	require.Contains(t, out, dead[0].ID+": deleted")
	require.Contains(t, out, "1-1: there is no such dead letter")
	out, status = run("retry")
	require.Equal(t, 0, status)
	require.True(t, strings.HasPrefix(out, "1 are tried again"), out)
	state, err := spool.State(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, state.Waiting)
	require.Zero(t, state.Dead)
}

// TestCheckSpoolIsFull: nobody would notice before Temporal is away.
func TestCheckSpoolIsFull(t *testing.T) {
	t.Parallel()
	c := parse(t, fmt.Sprintf("redis: { url: %q }\nspool: { max_events: 1, max_bytes: 1MiB }", devtest.Redis(t).URL))
	require.Equal(t, config.Spool{MaxEvents: 1, MaxBytes: 1 << 20}, c.Spool)
	spool, err := openSpool(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = spool.Close() })
	_, err = spool.Add(t.Context(), ledger.ConsentStream, []byte("{}"))
	require.NoError(t, err)
	var f findings
	f.spool(t.Context(), c)
	require.Contains(t, f.lines(), "warning spool: takes no event now")
}
