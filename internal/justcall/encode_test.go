package justcall

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEncodeURIComponent(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"":                                "",
		"https://sms.example.com/a?b=c&d": "https%3A%2F%2Fsms.example.com%2Fa%3Fb%3Dc%26d",
		"a b+c":                           "a%20b%2Bc",
		"-_.!~*'()":                       "-_.!~*'()",
		"\";,/?:@&=+$#[]":                 "%22%3B%2C%2F%3F%3A%40%26%3D%2B%24%23%5B%5D",
		"é":                               "%C3%A9",
		"\U0001F600":                      "%F0%9F%98%80",
		"abcXYZ019":                       "abcXYZ019",
		"100%":                            "100%25",
	}
	for in, want := range cases {
		require.Equal(t, want, encodeURIComponent(in))
	}
}

// The same by way of the standard library, whose encoding differs on the space
// and on five marks.
func encodeReference(s string) string {
	return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(s))
}

func FuzzEncodeURIComponent(f *testing.F) {
	f.Add("https://sms.example.com/a b?c=d&e=é#f")
	f.Add("-_.!~*'()")
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, encodeReference(s), encodeURIComponent(s))
	})
}
