package skeleton

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write example/ anew from examples/connector")

// source is this checkout.
const source = "../.."

func TestSkeletonIsTheExample(t *testing.T) {
	t.Parallel()
	want := files(t, filepath.Join(source, "examples", "connector"), "")
	if *update {
		require.NoError(t, os.RemoveAll("example"))
		for name, data := range want {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join("example", name)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join("example", name+suffix), []byte(data), 0o644))
		}
	}
	require.Equal(t, want, files(t, "example", suffix), "examples/connector has changed: run 'make generate'")
}

// files answers what the files below a folder hold, by their names without the
// suffix.
func files(t *testing.T, root, suffix string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		out[strings.TrimSuffix(name, suffix)] = string(data)
		return err
	}))
	return out
}

// What is written stands on its own feet: formatted, vetted and tested without
// the network, under another name and at another place.
func TestWrittenSkeletonPasses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: builds and tests another module")
	}
	dir := filepath.Join(t.TempDir(), "a folder", "zed")
	require.NoError(t, Write(dir, "zed", source))
	require.Empty(t, run(t, dir, "gofmt", "-l", "."))
	run(t, dir, "go", "vet", "./...")
	require.Contains(t, run(t, dir, "go", "test", "./..."), "example.com/zed/zed")
	out := run(t, dir, "go", "run", ".", "connectors", "zed")
	require.Contains(t, out, "zed: Zed\n\ntype: zed\nbase_url: https://zed.example/v1\ntoken: ${ZED_TOKEN}")
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(d.Name()), original)
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, strings.ToLower(string(data)), original, path)
		}
		return nil
	}))
}

func run(t *testing.T, dir, name string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, arguments, out)
	return string(out)
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.ErrorContains(t, Write(dir, "zed", source), "nothing is overwritten")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"zed", "ourcrm", "crm2"} {
		require.NoError(t, CheckName(good))
	}
	for _, bad := range []string{"", "z", "Zed", "our-crm", "our_crm", "2crm", "../zed", "func", "main", "fake", "crmsync", strings.Repeat("z", 32)} {
		require.Error(t, CheckName(bad), bad)
	}
}
