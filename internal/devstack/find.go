package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.temporal.io/sdk/testsuite"
)

// DevserverEnv names the environment variable with the path of a devserver.
const DevserverEnv = "CRMSYNC_DEVSERVER"

// program is a Temporal server that can be started.
type program struct {
	path string
	cli  bool // Temporal's command line, not our devserver
	how  string
}

// findProgram takes the first that works, in the order of the package doc.
func findProgram(ctx context.Context, progress io.Writer) (program, error) {
	if path := os.Getenv(DevserverEnv); path != "" {
		if !exists(path) {
			return program{}, fmt.Errorf("%s=%s: no such file", DevserverEnv, path)
		}
		return program{path: path, how: "devserver of " + DevserverEnv}, nil
	}
	if path, err := exec.LookPath("temporal"); err == nil {
		return program{path: path, cli: true, how: "temporal on PATH, " + cliVersion(ctx, path)}, nil
	}
	cache, err := cacheDir()
	if err != nil {
		return program{}, err
	}
	built, buildErr := fromCheckout(ctx, cache, progress)
	if buildErr == nil {
		return program{path: built, how: "devserver built from this checkout"}, nil
	}
	downloaded, err := download(ctx, cache, progress)
	if err != nil {
		return program{}, fmt.Errorf("no Temporal server: no temporal on PATH; %w; %w", buildErr, err)
	}
	return program{path: downloaded, cli: true, how: "temporal downloaded, " + cliVersion(ctx, downloaded)}, nil
}

func fromCheckout(ctx context.Context, cache string, progress io.Writer) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	root := Checkout(dir)
	if root == "" {
		return "", errors.New("not inside a checkout of crmsync, where one could be built")
	}
	return buildDevserver(ctx, filepath.Join(root, "devserver"), cache, progress)
}

// cliVersion is the "1.9.1" of "temporal version 1.9.1 (Server 1.32.0, …)".
func cliVersion(ctx context.Context, path string) string {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if fields := strings.Fields(string(out)); err == nil && len(fields) > 2 {
		return fields[2]
	}
	return "of unknown version"
}

// download has the SDK fetch Temporal's command line. The SDK can only fetch
// and start in one, and its servers outlive us, so that one is stopped again.
func download(ctx context.Context, cache string, progress io.Writer) (string, error) {
	if path := downloaded(cache); path != "" {
		return path, nil
	}
	fmt.Fprintln(progress, "downloading Temporal's command line, once")
	server, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		CachedDownload: testsuite.CachedDownload{DestDir: cache},
		Stdout:         io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return "", fmt.Errorf("download temporal: %w", err)
	}
	if err := server.Stop(); err != nil {
		return "", fmt.Errorf("stop the downloaded temporal: %w", err)
	}
	if path := downloaded(cache); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("download temporal: not found in %s", cache)
}

// downloaded is the file that the SDK stored, named after its version.
func downloaded(cache string) string {
	files, _ := filepath.Glob(filepath.Join(cache, "temporal-cli-go-sdk-*"))
	if len(files) == 0 {
		return ""
	}
	return files[len(files)-1]
}
