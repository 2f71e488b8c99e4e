package api_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/justcall/api"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/internal/ledger"
)

// answers is a client of an API that always answers the same.
func answers(t *testing.T, status int, body string) *api.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return client(server.URL, newer)
}

const aRow = `{"id":7,"direction":"Incoming","contact_number":"15125551234","justcall_number":"15125550100","sms_date":"2026-03-12","sms_time":"8:26:01","sms_info":{"body":"Hi"}}`

// However a list is wrapped, it is found.
func TestListsOfManyForms(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`[` + aRow + `]`,
		`{"data":[` + aRow + `],"next_page_link":""}`,
		`{"data":{"texts":[` + aRow + `]}}`,
		`{"texts":[` + aRow + `],"total":1}`,
		`{"status":"success","messages":[` + aRow + `],"next_page_link":null}`,
	} {
		got, _ := read(t, answers(t, 200, body), api.Query{})
		require.Equal(t, []string{"main/7/sms.received"}, keys(t, got), body)
	}
	for _, body := range []string{`[]`, `{"data":[]}`, `{"data":null,"count":0}`, `{"status":"success","total_texts":"0"}`, `{"data":{"texts":[]}}`} {
		got, pages := read(t, answers(t, 200, body), api.Query{})
		require.Empty(t, got, body)
		require.Equal(t, 1, pages)
	}
}

// What is no list never passes for one that is empty: nothing would be missed then.
func TestNoListIsNoEmptyList(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `null`, `{"data":null}`, `{"status":"error","message":"no"}`, `{"data":{}}`, `"a"`, `7`, `{"data":"x","count":3}`} {
		_, err := answers(t, 200, body).Texts(t.Context(), api.Query{}, "")
		require.Equal(t, connectors.Unknown, kind(t, err), body)
	}
	for status, want := range map[int]connectors.Kind{
		400: connectors.Invalid, 401: connectors.Auth, 403: connectors.Forbidden, 404: connectors.NotFound, 429: connectors.RateLimited, 503: connectors.Unavailable,
	} {
		_, err := answers(t, status, `{"status":"error"}`).Texts(t.Context(), api.Query{}, "")
		require.Equal(t, want, kind(t, err))
	}
}

func TestOneTextOfManyForms(t *testing.T) {
	t.Parallel()
	for _, body := range []string{aRow, `{"data":` + aRow + `}`, `{"status":"success","data":[` + aRow + `]}`} {
		got, err := answers(t, 200, body).Text(t.Context(), "7")
		require.NoError(t, err)
		require.Equal(t, []string{"main/7/sms.received"}, keys(t, []api.Text{got}))
	}
	for body, want := range map[string]connectors.Kind{
		`{"data":[]}`: connectors.NotFound, `{"data":null}`: connectors.NotFound, `{"data":` + strings.Replace(aRow, "7", "8", 1) + `}`: connectors.Unknown,
	} {
		_, err := answers(t, 200, body).Text(t.Context(), "7")
		require.Equal(t, want, kind(t, err), body)
	}
	got, err := answers(t, 200, `{"data":{"id":7}}`).Text(t.Context(), "7")
	require.NoError(t, err)
	require.Error(t, got.Err)
	require.JSONEq(t, `{"row":{"id":7}}`, string(got.Raw))
}

// A link is never followed: credentials go nowhere but to the base URL.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	t.Cleanup(stranger.Close)
	var pages []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages = append(pages, r.URL.Query().Get("page")+"/"+r.URL.Query().Get("last_sms_id_fetched"))
		next := stranger.URL + "/v2.1/texts?page=5&last_sms_id_fetched=7&api_key=secret"
		row := aRow
		if len(pages) == 2 {
			next, row = "", strings.Replace(aRow, "7", "8", 1)
		}
		fmt.Fprintf(w, `{"total_count":2,"data":[%s],"next_page_link":%q}`, row, next)
	}))
	t.Cleanup(server.Close)
	c := client(server.URL, newer)
	page, err := c.Texts(t.Context(), api.Query{}, "")
	require.NoError(t, err)
	_, err = c.Texts(t.Context(), api.Query{}, page.Next)
	require.NoError(t, err)
	require.Equal(t, []string{"/", "5/7"}, pages)
}

// A list that never ends is left at last, one that leads round in a circle too.
func TestListWithoutEnd(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[%s]`, strings.Replace(aRow, "7", fmt.Sprint(n.Add(1)), 1))
	}))
	t.Cleanup(server.Close)
	c := client(server.URL, newer)
	cursor := api.Cursor("")
	for range 20 {
		page, err := c.Texts(t.Context(), api.Query{}, cursor)
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		cursor = page.Next
	}
	same := answers(t, 200, `{"data":[`+aRow+`],"next_page_link":"?page=3"}`)
	cursor = ""
	for range 4 {
		page, err := same.Texts(t.Context(), api.Query{}, cursor)
		require.NoError(t, err)
		if cursor = page.Next; cursor == "" {
			return
		}
	}
	require.Fail(t, "went round in a circle")
}

// A transport with the client's limits waits, so that the API has nothing to
// refuse; what the API says of others' requests counts.
func TestBudget(t *testing.T) {
	t.Parallel()
	fake := justcalltest.NewServer(justcalltest.Options{API: "v2.1", PerMinute: 3, PerHour: 1000})
	t.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	settings := api.Settings{Account: "main", Region: "US", BaseURL: server.URL, Version: api.V21, Key: "key", Secret: "secret", Auth: api.Plain}
	memory, err := ledger.Open(ledger.Options{URL: devtest.Redis(t).URL, Timeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = memory.Close() })
	transport := budget.New(memory).Transport("justcall:main", 0.8, http.DefaultTransport)
	transport.Keep(api.Definition(settings))
	c := api.New(settings, &http.Client{Transport: transport})
	refused := 0
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		_, err := c.Texts(ctx, api.Query{}, "")
		cancel()
		if err != nil {
			require.Equal(t, connectors.RateLimited, kind(t, err))
			require.Positive(t, connectors.AsError("", err).RetryAfter)
			refused++
		}
	}
	require.Positive(t, refused)
	require.Equal(t, 3, fake.Calls()["GET v2.1/texts"], "nothing is sent that would be refused")
}

// Nothing in crmsync sends texts.
func TestNothingSends(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		files++
		mine := filepath.Dir(path) == filepath.Join(root, "internal/justcall/api")
		if !mine && strings.Contains(string(source), "SendText") {
			t.Errorf("%s sends texts", path)
		}
		return err
	})
	require.NoError(t, err)
	require.Greater(t, files, 100)
}
