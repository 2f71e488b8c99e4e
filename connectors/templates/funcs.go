package templates

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

// rawText goes into a request as it is. Only raw makes it.
type rawText string

// Error says why a template cannot be filled in, in words that repeat no
// value.
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// functions are those that templates may use, beside those of text/template.
// The value comes last, so that they can follow a |.
var functions = template.FuncMap{
	"choose":    choose,
	"date":      func(layout string, t time.Time) string { return t.Format(layout) },
	"default":   byDefault,
	"in":        inZone,
	"int":       integer,
	"json":      jsonText,
	"lower":     onText(strings.ToLower),
	"raw":       func(v any) (rawText, error) { s, err := textOf(v); return rawText(s), err },
	"replace":   replace,
	"sha256":    onText(SHA256),
	"truncate":  truncate,
	"unix":      func(t time.Time) int64 { return t.Unix() },
	"unixMilli": func(t time.Time) int64 { return t.UnixMilli() },
	"upper":     onText(strings.ToUpper),
	"uuid":      onText(UUID),
}

// Functions answers the names of the functions that templates may use, beside
// those of text/template, in order.
func Functions() []string { return slices.Sorted(maps.Keys(functions)) }

// builtins are the functions of text/template.
const builtins = "and, eq, ge, gt, html, index, le, len, lt, ne, not, or, print, printf, println, slice, urlquery"

func functionNames() string {
	return strings.Join(Functions(), ", ") + ", " + builtins
}

func onText(f func(string) string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := textOf(v)
		return f(s), err
	}
}

// textOf is what a value looks like in running text. Times are in RFC 3339.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case time.Time:
		if v.IsZero() {
			return "", nil
		}
		return v.Format(time.RFC3339Nano), nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return r.String(), nil
	case reflect.Bool, reflect.Int, reflect.Int64:
		return fmt.Sprint(v), nil
	case reflect.Float64:
		return strconv.FormatFloat(r.Float(), 'f', -1, 64), nil
	}
	return "", Error("a list or a group of values cannot stand in a text: name one of its values, range over it, or use json")
}

func jsonText(v any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if t, ok := v.(time.Time); ok && t.IsZero() {
		v = nil
	}
	if err := encoder.Encode(v); err != nil {
		return "", Error("a value cannot be written as JSON")
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// byDefault answers v, or instead where v is empty.
func byDefault(instead, v any) any {
	if v == nil || reflect.ValueOf(v).IsZero() {
		return instead
	}
	return v
}

// truncate keeps the first n characters.
func truncate(n int, v any) (string, error) {
	s, err := textOf(v)
	for i := range s {
		if n--; n < 0 {
			return s[:i], err
		}
	}
	return s, err
}

func replace(old, instead string, v any) (string, error) {
	s, err := textOf(v)
	return strings.ReplaceAll(s, old, instead), err
}

func inZone(zone string, t time.Time) (time.Time, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return t, Error("there is no time zone of that name")
	}
	return t.In(location), nil
}

// integer makes a number of a text, so that JSON shows no quotes. Nil stays.
func integer(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	s, err := textOf(v)
	if err != nil {
		return nil, err
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, Error("a value is not a whole number, as int demands")
	}
	return i, nil
}

// choose answers what stands behind the word that v is; a last word without a
// partner is for all others.
func choose(v any, words ...any) (any, error) {
	s, err := textOf(v)
	if err != nil {
		return nil, err
	}
	for pair := range slices.Chunk(words, 2) {
		if len(pair) == 1 {
			return pair[0], nil
		}
		if word, err := textOf(pair[0]); err == nil && word == s {
			return pair[1], nil
		}
	}
	return nil, Error("choose has no word for a value")
}

// SHA256 answers the hash of a text, in hex.
func SHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// UUID derives a UUID (version 8, RFC 9562) from a text.
func UUID(s string) string {
	sum := sha256.Sum256([]byte(s))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// The escapers, one for each place where a value can stand. Their names are
// none that a person would write.
const (
	escapePath     = "_path"
	escapeText     = "_text"
	escapeHeader   = "_header"
	escapeJSON     = "_json"
	escapeFragment = "_fragment"
)

var escapers = template.FuncMap{
	escapePath:     unlessRaw(pathSegment),
	escapeText:     unlessRaw(textOf),
	escapeHeader:   unlessRaw(func(v any) (string, error) { s, err := textOf(v); return headerValue(s), err }),
	escapeJSON:     unlessRaw(jsonText),
	escapeFragment: unlessRaw(jsonFragment),
}

func unlessRaw(escape func(any) (string, error)) func(any) (string, error) {
	return func(v any) (string, error) {
		if raw, ok := v.(rawText); ok {
			return string(raw), nil
		}
		return escape(v)
	}
}

// jsonFragment is a value within a JSON string.
func jsonFragment(v any) (string, error) {
	s, err := textOf(v)
	if err != nil {
		return "", err
	}
	quoted, err := jsonText(s)
	return quoted[1 : len(quoted)-1], err
}

// MaxHeader is how much of a value goes into a header, in bytes: servers refuse
// whole requests for their headers' size.
const MaxHeader = 1000

// headerValue makes a value harmless in a header: one line, and short.
func headerValue(s string) string {
	s = OneLine(s) // which makes bytes that are no text longer
	end := min(len(s), MaxHeader)
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// OneLine puts a space in the place of each control character.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
