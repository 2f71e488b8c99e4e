package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]struct {
		at   place
		want string
	}{
		`{"a": {{.Body}}, "b": "<{{.Body}}>", "c": {{.At}}}`:      {inJSON, `{"a": "Your table is ready", "b": "<Your table is ready>", "c": "2026-11-21T09:30:00Z"}`},
		`{{.Contact.ID | int}}`:                                   {inJSON, `1001`},
		`[{{.Medium | default nil}}, {{"" | default nil | int}}]`: {inJSON, `["api", null]`},
		`{{.Media}}`: {inJSON, `[{"url":"https://example.com/picture.jpg","content_type":"image/jpeg"}]`},
		`[{{range $i, $m := .Media}}{{if $i}},{{end}}{{$m.URL}}{{end}}]`: {inJSON, `["https://example.com/picture.jpg"]`},
		`"{{json .Media}}"`: {inJSON, `"[{\"url\":\"https://example.com/picture.jpg\",\"content_type\":\"image/jpeg\"}]"`},
		`{{choose .Direction "inbound" 1 "outbound" 2}}`: {inJSON, `2`},
		`{{choose .Direction "inbound" "in" "other"}}`:   {inJSON, `"other"`},
		`{{unix .At}} `: {inJSON, `1795253400 `},
		`[{{unixMilli .At}}, {{.At.Year}}, {{len .Media}}, {{not .Media}}]`:    {inJSON, `[1795253400000, 2026, 1, false]`},
		`{"a\"b": "{{.ID}}\\{{.ID}}"}`:                                         {inJSON, `{"a\"b": "msg_1\\msg_1"}`},
		`{{with .Medium}}{{.}}{{else}}null{{end}}`:                             {inJSON, `"api"`},
		`{{$k := .Key}}{{$k}}`:                                                 {inJSON, `"main/msg_1"`},
		`{"x": {{raw "[1, 2]"}}}`:                                              {inJSON, `{"x": [1, 2]}`},
		`texts/{{.Key}}/{{raw "a/b"}}`:                                         {inPath, `texts/main%2Fmsg_1/a/b`},
		`texts/{{sha256 .ID}}`:                                                 {inPath, `texts/116b88f173007be5e05df2a87105f0950bef284d0ceca39951e9bae80706ac45`},
		`{{uuid .Key}}`:                                                        {inQuery, `f4afa5df-510e-83c5-9447-4f81136bd8ab`},
		`{{.At | in "America/Chicago" | date "01/02/2006 15:04"}}`:             {inQuery, `11/21/2026 03:30`},
		`{{.Phone}} {{.Phone.E164}} {{.Phone.Digits}} {{.Line.National}}`:      {inQuery, `+15125550143 +15125550143 15125550143 5125550100`},
		`{{lower .Agent.Name}} {{upper .ID}} {{truncate 4 .Body}}|{{.Marker}}`: {inQuery, `sam MSG_1 Your|[crmsync main/msg_1]`},
		`{{.Body | replace " " "_"}} {{html "<&>"}} {{.Account}}`:              {inQuery, `Your_table_is_ready &lt;&amp;&gt; main`},
		"Bearer {{.Owner}}\n{{raw \"a\\nb\"}}":                                 {inHeader, "Bearer 42 a b"},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			f, err := parseField(source, want.at, fullText())
			require.NoError(t, err)
			got, err := f.fill(fullText())
			require.NoError(t, err)
			require.Equal(t, want.want, got)
		})
	}
}

// What keeps a template from being filled in is said without the value.
func TestErrorsOfTemplatesHoldNoValue(t *testing.T) {
	t.Parallel()
	private := leastText()
	private.Body, private.ID, private.Direction, private.Medium = "private", "..", "private", ""
	for source, want := range map[string]string{
		`{{int .Body}}`:               "a value is not a whole number, as int demands",
		`{{choose .Direction "a" 1}}`: "choose has no word for a value",
		`{{index .Media 3}}`:          "a value is not of the kind that the template expects",
		`{{slice .Body 3 99}}`:        "a value is not of the kind that the template expects",
	} {
		f, err := parseField(source, inJSON, private)
		require.NoError(t, err)
		_, err = f.fill(private)
		require.EqualError(t, err, want)
	}
	for source, want := range map[string]string{
		`texts/{{.ID}}`:     "a segment of the path is . or ..",
		`texts/{{.Medium}}`: "an empty value stands in a path",
	} {
		f, err := parseField(source, inPath, private)
		require.NoError(t, err)
		_, err = f.fill(private)
		require.EqualError(t, err, want)
	}
}

// Markers are told apart whatever the keys are, since none ends within another.
func TestMarkersAreUnambiguous(t *testing.T) {
	t.Parallel()
	keys := []string{"main/a", "main/a]", "main/a%5D", "main/[a", "a/main/a", "main/a b"}
	for _, one := range keys {
		for _, other := range keys {
			if one != other {
				require.NotContains(t, marker(one), marker(other))
			}
		}
	}
	require.Equal(t, "[crmsync main/msg_1]", marker("main/msg_1"))
}

func TestHeaderValuesAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		long := "xxxx"[:min(n, 4)] + strings.Repeat("👍", 400)
		got := headerValue(long)
		require.LessOrEqual(t, len(got), maxHeader)
		require.Greater(t, len(got), maxHeader-4)
		require.NotContains(t, got, "\uFFFD")
	}
}
