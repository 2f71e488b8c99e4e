package oauth

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/ledger"
)

// TestStores holds each store to the rules; those of Redis are in package
// ledger's tests, too.
func TestStores(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]Store{"memory": newMemory(), "file": newFile(t), "redis": newRedis(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			first, err := store.LockGrant(ctx, "crm", "one", 0, time.Minute)
			require.NoError(t, err)
			_, err = store.LockGrant(ctx, "crm", "two", 0, time.Minute)
			require.ErrorIs(t, err, ledger.ErrLocked)
			require.NoError(t, store.WriteGrant(ctx, "crm", first, []byte(`{"n":1}`)))
			require.NoError(t, store.WriteGrant(ctx, "crm", first, []byte(`{"n":1}`)))
			require.NoError(t, store.NoteGrant(ctx, "crm", first, []byte(`{"why":"a"}`)))
			require.NoError(t, store.NoteGrant(ctx, "crm", first-1, []byte(`{"why":"b"}`)))
			require.NoError(t, store.UnlockGrant(ctx, "crm", "two"))
			_, err = store.LockGrant(ctx, "crm", "two", 0, time.Minute)
			require.ErrorIs(t, err, ledger.ErrLocked)
			require.NoError(t, store.UnlockGrant(ctx, "crm", "one"))
			second, err := store.LockGrant(ctx, "crm", "two", 41, time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, int64(42), second)
			kept, err := store.ReadGrant(ctx, "crm")
			require.NoError(t, err)
			require.Equal(t, first, kept.Version)
			require.JSONEq(t, `{"n":1}`, string(kept.Value))
			require.JSONEq(t, `{"why":"a"}`, string(kept.Note))
			require.NoError(t, store.WriteGrant(ctx, "crm", second, []byte(`{"n":2}`)))
			require.ErrorIs(t, store.WriteGrant(ctx, "crm", first, []byte(`{"n":1}`)), ledger.ErrFenced)
			require.Eventually(t, func() bool {
				third, err := store.LockGrant(ctx, "crm", "one", 0, time.Minute)
				return err == nil && third == 43
			}, 10*time.Second, time.Millisecond)
			require.NoError(t, store.WriteGrant(ctx, "crm", 43, nil))
			kept, err = store.ReadGrant(ctx, "crm")
			require.NoError(t, err)
			require.Empty(t, kept.Value)
			require.Empty(t, kept.Note)
			require.Equal(t, int64(43), kept.Version)
		})
	}
}

func TestAFileIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	put(t, f, Grant{AccessToken: "a"})
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.Chmod(f.path, 0o640))
	_, err = f.ReadGrant(t.Context(), "crm")
	require.ErrorContains(t, err, "chmod 600")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(f.path), "*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestADamagedFileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	f := newFile(t)
	require.NoError(t, os.WriteFile(f.path, []byte(`{"grants": {"crm": {"gra`), 0o600))
	_, err := f.LockGrant(t.Context(), "crm", "one", 0, time.Minute)
	require.ErrorContains(t, err, "is damaged")
	text, err := os.ReadFile(f.path)
	require.NoError(t, err)
	require.Contains(t, string(text), `"gra`)
}

func TestAFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := NewFile(filepath.Join(t.TempDir(), "nowhere", "grants.json"))
	_, err := f.LockGrant(t.Context(), "crm", "one", 0, time.Minute)
	require.ErrorContains(t, err, "grants.file")
}

func TestConnectorsDoNotLoseEachOthersGrants(t *testing.T) {
	t.Parallel()
	path := newFile(t).path
	var wg sync.WaitGroup
	names := []string{"a", "b", "c", "d", "e", "f"}
	errs := make(chan error, len(names))
	for _, name := range names {
		wg.Go(func() { errs <- NewFile(path).WriteGrant(t.Context(), name, 1, []byte(`{}`)) })
	}
	wg.Wait()
	for range names {
		require.NoError(t, <-errs)
	}
	for _, name := range names {
		g, err := NewFile(path).ReadGrant(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, int64(1), g.Version, name)
	}
}
