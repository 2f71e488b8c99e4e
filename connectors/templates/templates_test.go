package templates

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeaderValuesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		long := "xxxx"[:min(n, 4)] + strings.Repeat("👍", 400)
		got := headerValue(long)
		require.LessOrEqual(t, len(got), MaxHeader)
		require.Greater(t, len(got), MaxHeader-4)
		require.NotContains(t, got, "\uFFFD")
	}
}

type list struct {
	Name  string
	Items []list
	ByKey map[string]string
}

// A template that would go on for ever is refused, or stopped.
func TestTemplatesHaveBounds(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{range 1000000000}}{{end}}": "range needs a list, and 1000000000 is none",
		"{{range .Name}}{{end}}":      "range needs a list, and .Name is none",
	} {
		_, err := Parse(source, Text, list{})
		require.EqualError(t, err, want)
	}
	_, err := Parse("{{range .Items}}{{.Name}}{{end}}{{range $k, $v := .ByKey}}{{$k}}{{end}}", Text, list{})
	require.NoError(t, err)

	many := list{Name: "x", Items: make([]list, 3000)}
	f, err := Parse("{{.Name}}{{range .Items}}{{range $.Items}}{{$.Name}}{{end}}{{end}}", Text, many)
	require.NoError(t, err)
	_, err = f.FillWithin(1000, time.Hour, many)
	require.EqualError(t, err, "it becomes too long")
	_, err = f.FillWithin(1<<30, time.Nanosecond, many)
	require.EqualError(t, err, "it takes too long")
	short, err := f.FillWithin(1, time.Hour, list{Name: "x"})
	require.NoError(t, err)
	require.Equal(t, "x", short)
}
