package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every mistake is found when the configuration is read, and its message names
// the key and what could stand there.
func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	put := func(lines string) string {
		return "put_message:\n  path: messages\n  result: { id: body.id }\n  " + strings.ReplaceAll(lines, "\n", "\n  ")
	}
	for name, c := range map[string]struct{ config, want string }{
		"no base_url":                  {"base_url: ''", "base_url: is missing"},
		"no class":                     {"class: ''", "class: must be A"},
		"no check":                     {"check:", "check: is missing"},
		"no path":                      {"check: { query: { a: b } }", "check.path: is missing"},
		"unknown key":                  {"chek: { path: me }", "chek"},
		"region":                       {"region: usa", "region: must be an ISO 3166-1"},
		"on_ambiguous elsewhere":       {"on_ambiguous: repeat", "on_ambiguous: has no effect unless class is D"},
		"on_ambiguous":                 {"class: D\non_ambiguous: guess", "on_ambiguous: must be park or repeat"},
		"limits":                       {"limits: [{ name: burst, requests: 5 }]", "limits[0]: needs a name of its own, requests, and per or midnight"},
		"a midnight nowhere":           {"limits: [{ name: day, requests: 5, midnight: Nowhere/Land }]", "limits[0].midnight: must be a time zone"},
		"a header that is none":        {"headers: { 'X Y': z }", "headers.X Y: is not the name of a header"},
		"a header of the connection":   {put("body: '{}'\nheaders: { Content-Length: '1' }"), "put_message.headers.Content-Length: cannot be set here"},
		"idempotency header":           {"idempotency_header: 'a b'", "idempotency_header: is not"},
		"several ways to authenticate": {"auth: { bearer: x, headers: { A: b } }", "auth: takes one of"},
		"a line break in a secret":     {"auth: { bearer: \"s3cr3t\\n\" }", "auth.bearer: holds a character"},
		"a line break in a header":     {"auth: { headers: { A: \"s3cr3t\\n\" } }", "auth.headers.A: holds a character"},
		"a header for a secret":        {"auth: { headers: { 'A B': s3cr3t } }", "auth.headers: holds what is not"},
		"oauth without a secret":       {"auth: { oauth: { token_url: https://x, client_id: a } }", "auth.oauth: needs client_id and client_secret"},
		"oauth without a URL":          {"auth: { oauth: { token_url: x, client_id: a, client_secret: b, client_auth: c } }", "auth.oauth.token_url: must be"},
		"how oauth sends":              {"auth: { oauth: { token_url: https://x, client_id: a, client_secret: b, client_auth: c } }", "auth.oauth.client_auth: must be"},
		"method":                       {put("method: GET"), "put_message.method: must be one of POST, PUT, PATCH, DELETE"},
		"a body in a GET":              {"check: { path: me, body: '{}' }", "check.method: a GET carries no body"},
		"body and form":                {put("body: '{}'\nform: { a: b }"), "put_message.form: cannot stand beside body"},
		"query in the path":            {"check: { path: 'me?a=b' }", "check.path: a path has no ? or #"},
		"empty segment":                {"check: { path: 'a//b' }", "check.path: the path has an empty segment"},
		"steps":                        {"check: { path: '../me' }", "check.path: a segment of the path is . or .."},
		"unknown name":                 {put("body: '{{.Contcat.ID}}'"), "put_message.body: .Contcat.ID is not known here; known are .Account, .Agent, .Agent.Email"},
		"unknown name in a branch":     {put(`body: '{{if eq .Direction "odd"}}{{.Nope}}{{else}}1{{end}}'`), "put_message.body: .Nope is not known here"},
		"unknown name in a range":      {put(`body: '[{{range $i, $m := .Media}}{{$m.Link}}{{end}}]'`), "put_message.body: $m.Link is not known here; known are .ContentType, .URL"},
		"unknown name in a with":       {put(`body: '{{with .Agent}}{{.Phone}}{{end}}'`), "is always there: ask for one of its values, such as .Agent.ID"},
		"unknown name behind a dollar": {put(`body: '{{range .Media}}{{$.Nope}}{{end}}1'`), "$.Nope is not known here"},
		"a name of another operation":  {"find_contacts: { path: 'c/{{.Key}}', result: { id: item.id, phones: item.p } }", "find_contacts.path: .Key is not known here; known are .Number, .Phone"},
		"unknown function":             {put("body: '{{.Body | capitalise}}'"), `put_message.body: function "capitalise" not defined; known are choose, date`},
		"syntax of a template":         {put("query: { a: '{{.Body' }"), "put_message.query.a: unclosed action"},
		"not JSON":                     {put(`body: '{"a": }'`), "put_message.body: is not valid JSON"},
		"not JSON for some":            {put(`body: '{"a": 1 {{if .Contact.ID}}, "b": 2{{else}},{{end}} }'`), "put_message.body: is not valid JSON"},
		"a quote that is not closed":   {put(`body: '{"a": "{{.Body}}}'`), "put_message.body: a JSON string does not end"},
		"quotes by branches":           {put(`body: '{"a": {{if .Body}}"{{end}}x"}'`), "the branches of {{if .Body}} end on different sides"},
		"quotes in a range":            {put(`body: '[{{range .Media}}"{{else}}"{{end}}]'`), "begins and ends on different sides"},
		"a backslash before a value":   {put(`body: '{"a": "\{{.Body}}"}'`), "a backslash stands before {{"},
		"other templates":              {put(`body: '{{template "x"}}'`), "not supported here"},
		"a list in a text":             {put(`body: '{"a": "{{.Media}}"}'`), "put_message.body: a list or a group of values cannot stand in a text"},
		"a number that may be none":    {put(`body: '{"a": {{int .Contact.ID}}}'`), "put_message.body: a value is not a whole number"},
		"a choice that may be none":    {put(`body: '{{choose .Direction "inbound" "in"}}'`), "put_message.body: choose has no word"},
		"no such time zone":            {put(`body: '{{.At | in "Nowhere/Land" | date "2006"}}'`), "put_message.body: there is no time zone"},
		"a wrong argument":             {put(`body: '{{.At | date 5}}'`), "put_message.body: <5>: expected string"},
		"no result":                    {"put_message: { path: m }", "put_message.result.id: is missing"},
		"a result that means nothing":  {put("verdict: 'true'\nstatus: {}") + "\nupdate_status: { path: x, result: { id: body.id } }", "update_status.result.id: has no meaning here; known are none"},
		"unknown name of a result":     {"find_message: { path: x, result: { id: bdy.id, match: 'true' } }", "find_message.result.id: unknown name bdy (1:1); known are body, headers, item, status and input, which has .Account"},
		"unknown name of the input":    {"find_message: { path: x, result: { id: body.id, match: 'item.key == input.Kee' } }", "find_message.result.match: type"},
		"syntax of an expression":      {"verdict: 'body.ok ? '", "check.verdict: unexpected token EOF"},
		"no status":                    {put("status: { teapot: ok }"), "put_message.status.teapot: is not an HTTP status"},
		"a status that means nothing":  {put("status: { 404: none }"), "put_message.status.404: must be one of ok, existed, UNAVAILABLE"},
		"spellings":                    {"find_contacts: { path: c, spellings: [roman], result: { id: item.id, phones: item.p } }", "find_contacts.spellings: are e164"},
		"batch":                        {put("batch: 5000"), "put_message.batch: must be from 1 to 1000"},
		"a batch without items":        {put("batch: 5"), "put_message.result.items: is missing"},
		"a look without a finder":      {put("look_first: true"), "put_message.look_first: needs find_message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := open(completed(c.config + "\n"))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	err := open("type: http\nbase_url: x\nput_message: { path: 'a//b', body: '{{.Nope}}' }")
	for _, want := range []string{"base_url: ", "class: ", "check: is missing", "put_message.path: ", "put_message.body: ", "put_message.result.id: "} {
		require.ErrorContains(t, err, want)
	}
}
