package httpapi

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/templates"
)

// The manual names everything that there is to be named.
func TestManualIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/connectors/http.md")
	require.NoError(t, err)
	manual := string(text)
	named := func(what ...string) {
		t.Helper()
		found := slices.ContainsFunc(what, func(w string) bool { return strings.Contains(manual, w) })
		require.True(t, found, "the manual does not name %s", what[0])
	}
	for _, v := range []verb{checking, searching, creating, putting, puttingBatch, updating, reading, consenting} {
		named("`" + v.name + "`")
		for _, name := range templates.Names(reflect.TypeOf(v.samples[0])) {
			if !isPart(name) {
				named("`" + name + "`")
			}
		}
		for _, key := range v.results {
			named("`" + key + "`")
		}
	}
	for _, name := range templates.Functions() {
		named("| `"+name+" ", ", `"+name+" ")
	}
	for _, kind := range kinds {
		named("`" + kind + "`")
	}
	for _, key := range slices.Concat(keysOf(Config{}), keysOf(Operation{}), keysOf(FindContacts{}), keysOf(PutMessage{})) {
		named("`"+key+"`", "."+key+"`")
	}
	for _, key := range slices.Concat(keysOf(Auth{}), keysOf(OAuth{}), keysOf(Basic{})) {
		named(key + ": ")
	}
	for name := range spellings {
		named("`" + name + "`")
	}
}

// isPart reports whether a name is one of a group that the manual explains, or
// an item's.
func isPart(name string) bool {
	for _, group := range []string{".Agent", ".Contact", ".Record", ".Items.", ".Phone.", ".Line.", ".Media."} {
		if name == group || strings.HasPrefix(name, group) && strings.HasSuffix(group, ".") {
			return true
		}
	}
	return false
}

func keysOf(settings any) []string {
	var keys []string
	for f := range reflect.TypeOf(settings).Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
