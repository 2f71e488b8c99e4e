package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/connectors/templates"
)

// hostile values break what is not escaped for its place. They are the seeds of
// the fuzz test.
var hostile = []string{
	"plain", "", " ", ".", "..", "%2e%2e", `"`, `\`, `\"`, `\u0022`, `"}, "x": {"`, `'; --`, "<b>&amp;</b>", "/", "//", "../../x", "a/b", `a\b`, "%2F", "%", "%zz",
	"?x=1&y=2#z", "a&b=c+d;e", "{{", "{{.Key}}", "}}", `{{"{{"}}`, "${HOME}", "$1", "a\nb", "a\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1", "\x00", "a\x00b", "\x7f\x1b[0m",
	"\xff\xfe", "a\xc3", "\u2028\u2029", "\ufeff", "👍🏽", "\u202eabc", "null", "true", "1e400", "[]", ",", ":", "http://evil.example/", "@evil.example",
	strings.Repeat(`"\`+"\n/{{", 20_000),
}

// FuzzTemplates puts a value into every field of every operation, in every
// place where a template can stand, and reads the request as a server does: it
// has the structure that it has with a harmless value.
func FuzzTemplates(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	var everywhere, paths []*operation
	for _, v := range []verb{searching, creating, putting, puttingBatch, updating, reading, consenting} {
		everywhere = append(everywhere, inEveryPlace(f, v))
		if len(texts(reflect.TypeOf(v.samples[0]), "")) > 0 { // a batch has none of its own
			paths = append(paths, inAPath(f, v))
		}
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, o := range everywhere {
			got := observe(t, o, value)
			require.Equal(t, shapeOf(observe(t, o, "harmless")), shapeOf(got), o.name)
			arrived(t, got)
		}
		for _, o := range paths {
			staysASegment(t, observe(t, o, value), value)
		}
	})
}

// seen is a request as a server parsed it.
type seen struct {
	*http.Request
	body []byte
	// values are what the templates were given, by name.
	values map[string]string
}

// inEveryPlace is an operation with every name in query, headers and body.
func inEveryPlace(t testing.TB, v verb) *operation {
	names := texts(reflect.TypeOf(v.samples[0]), "")
	o := Operation{Method: http.MethodPost, Path: "fixed/path"}
	o.Query, o.Headers, o.Body = everywhere(names)
	if len(names) == 0 {
		o.Body = everyItem()
	}
	return compiled(t, v, o)
}

// inAPath has two names in its path, one of them as part of a segment.
func inAPath(t testing.TB, v verb) *operation {
	names := texts(reflect.TypeOf(v.samples[0]), "")
	return compiled(t, v, Operation{Method: http.MethodPost, Path: "a/{{" + names[0] + "}}/b-{{" + names[len(names)-1] + "}}/c"})
}

// compiled leaves out what does not matter here: results, and samples that lack
// values.
func compiled(t testing.TB, v verb, o Operation) *operation {
	t.Helper()
	v.required, v.samples = nil, v.samples[:1]
	operation, err := compile(v, o, "")
	require.NoError(t, err)
	return operation
}

// observe fills in an operation and answers the request that arrives, nil for
// none.
func observe(t *testing.T, o *operation, value string) *seen {
	t.Helper()
	input, values := filledIn(o.samples[0], value)
	got := &seen{values: values}
	tried := *o
	tried.api = rest.New(&http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		got.Request, got.body = parsed(t, r)
		return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})}, "https://crm.example.com/api")
	_, _, failure := tried.call(t.Context(), "main/msg_1", input, 0)
	if failure != nil {
		require.Equal(t, connectors.Invalid, failure.Kind, failure)
		require.Nil(t, got.Request, "what is refused is not sent")
		return nil
	}
	return got
}

// parsed reads a request from the wire.
func parsed(t *testing.T, r *http.Request) (*http.Request, []byte) {
	t.Helper()
	var wire bytes.Buffer
	require.NoError(t, r.Write(&wire))
	reader := bufio.NewReader(&wire)
	got, err := http.ReadRequest(reader)
	require.NoError(t, err)
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Empty(t, rest, "a second request is smuggled in")
	return got, body
}

// texts are the names of all texts in a type, such as .Agent.Name.
func texts(t reflect.Type, prefix string) []string {
	if t.Kind() == reflect.String {
		return []string{prefix}
	}
	var names []string
	if t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		for f := range t.Fields() {
			names = append(names, texts(f.Type, prefix+"."+f.Name)...)
		}
	}
	return names
}

func everywhere(names []string) (query, headers map[string]string, body string) {
	query, headers = map[string]string{"fixed": "1"}, map[string]string{"X-Fixed": "1"}
	fields := []string{`"fixed": [true, {"a": "b"}]`}
	for _, name := range names {
		key := strings.ReplaceAll(name[1:], ".", "-")
		query[key], headers["X-"+key] = "{{"+name+"}}", "v {{"+name+"}}"
		fields = append(fields, fmt.Sprintf(`"%s": {{%s}}, "in %s": "< {{%s}} >"`, key, name, key, name))
	}
	return query, headers, "{" + strings.Join(fields, ", ") + "}"
}

func everyItem() string {
	_, _, item := everywhere(texts(reflect.TypeFor[text](), ""))
	return "[{{range $i, $m := .Items}}{{if $i}},{{end}}" + item + "{{end}}]"
}

// maxEverywhere is how long a value is put into all fields; a longer one goes
// into one of them, so that the test ends.
const maxEverywhere = 4000

// filledIn answers a copy of a sample with the value in its texts, and all
// texts by name.
func filledIn(sample any, value string) (any, map[string]string) {
	copied := reflect.New(reflect.TypeOf(sample)).Elem()
	copied.Set(reflect.ValueOf(sample))
	values := map[string]string{}
	all := len(value) <= maxEverywhere
	setTexts(copied, "", func(name string, v reflect.Value) {
		if all || len(values) == 0 {
			v.SetString(value)
		}
		values[name] = v.String()
	})
	return copied.Interface(), values
}

func setTexts(v reflect.Value, name string, set func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.String:
		set(name, v)
	case v.Kind() == reflect.Slice:
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			setTexts(v.Index(i), fmt.Sprintf("%s[%d]", name, i), set)
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			setTexts(v.Field(i), name+"."+v.Type().Field(i).Name, set)
		}
	}
}

// shapeOf is all of a request but its values.
func shapeOf(s *seen) string {
	if s == nil {
		return "refused"
	}
	var body any
	if err := json.Unmarshal(s.body, &body); err != nil {
		return "no JSON"
	}
	return fmt.Sprint(s.Method, s.Host, s.URL.EscapedPath(), keys(s.URL.Query()), keys(url.Values(s.Header)), shape(body))
}

func keys(m url.Values) []string {
	var out []string
	for name, values := range m {
		if name != "Content-Length" {
			out = append(out, fmt.Sprintf("%s×%d", name, len(values)))
		}
	}
	slices.Sort(out)
	return out
}

func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = shape(v[key])
		}
		return v
	case []any:
		for i := range v {
			v[i] = shape(v[i])
		}
		return v
	}
	return fmt.Sprintf("%T", v)
}

// arrived requires that values are what they were: in a query to the byte, in
// JSON where they are UTF-8, in a header as one short line.
func arrived(t *testing.T, s *seen) {
	t.Helper()
	var body map[string]any
	if json.Unmarshal(s.body, &body) != nil {
		return // a batch, whose items have the shape of a single text
	}
	for name, want := range s.values {
		key := strings.ReplaceAll(strings.TrimPrefix(name, "."), ".", "-")
		if strings.Contains(name, "[") {
			continue
		}
		require.Equal(t, want, s.URL.Query().Get(key), name)
		if utf8.ValidString(want) {
			require.Equal(t, want, body[key], name)
			require.Equal(t, "< "+want+" >", body["in "+key], name)
		}
		header := s.Header.Get("X-" + key)
		require.LessOrEqual(t, len(header), templates.MaxHeader+2)
		require.False(t, strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r == 0x7f }), name)
		if len(want) < templates.MaxHeader && utf8.ValidString(want) && templates.OneLine(want) == want {
			require.Equal(t, strings.TrimRight("v "+want, " "), header, name)
		}
	}
}

// staysASegment requires that a value in a path is one segment, whole or in
// part, or that the request is refused.
func staysASegment(t *testing.T, got *seen, value string) {
	t.Helper()
	if value == "" || value == "." || value == ".." {
		require.Nil(t, got)
		return
	}
	require.NotNil(t, got)
	segments := strings.Split(got.URL.EscapedPath(), "/")
	require.Len(t, segments, 6)
	require.Equal(t, []string{"", "api", "a", "c"}, []string{segments[0], segments[1], segments[2], segments[5]})
	require.True(t, strings.HasPrefix(segments[4], "b-"))
	if len(value) > maxEverywhere {
		return
	}
	for _, segment := range []string{segments[3], strings.TrimPrefix(segments[4], "b-")} {
		decoded, err := url.PathUnescape(segment)
		require.NoError(t, err)
		require.Equal(t, value, decoded)
	}
}
