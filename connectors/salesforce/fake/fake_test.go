package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/fakes"
	"crmsync/connectors/salesforce/fake"
)

const root = "/services/data/v61.0/"

// ask sends one request and answers the status and the body.
func ask(t *testing.T, org *fake.Org, method, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, root+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+org.Secrets()[0])
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	org.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Code, string(raw)
}

func collection(records ...string) string {
	return `{"allOrNone":false,"records":[` + strings.Join(records, ",") + `]}`
}

func aTask(fields string) string { return `{"attributes":{"type":"Task"}` + fields + `}` }

// What refuses a request as a whole.
func TestRefusesRequests(t *testing.T) {
	t.Parallel()
	q := func(kind, text string) string { return kind + "?q=" + url.QueryEscape(text) }
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"no such resource":          {"GET", "sobjects/Account/describe", "", 404, "NOT_FOUND"},
		"another method":            {"DELETE", "composite/sobjects", "", 405, "METHOD_NOT_ALLOWED"},
		"a body that is no JSON":    {"POST", "composite/sobjects", "{", 400, "JSON_PARSER_ERROR"},
		"an unknown property":       {"POST", "composite/sobjects", `{"items":[]}`, 400, "JSON_PARSER_ERROR"},
		"no records":                {"POST", "composite/sobjects", collection(), 400, "REQUIRED_FIELD_MISSING"},
		"a record of no object":     {"POST", "composite/sobjects", collection(`{"Subject":"x"}`), 400, "INVALID_INPUT"},
		"an unknown field":          {"POST", "composite/sobjects", collection(aTask(`,"Body":"x"`)), 400, "INVALID_FIELD"},
		"a number for a text":       {"POST", "composite/sobjects", collection(aTask(`,"Subject":1`)), 400, "JSON_PARSER_ERROR"},
		"a date of no calendar":     {"POST", "composite/sobjects", collection(aTask(`,"ActivityDate":"2026-02-30"`)), 400, "JSON_PARSER_ERROR"},
		"a control character":       {"POST", "composite/sobjects", collection(aTask(`,"Subject":"a\u0000b"`)), 400, "JSON_PARSER_ERROR"},
		"201 records":               {"POST", "composite/sobjects", collection(strings.Split(strings.Repeat(aTask("")+"\n", 201), "\n")[:201]...), 400, "LIMIT_EXCEEDED"},
		"no last name":              {"POST", "sobjects/Contact", `{"FirstName":"Ann"}`, 400, "REQUIRED_FIELD_MISSING"},
		"a lead of no company":      {"POST", "sobjects/Lead", `{"LastName":"Lee"}`, 400, "REQUIRED_FIELD_MISSING"},
		"a wrong address":           {"POST", "sobjects/Contact", `{"LastName":"Lee","Email":"at home"}`, 400, "INVALID_EMAIL_ADDRESS"},
		"no SOQL":                   {"GET", q("query", "SELECT Id FROM"), "", 400, "MALFORMED_QUERY"},
		"more than SOQL":            {"GET", q("query", "SELECT Id FROM Task WHERE IsDeleted = false OR Id = 'x'"), "", 400, "MALFORMED_QUERY"},
		"an open string":            {"GET", q("query", "SELECT Id FROM User WHERE Email = 'x"), "", 400, "MALFORMED_QUERY"},
		"no such object":            {"GET", q("query", "SELECT Id FROM Account"), "", 400, "INVALID_TYPE"},
		"no such column":            {"GET", q("query", "SELECT Body FROM Task"), "", 400, "INVALID_FIELD"},
		"a filter on a long text":   {"GET", q("query", "SELECT Id FROM Task WHERE Description = 'x'"), "", 400, "INVALID_FIELD"},
		"a filter of a wrong type":  {"GET", q("query", "SELECT Id FROM Task WHERE CreatedDate >= '2026'"), "", 400, "INVALID_FIELD"},
		"an id that is none":        {"GET", q("query", "SELECT Id FROM Task WHERE WhoId IN ('x')"), "", 400, "INVALID_QUERY_FILTER_OPERATOR"},
		"setup outside of tooling":  {"GET", q("query", "SELECT Id FROM CustomField"), "", 400, "INVALID_TYPE"},
		"a page that is gone":       {"GET", "query/01g5f1-2000", "", 400, "INVALID_QUERY_LOCATOR"},
		"a search for nothing":      {"GET", q("search/", "FIND Ann"), "", 400, "MALFORMED_SEARCH"},
		"a search with signs":       {"GET", q("search/", "FIND {(512) 555-0100} IN PHONE FIELDS RETURNING Contact(Id) LIMIT 5"), "", 400, "MALFORMED_SEARCH"},
		"a search that is too long": {"GET", q("search/", "FIND {"+strings.Repeat("5125550100 OR ", 300)+"1} IN PHONE FIELDS RETURNING Contact(Id) LIMIT 5"), "", 400, "MALFORMED_SEARCH"},
		"a search for no column":    {"GET", q("search/", "FIND {5125550100} IN PHONE FIELDS RETURNING Lead(HomePhone) LIMIT 5"), "", 400, "INVALID_FIELD"},
		"a long address":            {"GET", q("query", "SELECT Id FROM User WHERE Email = '"+strings.Repeat("x", 17_000)+"'"), "", 414, "URI_TOO_LONG"},
		"no parts":                  {"POST", "composite", `{"compositeRequest":[]}`, 400, "PROCESSING_HALTED"},
		"a part of another version": {"POST", "composite", `{"compositeRequest":[{"method":"GET","url":"/services/data/v60.0/query?q=x","referenceId":"a"}]}`, 400, "JSON_PARSER_ERROR"},
		"a field that is there":     {"POST", "tooling/sobjects/CustomField", `{"FullName":"Activity.JustCall_Time__c","Metadata":{"type":"DateTime","label":"x"}}`, 400, "DUPLICATE_DEVELOPER_NAME"},
		"a checkbox of no default":  {"POST", "tooling/sobjects/CustomField", `{"FullName":"Lead.New__c","Metadata":{"type":"Checkbox","label":"x"}}`, 400, "FIELD_INTEGRITY_EXCEPTION"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := ask(t, fake.New(fake.Options{}), c.method, c.path, c.body)
			require.Equal(t, c.status, status, body)
			var problems []struct{ ErrorCode string }
			require.NoError(t, json.Unmarshal([]byte(body), &problems))
			require.Equal(t, c.code, problems[0].ErrorCode)
		})
	}
}

// What refuses one item, in a 200.
func TestRefusesItems(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{})
	gone := org.AddContact(fakes.Contact{Name: "Gone"}).ID
	org.DeleteContact(gone)
	lead := org.AddContact(fakes.Contact{Name: "Lead", Ref: fakes.Contact{}.Ref}).ID
	for name, c := range map[string]struct{ fields, code string }{
		"a long subject":        {`,"Subject":"` + strings.Repeat("x", 256) + `"`, "STRING_TOO_LONG"},
		"a status of one's own": {`,"Status":"Delivered"`, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"},
		"a contact who is gone": {`,"WhoId":"` + gone + `"`, "ENTITY_IS_DELETED"},
		"a contact of nowhere":  {`,"WhoId":"0035f0000009999AAA"`, "INVALID_CROSS_REFERENCE_KEY"},
		"no id":                 {`,"WhoId":"Ann"`, "MALFORMED_ID"},
		"a contact for a user":  {`,"OwnerId":"` + lead + `"`, "INVALID_CROSS_REFERENCE_KEY"},
		"what is read only":     {`,"IsClosed":true`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
		"an id of one's own":    {`,"id":"00T5f0000009999EAA"`, "INVALID_FIELD_FOR_INSERT_UPDATE"},
	} {
		status, body := ask(t, org, "POST", "composite/sobjects", collection(aTask(c.fields), aTask("")))
		require.Equal(t, 200, status, name)
		var results []struct {
			Success bool
			Errors  []struct{ StatusCode string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &results))
		require.False(t, results[0].Success, name)
		require.Equal(t, c.code, results[0].Errors[0].StatusCode, name)
		require.True(t, results[1].Success, "the other item is saved")
	}
}

func TestUniqueKey(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{})
	keyed := aTask(`,"JustCall_Message_Id__c":"main/1"`)
	_, body := ask(t, org, "POST", "composite/sobjects", collection(keyed, keyed))
	require.Equal(t, 2, strings.Count(body, "DUPLICATE_VALUE"), "twice in one request: neither is saved")
	_, body = ask(t, org, "POST", "composite/sobjects", collection(keyed))
	require.Contains(t, body, `"success":true`)
	id := org.Messages()[0].ID
	_, body = ask(t, org, "POST", "composite/sobjects", collection(keyed))
	require.Contains(t, body, "JustCall_Message_Id__c duplicates value on record with id: "+id)
	org.DeleteContact(id)
	_, body = ask(t, org, "POST", "composite/sobjects", collection(keyed))
	require.Contains(t, body, `"success":true`, "the recycle bin does not count")
}

func TestOfManyAtATimeOneIsSaved(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			ask(t, org, "POST", "composite/sobjects", collection(aTask(`,"JustCall_Message_Id__c":"main/1"`)))
		})
	}
	wg.Wait()
	require.Len(t, org.Messages(), 1)
	require.Equal(t, 20, org.Requests()["POST composite/sobjects"])
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{})
	ann := org.AddContact(fakes.Contact{Name: "Ann"}).ID
	update := func(id, fields string) string {
		_, body := ask(t, org, "PATCH", "composite/sobjects", collection(fmt.Sprintf(`{"attributes":{"type":"Contact"},"id":%q%s}`, id, fields)))
		return body
	}
	require.Contains(t, update(ann, `,"SMS_Opt_Out__c":true`), `"success":true`)
	require.True(t, org.Contacts()[0].OptedOut)
	require.Contains(t, update(ann[:15], `,"SMS_Opt_Out__c":false`), `"success":true`, "an id of 15 characters")
	require.False(t, org.Contacts()[0].OptedOut)
	require.Contains(t, update("", ""), "MISSING_ARGUMENT")
	require.Contains(t, update("0035f0000009999AAA", ""), "INVALID_CROSS_REFERENCE_KEY")
	require.Contains(t, update("00T5f0000009999EAA", ""), "MALFORMED_ID")
	org.DeleteContact(ann)
	require.Contains(t, update(ann, ""), "ENTITY_IS_DELETED")
}

func TestTokenAndLimit(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{DailyRequests: 2})
	old := org.Secrets()[0]
	require.NotEqual(t, old, org.Expire())
	r := httptest.NewRequestWithContext(t.Context(), "GET", root, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+old)
	w := httptest.NewRecorder()
	org.ServeHTTP(w, r)
	require.Equal(t, 401, w.Code)
	require.Contains(t, w.Body.String(), "INVALID_SESSION_ID")
	require.Equal(t, "api-usage=0/2", w.Header().Get("Sforce-Limit-Info"))
	for range 2 {
		status, _ := ask(t, org, "GET", "", "")
		require.Equal(t, 200, status)
	}
	status, body := ask(t, org, "GET", "", "")
	require.Equal(t, 403, status)
	require.Contains(t, body, "REQUEST_LIMIT_EXCEEDED")
}

func TestPages(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{PageSize: 2})
	for range 5 {
		org.AddContact(fakes.Contact{Name: "Ann"})
	}
	seen, next := 0, "query?q="+url.QueryEscape("SELECT Id FROM Contact")
	for next != "" {
		_, body := ask(t, org, "GET", next, "")
		var page struct {
			Records []any
			Next    string `json:"nextRecordsUrl"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		seen += len(page.Records)
		next = strings.TrimPrefix(page.Next, root)
	}
	require.Equal(t, 5, seen)
}

func TestSearchIsLate(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{SearchLag: time.Hour})
	find := func(number string) string {
		_, body := ask(t, org, "GET", "search?q="+url.QueryEscape("FIND {"+number+"} IN PHONE FIELDS RETURNING Contact(Id) LIMIT 9"), "")
		return body
	}
	status, _ := ask(t, org, "POST", "sobjects/Contact", `{"LastName":"Lee","Phone":"(512) 555-0100 ext. 5"}`)
	require.Equal(t, 201, status)
	require.JSONEq(t, `{"searchRecords":[]}`, find("5125550100"))
	id := org.AddContact(fakes.Contact{Name: "Bo", Phones: []string{"(512) 555-0100 ext. 5"}}).ID
	require.Contains(t, find("5125550100"), id)
	require.NotContains(t, find("15125550100"), id, "the digits as a whole")
}
