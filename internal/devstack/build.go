package devstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// staleAfter is how long a devserver of other sources stays in the cache.
const staleAfter = 14 * 24 * time.Hour

// Checkout finds the checkout of crmsync around a folder; "" without one.
func Checkout(dir string) string {
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module crmsync\n")) {
			if _, err := os.Stat(filepath.Join(dir, "devserver", "go.mod")); err == nil {
				return dir
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// cacheDir is crmsync's folder in the user's cache.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "crmsync")
	return dir, os.MkdirAll(dir, 0o750)
}

// buildDevserver gives the binary of the sources in dir, building it when the
// cache has none. One process builds, the others wait for it.
func buildDevserver(ctx context.Context, dir, cache string, progress io.Writer) (string, error) {
	sum, err := sourcesHash(dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "devserver-"+sum)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if exists(binary) {
		return binary, nil
	}
	unlock, err := lock(ctx, filepath.Join(cache, "devserver.lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(binary) {
		return binary, nil
	}
	if err := goBuild(ctx, dir, binary, progress); err != nil {
		return "", err
	}
	removeStale(cache, binary)
	return binary, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// sourcesHash changes with everything that the binary depends on.
func sourcesHash(dir string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		source := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if err != nil || d.IsDir() || !source && name != "go.mod" && name != "go.sum" {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintln(h, name, len(data))
		h.Write(data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the sources of the devserver: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// lock waits for the file lock and says once that it does.
func lock(ctx context.Context, name string, progress io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; said = true {
		got, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		if got {
			return func() { _ = f.Close() }, nil
		}
		if !said {
			fmt.Fprintln(progress, "waiting for another process that builds the Temporal dev server")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}

// goBuild builds under another name first, so that a binary is whole or absent.
func goBuild(ctx context.Context, dir, binary string, progress io.Writer) error {
	draft := fmt.Sprintf("%s.%d.new", binary, os.Getpid())
	defer os.Remove(draft)
	// No -trimpath: it would compile again what go test in devserver/ has cached.
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", draft, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	stop := sayEvery(10*time.Second, progress, "building the Temporal dev server, once: ~2–3 min")
	out, err := cmd.CombinedOutput()
	stop()
	if err != nil {
		return fmt.Errorf("build the devserver in %s: %w: %s", dir, err, bytes.TrimSpace(out))
	}
	return os.Rename(draft, binary)
}

// sayEvery reports a long task until the returned function is called.
func sayEvery(every time.Duration, w io.Writer, what string) (stop func()) {
	fmt.Fprintln(w, what)
	start, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintf(w, "… %.0f s\n", time.Since(start).Seconds())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// removeStale forgets binaries of sources that are long gone.
func removeStale(cache, keep string) {
	old, _ := filepath.Glob(filepath.Join(cache, "devserver-*"))
	for _, file := range old {
		info, err := os.Stat(file)
		if err == nil && file != keep && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(file)
		}
	}
}
