package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

func TestSpool(t *testing.T) {
	t.Parallel()
	require.Equal(t, config.Spool{MaxEvents: 1_000_000, MaxBytes: 1 << 30}, parse(t, "").Spool)
	require.Equal(t, config.Spool{MaxEvents: 10, MaxBytes: 3 << 20}, parse(t, "spool: { max_events: 10, max_bytes: 3 MiB }").Spool)
	for text, size := range map[string]config.Size{"1048576B": 1 << 20, "2048KiB": 2 << 20, "512MiB": 512 << 20, "4GiB": 4 << 30} {
		require.Equal(t, size, parse(t, "spool: { max_bytes: "+text+" }").Spool.MaxBytes)
	}
	for _, wrong := range []string{"1GB", "1", "-1GiB", "1.5GiB", "GiB", "9999999999999GiB", "much"} {
		require.Contains(t, mistakes(t, "spool: { max_bytes: "+wrong+" }"), "spool.max_bytes: must be a size, such as 512MiB or 1GiB", wrong)
	}
	require.Contains(t, mistakes(t, "spool: { max_bytes: 1KiB, max_events: 0 }"), "must be 1MiB or more")
	require.Contains(t, mistakes(t, "spool: { max_bytes: 1KiB, max_events: 0 }"), "spool.max_events: must be 1 or more")
}

func TestSizesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for size, want := range map[config.Size]string{0: "0B", 1000: "1000B", 1 << 10: "1KiB", 3 << 20: "3MiB", 1 << 40: "1024GiB"} {
		require.Equal(t, want, size.String())
	}
}
