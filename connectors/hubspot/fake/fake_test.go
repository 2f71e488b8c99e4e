package fake_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/fakes"
	"crmsync/connectors/hubspot/fake"
)

// call answers what the fake says to a request.
func call(f *fake.Fake, endpoint, body string) (int, string) {
	method, path, _ := strings.Cut(endpoint, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer pat-na1-fake")
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const (
	create = "POST /crm/objects/2026-03/communications/batch/create"
	update = "POST /crm/objects/2026-03/communications/batch/update"
	read   = "POST /crm/objects/2026-03/communications/batch/read"
	person = "POST /crm/objects/2026-03/contacts"
	search = "POST /crm/objects/2026-03/contacts/search"
	fields = "POST /crm/properties/2026-03/contacts"
	groups = "POST /crm/properties/2026-03/contacts/groups"
	owners = "GET /crm/owners/2026-03"

	minimal = `"hs_communication_channel_type":"SMS","hs_communication_logged_from":"CRM","hs_timestamp":"2026-11-21T09:00:00Z"`
)

func TestWhatIsNotHubSpotIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoint, body string
		status         int
		says           string
	}{
		"an endpoint that there is not":    {"POST /crm/v3/objects/communications", `{}`, 404, "resource not found"},
		"another method":                   {"GET /crm/objects/2026-03/contacts/search", ``, 404, "resource not found"},
		"sending":                          {"POST /conversations/v3/conversations/threads/1/messages", `{}`, 404, "resource not found"},
		"an unknown field":                 {create, `{"inputs":[{"associations":[],"properties":{},"objectWriteTraceID":1}]}`, 400, "Invalid input JSON"},
		"a wrong type":                     {create, `{"inputs":[{"associations":[],"properties":{"hs_timestamp":1}}]}`, 400, "Invalid input JSON"},
		"two bodies":                       {create, `{}{}`, 400, "Invalid input JSON"},
		"no inputs":                        {create, `{"inputs":[]}`, 400, "must be from 1 to 100"},
		"too many inputs":                  {create, `{"inputs":[` + strings.Repeat(`{},`, 100) + `{}]}`, 400, "must be from 1 to 100"},
		"missing associations":             {create, `{"inputs":[{"properties":{` + minimal + `}}]}`, 400, "associations"},
		"a wrong association":              {create, `{"inputs":[{"associations":[{"to":{"id":"1"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":202}]}],"properties":{` + minimal + `}}]}`, 400, "INVALID_ASSOCIATION_TYPE"},
		"a missing property":               {create, `{"inputs":[{"associations":[],"properties":{"hs_communication_channel_type":"SMS"}}]}`, 400, "REQUIRED_FIELD"},
		"an unknown property":              {create, `{"inputs":[{"associations":[],"properties":{` + minimal + `,"subject":"x"}}]}`, 400, "PROPERTY_DOESNT_EXIST"},
		"an unknown choice":                {create, `{"inputs":[{"associations":[],"properties":{` + minimal + `,"justcall_status":"gone"}}]}`, 400, "INVALID_OPTION"},
		"a value that HubSpot computes":    {person, `{"associations":[],"properties":{"firstname":"Ann","hs_calculated_phone_number":"1"}}`, 400, "READ_ONLY_VALUE"},
		"a nameless contact":               {person, `{"associations":[],"properties":{"phone":"1"}}`, 400, "One of email"},
		"a record that there is not":       {update, `{"inputs":[{"id":"1","properties":{}}]}`, 404, "OBJECT_NOT_FOUND"},
		"a record twice":                   {update, `{"inputs":[{"id":"1","properties":{}},{"id":"1","properties":{}}]}`, 400, "Duplicate IDs"},
		"a property without unique values": {read, `{"idProperty":"justcall_status","inputs":[{"id":"x"}],"properties":[],"propertiesWithHistory":[]}`, 400, "non-unique"},
		"a search for too much":            {search, `{"limit":200,"properties":["` + strings.Repeat("x", 3000) + `"],"filterGroups":[]}`, 400, "limit to queries"},
		"too many results":                 {search, `{"limit":201,"properties":[],"filterGroups":[{"filters":[{"propertyName":"phone","operator":"IN","values":["1"]}]}]}`, 400, "limit to queries"},
		"too many owners":                  {owners + "?limit=501", ``, 400, "limit must be"},
		"a property of no group":           {fields, `{"name":"x","label":"X","groupName":"none","type":"string","fieldType":"text"}`, 400, "does not exist"},
		"a property that is there":         {fields, `{"name":"phone","label":"X","groupName":"crmsync","type":"string","fieldType":"text"}`, 409, "already exists"},
		"a type with another's field":      {fields, `{"name":"x","label":"X","groupName":"crmsync","type":"bool","fieldType":"text"}`, 400, "do not fit"},
		"a group that is there":            {groups, `{"name":"crmsync","label":"X"}`, 409, "already exists"},
		"a record type that there is not":  {"POST /crm/properties/2026-03/texts/batch/read", `{}`, 400, "object type"},
	} {
		f := fake.New(fake.Options{})
		status, says := call(f, c.endpoint, c.body)
		require.Equal(t, c.status, status, "%s: %s", name, says)
		require.Contains(t, says, c.says, name)
		require.Contains(t, says, `"status":"error"`, name)
		require.Empty(t, f.Messages(), name)
		require.Empty(t, f.Contacts(), name)
	}
}

// Without a trace for each input one bad input refuses all.
func TestPartialFailureIsAskedFor(t *testing.T) {
	t.Parallel()
	good, bad := `"associations":[],"properties":{`+minimal+`}`, `"associations":[],"properties":{}`
	f := fake.New(fake.Options{})
	status, _ := call(f, create, `{"inputs":[{`+good+`},{`+bad+`}]}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Empty(t, f.Messages())
	status, says := call(f, create, `{"inputs":[{"objectWriteTraceId":"a",`+good+`},{"objectWriteTraceId":"b",`+bad+`}]}`)
	require.Equal(t, http.StatusMultiStatus, status)
	require.Contains(t, says, `"context":{"objectWriteTraceId":["b"]}`)
	require.Len(t, f.Messages(), 1)
}

func TestUniqueValuesIgnoreCase(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	for value, want := range map[string]int{"a": 201} {
		status, _ := call(f, create, `{"inputs":[{"associations":[],"properties":{`+minimal+`,"justcall_message_id":"`+value+`"}}]}`)
		require.Equal(t, want, status)
	}
	status, says := call(f, create, `{"inputs":[{"associations":[],"properties":{`+minimal+`,"justcall_message_id":"A"}}]}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, says, "CONFLICTING_UNIQUE_VALUE")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{TokenLife: time.Hour, Latency: time.Second, Scopes: []string{"crm.objects.contacts.read"}})
		begun := time.Now()
		status, says := call(f, person, `{}`)
		require.Equal(t, time.Second, time.Since(begun))
		require.Equal(t, http.StatusForbidden, status)
		require.Contains(t, says, "MISSING_SCOPES")
		time.Sleep(time.Hour) //nolint:forbidigo // in the bubble's own time
		status, says = call(f, search, `{}`)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, says, "EXPIRED_AUTHENTICATION")
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/crm/owners/2026-03", nil))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Contains(t, w.Body.String(), "INVALID_AUTHENTICATION")
		require.Equal(t, map[string]int{person: 1, "POST /crm/objects/2026-03/{type}/search": 1, owners: 1}, f.Requests())
	})
}

// What the API creates is found later, what people create at once.
func TestSearchLags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{SearchLag: time.Minute})
		found := func() int {
			_, says := call(f, search, `{"limit":10,"properties":["phone"],"filterGroups":[{"filters":[{"propertyName":"hs_searchable_calculated_phone_number","operator":"IN","values":["5125550100"]}]}]}`)
			var page struct{ Total int }
			require.NoError(t, json.Unmarshal([]byte(says), &page))
			return page.Total
		}
		status, _ := call(f, person, `{"associations":[],"properties":{"firstname":"Ann","phone":"+1 (512) 555-0100"}}`)
		require.Equal(t, http.StatusCreated, status)
		require.Equal(t, 0, found())
		f.AddContact(fakes.Contact{Name: "Bob", Phones: []string{"512 555 0100"}})
		require.Equal(t, 1, found())
		time.Sleep(time.Minute) //nolint:forbidigo // in the bubble's own time
		require.Equal(t, 2, found())
	})
}
