package fake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/fakes"
	"crmsync/connectors/pipedrive/fake"
)

// ask sends a request as METHOD path, with the fake's token.
func ask(t *testing.T, f *fake.Fake, request, body string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("X-Api-Token", f.Secrets()[0])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func ann(f *fake.Fake) string {
	return f.AddContact(fakes.Contact{Name: "Ann", Phones: []string{"+1 512 555 0100"}}).ID
}

const (
	activities = "POST /api/v2/activities"
	persons    = "POST /api/v2/persons"
)

// What the vendor refuses the fake refuses, and keeps nothing of it.
func TestStrict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request, body string
		status        int
		says          string
	}{
		"another endpoint":         {"GET /api/v2/deals", "", 404, "Unknown method"},
		"version 1 of activities":  {"POST /v1/activities", `{"subject":"SMS"}`, 404, "Unknown method"},
		"another method":           {"DELETE /api/v2/activities/1", "", 404, "Unknown method"},
		"person_id":                {activities, `{"subject":"SMS","person_id":1}`, 400, "Add a primary participant"},
		"an unknown field":         {activities, `{"subject":"SMS","person":1}`, 400, "unknown field"},
		"a wrong type":             {activities, `{"subject":"SMS","done":"1"}`, 400, "cannot unmarshal"},
		"an id as text":            {activities, `{"participants":[{"person_id":"1","primary":true}]}`, 400, "cannot unmarshal"},
		"no primary participant":   {activities, `{"participants":[{"person_id":1}]}`, 400, "primary"},
		"a participant not there":  {activities, `{"participants":[{"person_id":9,"primary":true}]}`, 400, "Participant not found"},
		"a type not there":         {activities, `{"type":"fax"}`, 400, "Invalid activity type"},
		"an owner not there":       {activities, `{"owner_id":99}`, 400, "User not found"},
		"an instant for a date":    {activities, `{"due_date":"2026-11-21T09:30:00Z"}`, 400, "Invalid date or time"},
		"a zone in a time":         {activities, `{"due_time":"09:30Z"}`, 400, "Invalid date or time"},
		"an endless subject":       {activities, `{"subject":"` + strings.Repeat("s", 256) + `"}`, 400, "not valid"},
		"an endless note":          {activities, `{"note":"` + strings.Repeat("n", 65536) + `"}`, 400, "not valid"},
		"half a body":              {activities, `{"subject":`, 400, "Validation failed"},
		"an activity not there":    {"PATCH /api/v2/activities/7", `{"done":true}`, 404, "Activity not found"},
		"no name":                  {persons, `{"phones":[{"value":"1"}]}`, 400, "Name must be given."},
		"an empty phone":           {persons, `{"name":"A","phones":[{"primary":true}]}`, 400, "phones"},
		"a custom field not there": {persons, `{"name":"A","custom_fields":{"abc":"x"}}`, 400, "does not exist"},
		"a number for a text":      {persons, `{"name":"A","custom_fields":{"CITY":1}}`, 400, "must be a string"},
		"a custom field on top":    {persons, `{"name":"A","CITY":"x"}`, 400, "unknown field"},
		"a person not there":       {"GET /api/v2/persons/7", "", 404, "Person not found"},
		"a term too short":         {"GET /api/v2/persons/search?term=5&fields=phone", "", 400, "at least 2 characters"},
		"an unknown search field":  {"GET /api/v2/persons/search?term=55&fields=fax", "", 400, "fields is not valid"},
		"an unknown parameter":     {"GET /api/v2/activities?type=sms", "", 400, "not allowed"},
		"a page too large":         {"GET /api/v2/activities?limit=501", "", 400, "limit"},
		"a made-up cursor":         {"GET /api/v2/activities?cursor=7", "", 400, "cursor"},
		"an instant in other form": {"GET /api/v2/activities?updated_since=2026-11-21", "", 400, "RFC3339"},
		"a field of no type":       {"POST /api/v2/personFields", `{"field_name":"X"}`, 400, "field_type"},
		"a type without icon":      {"POST /v1/activityTypes", `{"name":"SMS"}`, 400, "icon_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fake.New(fake.Options{})
			ann(f)
			w := ask(t, f, c.request, strings.ReplaceAll(c.body, "CITY", f.TextField()))
			require.Equal(t, c.status, w.Code, w.Body)
			require.Contains(t, w.Body.String(), c.says)
			var said struct{ Success *bool }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
			require.False(t, *said.Success)
			require.Empty(t, f.Messages())
			require.Len(t, f.Contacts(), 1)
		})
	}
}

func TestBodyMustBeJSON(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v2/activities", strings.NewReader("subject=SMS"))
	r.Header.Set("X-Api-Token", f.Secrets()[0])
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	valid := "first"
	f := fake.New(fake.Options{Accept: func(token string) bool { return token == valid }})
	status := func(header, value string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/users", nil)
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 200, status("Authorization", "Bearer first"))
	require.Equal(t, 200, status("X-Api-Token", "first"))
	valid = "second" // the first has expired
	require.Equal(t, 401, status("Authorization", "Bearer first"))
	require.Equal(t, 200, status("Authorization", "Bearer second"))
	require.Equal(t, 401, status("X-Unknown", "second"))
}

func TestActivity(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	id := ann(f)
	w := ask(t, f, activities, `{"subject":"→ SMS","type":"sms","due_date":"2026-11-21","due_time":"09:30","done":true,
		"note":"a<script>b</script><br>c","public_description":"[crmsync:main/a%2Bb] failed 2026-11-21 09:31 UTC: no route",
		"participants":[{"person_id":`+id+`,"primary":true}]}`)
	require.Equal(t, 200, w.Code, w.Body)
	var got struct{ Data map[string]any }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, "ab<br>c", got.Data["note"], "scripts are taken out")
	require.Equal(t, "09:30:00", got.Data["due_time"])
	require.InDelta(t, 1, got.Data["person_id"], 0)
	require.Equal(t, []fakes.Message{{
		ID: "1", Key: "main/a+b", Contact: id, Subject: "→ SMS", Body: "ab<br>c", Status: "failed", Reason: "no route",
		OwnerID: "1", Direction: "outbound", At: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC),
	}}, f.Messages())
	require.Equal(t, 200, ask(t, f, "PATCH /api/v2/activities/1", `{"public_description":"[crmsync:main/a%2Bb]"}`).Code)
	require.Equal(t, "ab<br>c", f.Messages()[0].Body, "what is not named stays")
	require.Equal(t, id, f.Messages()[0].Contact)
	require.Empty(t, f.Messages()[0].Status)
}

func TestListsHavePages(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	for range 3 {
		f.AddActivity(ann(f), "Call", "", time.Now())
	}
	page := func(query string) (ids []int, next string) {
		w := ask(t, f, "GET /api/v2/activities?limit=2&sort_by=id&sort_direction=desc"+query, "")
		var got struct {
			Data []struct{ ID int }
			More struct {
				Next string `json:"next_cursor"`
			} `json:"additional_data"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body)
		for _, a := range got.Data {
			ids = append(ids, a.ID)
		}
		return ids, got.More.Next
	}
	ids, next := page("")
	require.Equal(t, []int{3, 2}, ids)
	ids, next = page("&cursor=" + next)
	require.Equal(t, []int{1}, ids)
	require.Empty(t, next)
	ids, _ = page("&person_id=2")
	require.Equal(t, []int{2}, ids)
	ids, _ = page("&updated_since=" + time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
	require.Empty(t, ids)
}

func TestSearchLags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{SearchLag: time.Minute})
		ann(f) // whom a person added is seen at once
		require.Equal(t, 200, ask(t, f, persons, `{"name":"Bob","phones":[{"value":"(512) 555-0100"}]}`).Code)
		found := func() string {
			return ask(t, f, "GET /api/v2/persons/search?term=5125550100&fields=phone", "").Body.String()
		}
		require.Contains(t, found(), "Ann")
		require.NotContains(t, found(), "Bob")
		<-time.After(time.Minute)
		require.Contains(t, found(), "Bob")
	})
}

func TestSearchComparesDigitsOrWhatWasTyped(t *testing.T) {
	t.Parallel()
	for typed, want := range map[bool]bool{false: true, true: false} {
		f := fake.New(fake.Options{TypedPhones: typed})
		ann(f)
		w := ask(t, f, "GET /api/v2/persons/search?term=5125550100&fields=phone", "")
		require.Equal(t, want, strings.Contains(w.Body.String(), "Ann"))
		w = ask(t, f, "GET /api/v2/persons/search?term=512+555&fields=phone", "")
		require.Contains(t, w.Body.String(), "Ann")
	}
}

// The burst tells how much is left, a day's tokens do not, and both come without
// Retry-After.
func TestLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{Burst: 2, Search: 1, Tokens: 100, BlockAfter: 4})
		const search, users = "GET /api/v2/persons/search?term=55&fields=phone", "GET /v1/users"
		w := ask(t, f, search, "")
		require.Equal(t, "1", w.Header().Get("X-Ratelimit-Limit"))
		require.Equal(t, "0", w.Header().Get("X-Ratelimit-Remaining"))
		w = ask(t, f, search, "")
		require.Equal(t, 429, w.Code)
		require.Equal(t, "2", w.Header().Get("X-Ratelimit-Reset"))
		require.Empty(t, w.Header().Get("Retry-After"))
		require.Equal(t, 200, ask(t, f, users, "").Code)
		require.Equal(t, 429, ask(t, f, users, "").Code, "the search counts, too")
		<-time.After(2 * time.Second)
		require.Equal(t, 200, ask(t, f, users, "").Code)
		require.Equal(t, 200, ask(t, f, users, "").Code)
		<-time.After(2 * time.Second)
		require.Equal(t, 80, f.Spent())
		require.Equal(t, 200, ask(t, f, users, "").Code)
		require.Equal(t, 429, ask(t, f, "GET /api/v2/persons/1", "").Code, "the tokens are spent")
		require.Equal(t, 429, ask(t, f, users, "").Code)
		w = ask(t, f, users, "")
		require.Equal(t, 403, w.Code)
		require.Contains(t, w.Body.String(), "Cloudflare")
	})
}

func TestLatencyEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := fake.New(fake.Options{Latency: 300 * time.Millisecond})
		begun := time.Now()
		require.Equal(t, 200, ask(t, f, "GET /v1/users", "").Code)
		require.Equal(t, 300*time.Millisecond, time.Since(begun))
	})
}

func TestPoison(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	f.Poison("main/bad")
	require.Equal(t, 400, ask(t, f, activities, `{"public_description":"[crmsync:main/bad]"}`).Code)
	require.Equal(t, 200, ask(t, f, activities, `{"public_description":"[crmsync:main/good]"}`).Code)
}

// People at work in the CRM, and clients, do not get into each other's way.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	f := fake.New(fake.Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			id := ann(f)
			w := ask(t, f, activities, `{"participants":[{"person_id":`+id+`,"primary":true}]}`)
			_, _ = io.Copy(io.Discard, w.Body)
			f.EditMessage(f.Messages()[0].ID, "edited", "")
			f.DeleteContact(id)
			_ = f.Requests()
		})
	}
	wg.Wait()
	require.Len(t, f.Messages(), 8)
	require.Empty(t, f.Contacts())
	require.Equal(t, map[string]int{activities: 8}, f.Requests())
}
