package main_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// codeSpan is what stands between backquotes in running text.
var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// repositoryPath is a file or folder of the repository: it has a slash at its
// end or inside, or is a file at the top. Words in capitals are placeholders.
var repositoryPath = regexp.MustCompile(`^(\.?[a-z0-9_][a-z0-9_.-]*/)+[A-Za-z0-9_.-]*$|^(main\.go|\.golangci\.yml|[A-Z]+\.md)$`)

// notPaths look like paths and are something else.
var notPaths = map[string]string{
	"net/http":  "a package of the standard library",
	"testdata/": "a folder of several packages",
}

func TestThePathsInContributingExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	checked := 0
	for _, span := range codeSpan.FindAllStringSubmatch(string(text), -1) {
		path := span[1]
		if notPaths[path] != "" || !repositoryPath.MatchString(path) {
			continue
		}
		_, err := os.Stat(path)
		require.NoError(t, err, "CONTRIBUTING.md names %s", path)
		checked++
	}
	require.Greater(t, checked, 20)
}

// The targets that CONTRIBUTING.md names are in the Makefile.
func TestTheMakeTargetsInContributingExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	text, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	targets := regexp.MustCompile("(?m)(?:`|^)make ([a-z]+)").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, targets)
	for _, target := range targets {
		require.Contains(t, string(makefile), "\n"+target[1]+": ")
	}
}
