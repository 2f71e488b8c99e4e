package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// hidden is what every secret prints as.
const hidden = "***"

// Secret is a credential. However it is printed, logged or marshalled it shows
// as ***; only Reveal gives the value.
//
// There is one thing that no method can prevent: hclog's text format prints a
// []Secret given to it directly as the strings that they are. Do not log one.
type Secret string

// Reveal gives the value, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer. An empty secret shows as empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// URL is a URL that may hold a secret: a password, a query, or the token in the
// path of a webhook. These show as ***; only Reveal gives the value.
type URL string

// Reveal gives the value, for the one place that uses it.
func (u URL) Reveal() string { return string(u) }

// String implements fmt.Stringer and leaves out what may be secret.
func (u URL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Host == "" {
		return hidden
	}
	var b strings.Builder
	b.WriteString(parsed.Scheme + "://")
	if parsed.User != nil {
		b.WriteString(hidden + "@")
	}
	b.WriteString(parsed.Host + hideToken(parsed.EscapedPath()))
	if parsed.RawQuery != "" || parsed.Fragment != "" {
		b.WriteString("?" + hidden)
	}
	return b.String()
}

// Format implements fmt.Formatter for every verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.String())) }

// GoString implements fmt.GoStringer.
func (u URL) GoString() string { return u.String() }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML use.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue implements slog.LogValuer.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// webhookPath is where webhooks are served: {webhookPath}{account}[/{token}].
const webhookPath = "/webhooks/justcall/"

// hideToken hides all that follows the account in a webhook's path.
func hideToken(path string) string {
	rest, ok := strings.CutPrefix(path, webhookPath)
	if !ok {
		return path
	}
	account, _, tokened := strings.Cut(rest, "/")
	if !tokened {
		return path
	}
	return webhookPath + account + "/" + hidden
}
