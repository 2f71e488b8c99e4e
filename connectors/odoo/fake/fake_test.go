package fake_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/fakes"
	"crmsync/connectors/odoo/fake"
)

func ask(t *testing.T, h http.Handler, path, body string, header ...string) (status int, answer string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Odoo-Database", "example")
	r.Header.Set("Authorization", "Bearer 0d00-s3cret-k3y")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	raw, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(raw)
}

// What the real servers were seen to refuse, or their tests say that they do.
func TestStrict(t *testing.T) {
	t.Parallel()
	odoo := fake.New(fake.Options{Version: 19})
	for name, c := range map[string]struct {
		path, body string
		status     int
		says       string
	}{
		"model":           {"/json/2/no.model/search_read", `{}`, 404, "does not exist"},
		"method":          {"/json/2/res.partner/message_post", `{}`, 404, "does not exist"},
		"argument":        {"/json/2/res.partner/search_read", `{"domain":[],"fields":[],"filter":1}`, 422, "unexpected keyword argument 'filter'"},
		"field in domain": {"/json/2/res.partner/search_read", `{"domain":[["nope","=",1]],"fields":[]}`, 500, "Invalid field res.partner.nope"},
		"field":           {"/json/2/res.partner/search_read", `{"domain":[],"fields":["mobile"]}`, 500, "Invalid field"},
		"type":            {"/json/2/res.partner/search_read", `{"domain":"x","fields":[]}`, 422, "lists"},
		"field of a row":  {"/json/2/res.partner/load", `{"fields":["nope"],"data":[["1"]]}`, 500, "Invalid field name"},
		"value":           {"/json/2/mail.message/load", `{"fields":["date"],"data":[["yesterday"]]}`, 200, "does not seem to be a valid datetime"},
		"choice":          {"/json/2/mail.message/load", `{"fields":["message_type"],"data":[["fax"]]}`, 200, "not found in selection"},
		"no such record":  {"/json/2/mail.message/load", `{"fields":["model","res_id"],"data":[["res.partner","99"]]}`, 200, "does not exist or has been deleted"},
		"no such author":  {"/json/2/mail.message/load", `{"fields":["author_id/.id"],"data":[["99"]]}`, 200, "No matching record found"},
		"not JSON":        {"/json/2/res.partner/search_read", `no`, 400, "could not parse"},
		"page":            {"/web", `{}`, 404, "<h1>"},
	} {
		status, says := ask(t, odoo, c.path, c.body)
		require.Equal(t, c.status, status, "%s: %s", name, says)
		require.Contains(t, says, c.says, name)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	odoo := fake.New(fake.Options{Version: 19})
	const path, all = "/json/2/res.partner/search_read", `{"domain":[],"fields":["name"]}`
	status, _ := ask(t, odoo, path, all)
	require.Equal(t, 200, status)
	for _, header := range [][]string{{"Authorization", "Bearer wrong"}, {"X-Odoo-Database", "other"}, {"Content-Type", "text/plain"}} {
		status, _ := ask(t, odoo, path, all, header...)
		require.Contains(t, []int{401, 404, 415}, status)
	}
	odoo.ExpireKey()
	status, says := ask(t, odoo, path, all)
	require.Equal(t, 401, status)
	require.Contains(t, says, "werkzeug.exceptions.Unauthorized")
	status, _ = ask(t, fake.New(fake.Options{Version: 18}), path, all)
	require.Equal(t, 404, status, "before 19 there is no JSON-2")
}

func TestRPCAnswersErrorsWith200(t *testing.T) {
	t.Parallel()
	odoo := fake.New(fake.Options{})
	for args, says := range map[string]string{
		`["example",2,"0d00-s3cret-k3y","res.partner","search_read",[],{"domain":[],"fields":["name"]}]`: `"result":[`,
		`["example",2,"wrong","res.partner","search_read",[],{}]`:                                        "odoo.exceptions.AccessDenied",
		`["example",9,"0d00-s3cret-k3y","res.partner","search_read",[],{}]`:                              "res.users(9,)",
		`["other",2,"0d00-s3cret-k3y","res.partner","search_read",[],{}]`:                                "psycopg2.OperationalError",
		`["example",2,"0d00-s3cret-k3y","no.model","search_read",[],{}]`:                                 "odoo.exceptions.UserError",
		`["example",2,"0d00-s3cret-k3y","res.partner","unlink",[],{}]`:                                   "builtins.AttributeError",
		`["example",2,"0d00-s3cret-k3y"]`:                                                                "builtins.TypeError",
	} {
		status, got := ask(t, odoo, "/jsonrpc", `{"jsonrpc":"2.0","id":1,"method":"call","params":{"service":"object","method":"execute_kw","args":`+args+`}}`)
		require.Equal(t, 200, status)
		require.Contains(t, got, says)
	}
}

func TestLoadIsAllOrNone(t *testing.T) {
	t.Parallel()
	odoo := fake.New(fake.Options{Version: 19})
	const fields = `{"fields":["id","name"],"context":{"mode":"update","noupdate":true},"data":`
	_, first := ask(t, odoo, "/json/2/res.partner/load", fields+`[["x.a","Ann"]]}`)
	_, again := ask(t, odoo, "/json/2/res.partner/load", fields+`[["x.a","Another"]]}`)
	require.Equal(t, first, again)
	require.Equal(t, "Ann", odoo.Contacts()[0].Name, "what is there stays as it is")
	_, says := ask(t, odoo, "/json/2/mail.message/load", `{"fields":["model","res_id"],"data":[["res.partner","`+odoo.Contacts()[0].ID+`"],["res.partner","99"]]}`)
	require.Contains(t, says, `"ids":false`)
	require.Contains(t, says, `"from":0`, "since 18 the first row is accused, too")
	require.Empty(t, odoo.Messages())
}

func TestLimit(t *testing.T) {
	t.Parallel()
	odoo := fake.New(fake.Options{LimitEvery: 2})
	odoo.AddContact(fakes.Contact{Name: "Ann"})
	status, _ := ask(t, odoo, "/jsonrpc", `{"params":{"service":"common","method":"login","args":["example","crmsync@example.com","0d00-s3cret-k3y"]}}`)
	require.Equal(t, 200, status)
	status, _ = ask(t, odoo, "/jsonrpc", `{}`)
	require.Equal(t, 429, status)
}
