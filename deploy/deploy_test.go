// Package deploy_test holds what is deployed to what is built.
package deploy_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// find answers the first group of a pattern in a file.
func find(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	require.NotNil(t, found, "%s has no %s", file, pattern)
	return string(found[1])
}

func TestTheImageIsBuiltWithTheModulesGo(t *testing.T) {
	t.Parallel()
	require.Equal(t, find(t, "../go.mod", `(?m)^go (\d+\.\d+)`), find(t, "../Dockerfile", `FROM .*golang:(\d+\.\d+)`))
}

// A supervisor waits longer than the 30 s that a stop may take.
func TestTheUnitWaitsForTheStop(t *testing.T) {
	t.Parallel()
	seconds, err := strconv.Atoi(find(t, "systemd/crmsync.service", `(?m)^TimeoutStopSec=(\d+)$`))
	require.NoError(t, err)
	require.Greater(t, seconds, 30)
}
