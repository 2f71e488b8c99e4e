package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/httpapi"
	"crmsync/sms"
)

// answering is a CRM that gives one answer to everything.
func answering(status int, body string) wayOut {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/messages/77"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

const phone = sms.Phone("+15125550143")

func TestContactsAreRead(t *testing.T) {
	t.Parallel()
	const answer = `{"n": 2, "list": [
		{"id": 1e0, "p": [null, "", "(512) 555-0143", 72345, "no number"], "at": 1795253400},
		{"id": 123456789012345678, "p": 5125550143, "name": "Ann", "owner": {"id": 7}, "at": "2026-11-21 09:30:00", "kind": "lead"},
		{"id": 123456789012345678901234567890, "p": "+1 512 555 0143 x5", "at": 1795253400123},
		{"id": "d", "p": ["+15125550144"], "at": null}
	]}`
	c := opened(t, "https://crm.example.com", `region: US
find_contacts:
  path: contacts
  result: { items: body.list, id: item.id, phones: item.p, name: item.name, owner: "item.owner?.id", updated: item.at, type: item.kind, url: '"https://x/" + string(item.id)' }
`, answering(200, answer))
	found, err := c.(connectors.ContactFinder).FindContacts(t.Context(), []sms.Phone{phone, "72345"})
	require.NoError(t, err)
	require.Empty(t, found[1], "only full numbers match a contact")
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	require.Equal(t, []connectors.Contact{
		{Ref: connectors.Ref{ID: "1", URL: "https://x/1"}, Phones: []sms.Phone{phone}, Updated: at},
		{Ref: connectors.Ref{Type: "lead", ID: "123456789012345678", URL: "https://x/123456789012345678"}, Name: "Ann", OwnerID: "7", Phones: []sms.Phone{phone}, Updated: at},
		{Ref: connectors.Ref{ID: "123456789012345678901234567890", URL: "https://x/123456789012345678901234567890"}, Phones: []sms.Phone{phone}, Updated: at.Add(123 * time.Millisecond)},
	}, found[0])
}

// A search that fails never looks like one that finds nobody.
func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	const find = "find_contacts: { path: c, status: { 404: none }, result: { items: body.list, id: item.id, phones: item.p, updated: item.at } }"
	for answer, want := range map[string]string{
		`{}`:                                     "result.items is no list",
		`null`:                                   "result.items cannot be read from the answer",
		`{"list": {}}`:                           "result.items is no list",
		`{"list": [{}]}`:                         "result.id is empty",
		`{"list": [1]}`:                          "result.id cannot be read from the answer",
		`{"list": [{"id": {}, "p": "private"}]}`: "result.id is neither a text nor a number",
		`{"list": [{"id": 1, "p": {"a": "private"}}]}`:   "result.phones is neither a number nor a list of numbers",
		`{"list": [{"id": 1, "p": 1, "at": "private"}]}`: "result.updated is no time in a spelling that is understood",
	} {
		c := opened(t, "https://crm.example.com", find, answering(200, answer))
		_, err := c.(connectors.ContactFinder).FindContacts(t.Context(), []sms.Phone{phone})
		e := connectors.AsError("", err)
		require.Equal(t, connectors.Unknown, e.Kind)
		require.EqualError(t, e.Err, want, answer)
		require.False(t, e.Ambiguous)
	}
	for status, answer := range map[int]string{404: `{"error": "none"}`, 200: `{"list": []}`} {
		c := opened(t, "https://crm.example.com", find, answering(status, answer))
		found, err := c.(connectors.ContactFinder).FindContacts(t.Context(), []sms.Phone{phone})
		require.NoError(t, err)
		require.Equal(t, [][]connectors.Contact{nil}, found)
	}
}

func TestSpellingsAreAllTried(t *testing.T) {
	t.Parallel()
	var asked []string
	way := wayOut(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Query().Get("q")+" of "+r.URL.Query().Get("p"))
		return answering(200, `[{"id": 1, "p": "5125550143"}]`)(r)
	})
	c := opened(t, "https://crm.example.com", `region: US
find_contacts:
  path: c
  query: { q: "{{.Number}}", p: "{{.Phone}}" }
  spellings: [national, digits, e164]
  result: { items: body, id: item.id, phones: item.p }
`, way)
	found, err := c.(connectors.ContactFinder).FindContacts(t.Context(), []sms.Phone{phone})
	require.NoError(t, err)
	require.Len(t, found[0], 1, "each contact once")
	require.Equal(t, []string{"5125550143 of +15125550143", "15125550143 of +15125550143", "+15125550143 of +15125550143"}, asked)
}

func TestWhatAPutMeans(t *testing.T) {
	t.Parallel()
	record := connectors.Record{Key: "main/1", Contact: connectors.Ref{ID: "5"}}
	for name, c := range map[string]struct {
		config    string
		status    int
		answer    string
		state     connectors.State
		id        string
		kind      connectors.Kind
		ambiguous bool
	}{
		"created":                              {"", 201, `{"id": 7}`, connectors.Written, "7", "", false},
		"no id":                                {"", 201, `{"id": null}`, connectors.Failed, "", connectors.Unknown, true},
		"an id from a header":                  {"  result: { id: 'split(headers[\"Location\"], \"/\")[2]' }", 201, "", connectors.Written, "77", "", false},
		"a conflict in class B":                {"", 409, `{"id": 7}`, connectors.Failed, "", connectors.Conflict, false},
		"a conflict in class C":                {"class: C", 409, `{"id": 7}`, connectors.Existed, "7", "", false},
		"a conflict that is one":               {"  status: { 409: CONFLICT }\nclass: C", 409, `{"id": 7}`, connectors.Failed, "", connectors.Conflict, false},
		"existed, and no id":                   {"class: C", 409, `gone`, connectors.Existed, "", "", false},
		"a success that is none":               {"  status: { 202: UNAVAILABLE }", 202, `{"id": 7}`, connectors.Failed, "", connectors.Unavailable, true},
		"a status of its own":                  {"  status: { 500: INVALID }", 500, `{}`, connectors.Failed, "", connectors.Invalid, false},
		"limited in its own words":             {"  status: { 420: RATE_LIMITED }", 420, `{}`, connectors.Failed, "", connectors.RateLimited, false},
		"a verdict":                            {"  verdict: 'body.ok ? \"\" : body.why'", 200, `{"ok": false, "why": "AUTH"}`, connectors.Failed, "", connectors.Auth, false},
		"a verdict of doubt":                   {"  verdict: 'body.ok ? \"\" : body.why'", 200, `{"ok": false, "why": "UNKNOWN"}`, connectors.Failed, "", connectors.Unknown, true},
		"a verdict for a success":              {"  verdict: 'body.ok ? \"\" : body.why'", 200, `{"ok": true, "id": 7}`, connectors.Written, "7", "", false},
		"a verdict that says existed":          {"  verdict: 'status == 200 ? \"existed\" : \"\"'", 200, `{"id": 7}`, connectors.Existed, "7", "", false},
		"a verdict that says ok of a failure":  {"  verdict: '\"ok\"'", 500, `{"id": 7}`, connectors.Written, "7", "", false},
		"no word for a verdict":                {"  verdict: 'body.why'", 200, `{"why": "because"}`, connectors.Failed, "", connectors.Unknown, true},
		"a verdict that cannot read a success": {"  verdict: 'body.a.b'", 200, `{}`, connectors.Failed, "", connectors.Unknown, true},
		"a verdict that cannot read a failure": {"  verdict: 'body.a.b'", 422, `no JSON`, connectors.Failed, "", connectors.Invalid, false},
		"a default verdict of all operations":  {"verdict: '\"FORBIDDEN\"'", 200, `{"id": 7}`, connectors.Failed, "", connectors.Forbidden, false},
		"a contact that the path needs":        {"", 0, "", connectors.NotApplicable, "", "", false},
		"a template that cannot be filled in":  {"  headers: { X-A: '{{choose .Contact.ID \"1001\" \"a\" \"\" \"b\"}}' }", 0, "", connectors.Failed, "", connectors.Invalid, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own, rest := "", ""
			for line := range strings.Lines(c.config + "\n") {
				if strings.HasPrefix(line, "  ") {
					own += line
				} else {
					rest += line
				}
			}
			if !strings.Contains(own, "result:") {
				own += "  result: { id: body.id, parent: input.Contact.ID }\n"
			}
			path := "messages"
			r := record
			if c.state == connectors.NotApplicable {
				path, r.Contact = "contacts/{{.Contact.ID}}/messages", connectors.Ref{}
			}
			connector := opened(t, "https://crm.example.com", "put_message:\n  path: "+path+"\n"+own+rest, answering(c.status, c.answer))
			out := connector.PutMessages(t.Context(), []connectors.Record{r})[0]
			require.Equal(t, c.state, out.State, "%v", out.Err)
			require.Equal(t, c.id, out.Ref.ID)
			if c.state == connectors.Failed {
				require.Equal(t, c.kind, out.Err.Kind, "%v", out.Err)
				require.Equal(t, c.ambiguous, out.Err.Ambiguous)
				require.NotContains(t, out.Err.Error(), "because")
			}
		})
	}
}

func TestStatusNeedsTheRecord(t *testing.T) {
	t.Parallel()
	const update = "class: D\nupdate_status: { path: 'messages/{{.Record.ID}}', body: '{\"contact\": {{.Record.Parent}}}' }\n"
	change := connectors.StatusChange{Key: "main/1", Status: sms.StatusDelivered}
	for name, c := range map[string]struct {
		config string
		way    wayOut
		kind   connectors.Kind
	}{
		"nobody knows it":                {"", answering(200, ""), connectors.NotFound},
		"it is not there":                {"find_message: { path: x, status: { 404: none }, result: { id: body.id, match: 'true' } }", answering(404, ""), connectors.NotFound},
		"the search needs a contact":     {"find_message: { path: 'x/{{.Contact.ID}}', result: { id: body.id, match: 'true' } }", answering(200, ""), connectors.NotFound},
		"the search fails":               {"find_message: { path: x, result: { id: body.id, match: 'true' } }", answering(503, ""), connectors.Unavailable},
		"the search answers no yes":      {"find_message: { path: x, result: { id: body.id, match: body.id } }", answering(200, `{"id": 1}`), connectors.Unknown},
		"it is found by what it answers": {"find_message: { path: x, result: { id: body.id, match: 'true' } }", answering(200, `{"id": 1}`), ""},
	} {
		out := opened(t, "https://crm.example.com", update+c.config, c.way).(connectors.StatusUpdater).UpdateStatus(t.Context(), []connectors.StatusChange{change})[0]
		if c.kind == "" {
			require.Equal(t, connectors.Outcome{Ref: connectors.Ref{ID: "1"}, State: connectors.Written}, out, name)
			continue
		}
		require.Equal(t, c.kind, out.Err.Kind, name)
		require.False(t, out.Err.Ambiguous, name)
	}
}

// What the configuration wants of a new contact is sent, or nothing is created.
func TestNewContactsTypeAndFields(t *testing.T) {
	t.Parallel()
	var sent string
	way := wayOut(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		return answering(201, `{"id": 5}`)(r)
	})
	create := func(body string, n connectors.NewContact) error {
		sent, n.Key, n.Phone = "", "k", phone
		config := "create_contact: { path: contacts, body: '" + body + "', result: { id: body.id } }\n"
		_, err := opened(t, "https://crm.example.com", config, way).(connectors.ContactCreator).CreateContact(t.Context(), n)
		return err
	}
	const whole = `{"type": {{.Type}}, "custom": {{.Fields}}, "city": {{index .Fields "city"}}}`
	require.NoError(t, create(whole, connectors.NewContact{Type: "lead", Fields: map[string]string{"city": `"Bo"`}}))
	require.JSONEq(t, `{"type": "lead", "custom": {"city": "\"Bo\""}, "city": "\"Bo\""}`, sent)
	require.NoError(t, create(whole, connectors.NewContact{}))
	require.JSONEq(t, `{"type": "", "custom": {}, "city": ""}`, sent)

	for name, n := range map[string]connectors.NewContact{".Type": {Type: "lead"}, ".Fields": {Fields: map[string]string{"city": "Bo"}}} {
		err := create(`{"phone": {{.Phone}}}`, n)
		require.ErrorContains(t, err, name)
		require.Equal(t, connectors.Unsupported, connectors.AsError("", err).Kind)
		require.Empty(t, sent)
	}
}

func TestContactThatExists(t *testing.T) {
	t.Parallel()
	const create = "region: US\ncreate_contact: { path: contacts, status: { 409: existed }, result: { id: body.id } }\n"
	const find = "find_contacts: { path: found, result: { items: body, id: item.id, phones: item.p } }\n"
	refusing := func(found string) wayOut {
		return func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "found") {
				return answering(200, found)(r)
			}
			return answering(409, `{"error": "exists"}`)(r)
		}
	}
	n := connectors.NewContact{Key: "k", Phone: phone, Name: "Ann"}
	for name, c := range map[string]struct {
		config string
		way    wayOut
		id     string
	}{
		"the answer names it": {create, answering(409, `{"id": 5}`), "5"},
		"a search finds it":   {create + find, refusing(`[{"id": 6, "p": "(512) 555-0143"}]`), "6"},
		"a search does not":   {create + find, refusing(`[]`), ""},
		"there is no search":  {create, refusing(""), ""},
	} {
		contact, err := opened(t, "https://crm.example.com", c.config, c.way).(connectors.ContactCreator).CreateContact(t.Context(), n)
		if c.id == "" {
			require.Equal(t, connectors.Conflict, connectors.AsError("", err).Kind, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.id, contact.ID, name)
	}
}

func TestMatchComparesWithWhatATemplateWrote(t *testing.T) {
	t.Parallel()
	const find = `find_message:
  path: notes
  query: { tag: "{{sha256 .Key | truncate 32}}" }
  result: { items: 'body ?? []', match: 'item.tag == sha256(input.Key)[:32] && item.id != uuid(input.Key)', id: item.id }
`
	way := wayOut(func(r *http.Request) (*http.Response, error) {
		tag := r.URL.Query().Get("tag")
		return answering(200, `[{"id": 1, "tag": "`+strings.ToUpper(tag)+`"}, {"id": 2, "tag": "`+tag+`"}]`)(r)
	})
	found, err := opened(t, "https://crm.example.com", find, way).(connectors.MessageFinder).FindMessages(t.Context(), []connectors.Record{{Key: "main/1"}})
	require.NoError(t, err)
	require.Equal(t, [][]connectors.Found{{{Ref: connectors.Ref{ID: "2"}}}}, found)
}

func TestBatchNeedsAnItemForEachText(t *testing.T) {
	t.Parallel()
	const put = "put_message: { path: batch, batch: 5, body: '[{{range $i, $m := .Items}}{{if $i}},{{end}}{{$m.Body}}{{end}}]', result: { items: body.list, id: item.id, status: item.code } }"
	records := []connectors.Record{{Key: "main/1"}, {Key: "main/2"}, {Key: "main/3"}}
	states := func(status int, answer string) (got []string) {
		for _, out := range opened(t, "https://crm.example.com", put, answering(status, answer)).PutMessages(t.Context(), records) {
			if out.Err != nil {
				got = append(got, fmt.Sprintf("%s, ambiguous %t, whole batch %t", out.Err.Kind, out.Err.Ambiguous, out.Err.WholeBatch))
			} else {
				got = append(got, string(out.State)+" "+out.Ref.ID)
			}
		}
		return got
	}
	require.Equal(t, []string{"written 1", "CONFLICT, ambiguous false, whole batch false", "UNAVAILABLE, ambiguous true, whole batch false"},
		states(207, `{"list": [{"id": 1, "code": 201}, {"code": 409}, {"code": 503}]}`))
	require.Equal(t, []string{"UNKNOWN, ambiguous true, whole batch false", "UNKNOWN, ambiguous true, whole batch false", "UNKNOWN, ambiguous true, whole batch false"}, states(200, `{"list": []}`))
	require.Equal(t, []string{"written 1", "UNKNOWN, ambiguous true, whole batch false", "UNKNOWN, ambiguous true, whole batch false"},
		states(200, `{"list": [{"id": 1, "code": 200}, {"id": 2, "code": "odd"}, {"id": 3, "code": {}}]}`))
	require.Equal(t, []string{"INVALID, ambiguous false, whole batch true", "INVALID, ambiguous false, whole batch true", "INVALID, ambiguous false, whole batch true"}, states(422, `{}`))
}

func TestWhatIsLeftOutIsNotDone(t *testing.T) {
	t.Parallel()
	c := opened(t, "https://crm.example.com", "class: D\non_ambiguous: repeat\nverdict: '\"\"'\n", answering(200, `{"id": 1}`))
	caps, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectors.Capabilities{Class: "D", Repeat: true}, connectors.CapabilitiesOf(c, caps.Class).Narrow(caps))
	unsupported := func(err error) {
		t.Helper()
		require.Equal(t, connectors.Unsupported, connectors.AsError("", err).Kind)
	}
	_, err = c.(connectors.ContactFinder).FindContacts(t.Context(), []sms.Phone{phone})
	unsupported(err)
	_, err = c.(connectors.ContactCreator).CreateContact(t.Context(), connectors.NewContact{Phone: phone})
	unsupported(err)
	_, err = c.(connectors.MessageFinder).FindMessages(t.Context(), []connectors.Record{{Key: "main/1"}})
	unsupported(err)
	unsupported(c.(connectors.StatusUpdater).UpdateStatus(t.Context(), make([]connectors.StatusChange, 1))[0].Err)
	unsupported(c.(connectors.ConsentSetter).SetConsent(t.Context(), make([]connectors.ConsentChange, 1))[0].Err)
}

func TestSettingsChangeTheDefinition(t *testing.T) {
	t.Parallel()
	c := opened(t, "https://crm.example.com", `timeout: 5s
settle: 6s
search_lag: 7s
limits: [{ name: burst, requests: 100, per: 10s }, { name: day, requests: 9, midnight: UTC }]
put_message: { path: batch, batch: 5, result: { items: body, id: item.id } }
`, nil)
	d := httpapi.Definition().For(c)
	require.Equal(t, 5, d.MaxBatch)
	require.Equal(t, []time.Duration{5 * time.Second, 6 * time.Second, 7 * time.Second}, []time.Duration{d.CallTimeout, d.Settle, d.SearchLag})
	require.Equal(t, "burst", d.Limits[0].Name)
	require.Equal(t, 100, d.Limits[0].Amount)
	require.Equal(t, 10*time.Second, d.Limits[0].Window)
	require.Equal(t, "UTC", d.Limits[1].Midnight)
	plain := httpapi.Definition().For(opened(t, "https://crm.example.com", "class: B\n", nil))
	require.Equal(t, 1, plain.MaxBatch)
	require.Equal(t, connectors.DefaultCallTimeout, plain.CallTimeout)
}

// The key of what is created goes along in a header, unless it is told not to.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"class: B":                   "Idempotency-Key",
		"idempotency_header: X-Once": "X-Once",
		"idempotency_header: ''":     "",
		"put_message: { path: m, headers: { Idempotency-Key: '{{.Key}}' }, result: { id: body.id } }": "own",
	} {
		var seen []http.Header
		way := wayOut(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header)
			return answering(201, `{"id": 1}`)(r)
		})
		c := opened(t, "https://crm.example.com", config+"\n", way)
		for range 2 {
			c.PutMessages(t.Context(), []connectors.Record{{Key: "main/1"}})
		}
		_, err := c.Check(t.Context())
		require.NoError(t, err)
		switch want {
		case "":
			require.Empty(t, seen[0].Get("Idempotency-Key"))
		case "own":
			require.Equal(t, "main/1", seen[0].Get("Idempotency-Key"))
		default:
			require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, seen[0].Get(want))
			require.Equal(t, seen[0].Get(want), seen[1].Get(want))
			require.Empty(t, seen[2].Get(want), "a read has none")
		}
	}
}
