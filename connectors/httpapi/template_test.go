package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/templates"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]struct {
		at   templates.Place
		want string
	}{
		`{"a": {{.Body}}, "b": "<{{.Body}}>", "c": {{.At}}}`:      {templates.JSON, `{"a": "Your table is ready", "b": "<Your table is ready>", "c": "2026-11-21T09:30:00Z"}`},
		`{{.Contact.ID | int}}`:                                   {templates.JSON, `1001`},
		`[{{.Medium | default nil}}, {{"" | default nil | int}}]`: {templates.JSON, `["api", null]`},
		`{{.Media}}`: {templates.JSON, `[{"url":"https://example.com/picture.jpg","content_type":"image/jpeg"}]`},
		`[{{range $i, $m := .Media}}{{if $i}},{{end}}{{$m.URL}}{{end}}]`: {templates.JSON, `["https://example.com/picture.jpg"]`},
		`"{{json .Media}}"`: {templates.JSON, `"[{\"url\":\"https://example.com/picture.jpg\",\"content_type\":\"image/jpeg\"}]"`},
		`{{choose .Direction "inbound" 1 "outbound" 2}}`: {templates.JSON, `2`},
		`{{choose .Direction "inbound" "in" "other"}}`:   {templates.JSON, `"other"`},
		`{{unix .At}} `: {templates.JSON, `1795253400 `},
		`[{{unixMilli .At}}, {{.At.Year}}, {{len .Media}}, {{not .Media}}]`:    {templates.JSON, `[1795253400000, 2026, 1, false]`},
		`{"a\"b": "{{.ID}}\\{{.ID}}"}`:                                         {templates.JSON, `{"a\"b": "msg_1\\msg_1"}`},
		`{{with .Medium}}{{.}}{{else}}null{{end}}`:                             {templates.JSON, `"api"`},
		`{{$k := .Key}}{{$k}}`:                                                 {templates.JSON, `"main/msg_1"`},
		`{"x": {{raw "[1, 2]"}}}`:                                              {templates.JSON, `{"x": [1, 2]}`},
		`texts/{{.Key}}/{{raw "a/b"}}`:                                         {templates.Path, `texts/main%2Fmsg_1/a/b`},
		`texts/{{sha256 .ID}}`:                                                 {templates.Path, `texts/116b88f173007be5e05df2a87105f0950bef284d0ceca39951e9bae80706ac45`},
		`{{uuid .Key}}`:                                                        {templates.Text, `f4afa5df-510e-83c5-9447-4f81136bd8ab`},
		`{{.At | in "America/Chicago" | date "01/02/2006 15:04"}}`:             {templates.Text, `11/21/2026 03:30`},
		`{{.Phone}} {{.Phone.E164}} {{.Phone.Digits}} {{.Line.National}}`:      {templates.Text, `+15125550143 +15125550143 15125550143 5125550100`},
		`{{lower .Agent.Name}} {{upper .ID}} {{truncate 4 .Body}}|{{.Marker}}`: {templates.Text, `sam MSG_1 Your|[crmsync main/msg_1]`},
		`{{.Body | replace " " "_"}} {{html "<&>"}} {{.Account}}`:              {templates.Text, `Your_table_is_ready &lt;&amp;&gt; main`},
		"Bearer {{.Owner}}\n{{raw \"a\\nb\"}}":                                 {templates.Header, "Bearer 42 a b"},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			f, err := templates.Parse(source, want.at, fullText())
			require.NoError(t, err)
			got, err := f.Fill(fullText())
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
		f, err := templates.Parse(source, templates.JSON, private)
		require.NoError(t, err)
		_, err = f.Fill(private)
		require.EqualError(t, err, want)
	}
	for source, want := range map[string]string{
		`texts/{{.ID}}`:     "a segment of the path is . or ..",
		`texts/{{.Medium}}`: "an empty value stands in a path",
	} {
		f, err := templates.Parse(source, templates.Path, private)
		require.NoError(t, err)
		_, err = f.Fill(private)
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
