package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/justcall"
	"crmsync/internal/justcall/api"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

var newer = justcalltest.Options{API: "v2.1"}

func TestPeople(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, newer)
	for i := range 150 {
		fake.AddUser(justcalltest.User{ID: 100 + i, Name: "Ann Lee", Email: "ann@example.com"})
	}
	fake.AddUser(justcalltest.User{ID: 42, Name: "Bob Ray", Email: "bob@example.com", Lines: []sms.Phone{justcalltest.Line}})
	users, next, err := c.Users(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, users, 100)
	users, next, err = c.Users(t.Context(), next)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, api.User{ID: "42", Name: "Bob Ray", Email: "bob@example.com", Lines: []sms.Phone{justcalltest.Line}}, users[50])
	numbers, next, err := c.Numbers(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, []api.Number{{
		ID: "4200", Name: "Front desk", Line: justcalltest.Line, Owner: api.User{ID: "42", Name: "Bob Ray", Email: "bob@example.com"},
	}}, numbers)
}

func TestContacts(t *testing.T) {
	t.Parallel()
	_, c := serve(t, newer)
	id, err := c.CreateContact(t.Context(), api.Contact{FirstName: "Sarah", Phone: "+15125551234"})
	require.NoError(t, err)
	require.NoError(t, c.UpdateContact(t.Context(), api.Contact{ID: id, LastName: "Chen"}))
	require.NoError(t, c.SetContactStatus(t.Context(), "+15125551234", api.Status{DNM: true, DND: true}, api.Status{}))
	require.NoError(t, c.SetContactStatus(t.Context(), "+15125551234", api.Status{}, api.Status{DND: true}))
	want := api.Contact{ID: id, FirstName: "Sarah", LastName: "Chen", Phone: "+15125551234", Status: api.Status{DNM: true}}
	got, err := c.Contact(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for phone, n := range map[sms.Phone]int{"": 1, "+15125551234": 1, "+15125559999": 0} {
		all, next, err := c.Contacts(t.Context(), phone, "")
		require.NoError(t, err)
		require.Empty(t, next)
		require.Len(t, all, n)
	}
	_, err = c.Contact(t.Context(), "7")
	require.Equal(t, connectors.NotFound, kind(t, err))
	require.Equal(t, connectors.NotFound, kind(t, c.UpdateContact(t.Context(), api.Contact{ID: "7"})))
	_, err = c.CreateContact(t.Context(), api.Contact{})
	require.Equal(t, connectors.Invalid, kind(t, err))
}

func TestSuppressed(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, newer)
	fake.Suppress("+15125551234", true)
	fake.Suppress("+15125551235", true)
	fake.Suppress("+15125551235", false)
	fake.Suppress("+15125551236", true)
	phones, next, err := c.Suppressed(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, []sms.Phone{"+15125551234", "+15125551236"}, phones)
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const ours = "https://sms.example.com/webhooks/justcall/main"
	_, c := serve(t, justcalltest.Options{Dialect: justcall.V21, URL: "http://127.0.0.1:1", SignedURL: ours})
	got, err := c.Webhooks(t.Context())
	require.Error(t, err, "another scheme")
	require.Empty(t, got)
	fake := justcalltest.NewServer(justcalltest.Options{Dialect: justcall.V21, URL: "http://127.0.0.1:1", SignedURL: ours})
	t.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	c = client(server.URL, newer)
	got, err = c.Webhooks(t.Context())
	require.NoError(t, err)
	require.Equal(t, []api.Webhook{{
		URL: ours, Status: api.Active, Events: []string{"jc.contact_status_updated", "sms.received", "sms.sent", "sms.status_updated"},
	}}, got)
	fake.Pause()
	got, err = c.Webhooks(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.Blacklisted, got[0].Status)
	require.True(t, fake.Paused())
}

// Other forms of the same, which were seen or may be.
func TestWebhooksOfAnotherForm(t *testing.T) {
	t.Parallel()
	c := answers(t, 200, `{"status":"success","data":[
		{"topic":"sms.sent","url":"https://a.example.com","status":"active"},
		{"type":"sms.received","webhook_urls":[{"webhook_url":"https://a.example.com","status":"WARNING"},{"url":"https://b.example.com","status":"odd"}]},
		{"type":"call.completed","webhook_urls":["https://b.example.com"]},
		{"type":"call.missed","webhook_urls":[]}, 7]}`)
	got, err := c.Webhooks(t.Context())
	require.NoError(t, err)
	require.Equal(t, []api.Webhook{
		{URL: "https://a.example.com", Status: api.Warning, Events: []string{"sms.received", "sms.sent"}},
		{URL: "https://b.example.com", Status: "odd", Events: []string{"call.completed", "sms.received"}},
	}, got)
}

// The classic API has nothing but texts.
func TestClassicHasOnlyTexts(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, justcalltest.Options{API: "v2"})
	_, _, users := c.Users(t.Context(), "")
	_, _, numbers := c.Numbers(t.Context(), "")
	_, _, suppressed := c.Suppressed(t.Context(), "")
	_, _, contacts := c.Contacts(t.Context(), "", "")
	_, contact := c.Contact(t.Context(), "1")
	_, create := c.CreateContact(t.Context(), api.Contact{})
	_, webhooks := c.Webhooks(t.Context())
	for _, err := range []error{
		users, numbers, suppressed, contacts, contact, create, webhooks,
		c.UpdateContact(t.Context(), api.Contact{}), c.SetContactStatus(t.Context(), "", api.Status{}, api.Status{}),
	} {
		require.Equal(t, connectors.Unsupported, kind(t, err))
	}
	require.Empty(t, fake.Calls())
}

// The directory asks once, and an API that fails costs nobody an owner that was
// known, nor an error.
func TestDirectory(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, newer)
	fake.AddUser(justcalltest.User{ID: 42, Name: "Bob Ray", Email: "bob@example.com", Lines: []sms.Phone{justcalltest.Line}})
	fake.AddUser(justcalltest.User{ID: 43, Name: "Cy", Email: "cy@example.com"})
	people := api.NewDirectory(c, hclog.NewNullLogger())
	for range 3 {
		require.Equal(t, "bob@example.com", people.Agent(t.Context(), "42"))
		require.Equal(t, "cy@example.com", people.Agent(t.Context(), "43"))
		require.Empty(t, people.Agent(t.Context(), "44"))
		require.Equal(t, "bob@example.com", people.Line(t.Context(), justcalltest.Line))
		require.Empty(t, people.Line(t.Context(), "+15125550199"))
	}
	require.Equal(t, map[string]int{"GET v2.1/users": 1, "GET v2.1/phone-numbers": 1}, fake.Calls())
}

func TestDirectoryThatFails(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v2", "v2.1"} {
		var calls int
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.WriteHeader(http.StatusForbidden)
		}))
		t.Cleanup(server.Close)
		var out bytes.Buffer
		people := api.NewDirectory(client(server.URL, justcalltest.Options{API: version}), hclog.New(&hclog.LoggerOptions{Output: &out}))
		for range 3 {
			require.Empty(t, people.Agent(t.Context(), "42"))
			require.Empty(t, people.Line(t.Context(), justcalltest.Line))
		}
		require.Equal(t, version == "v2.1", calls == 1, "asked once in a while, or never")
		require.Equal(t, version == "v2.1", bytes.Contains(out.Bytes(), []byte("kind=FORBIDDEN")), out.String())
	}
}

func TestSendText(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v2", "v2.1"} {
		fake, c := serve(t, justcalltest.Options{API: version})
		id, err := c.SendText(t.Context(), justcalltest.Line, "+15125551234", "Hello")
		require.NoError(t, err)
		require.Len(t, fake.Sent(), 1)
		require.Equal(t, fake.Sent()[0].ID, id)
		require.Equal(t, "Hello", fake.Sent()[0].Body)
		require.Equal(t, sms.Phone("+15125551234"), fake.Sent()[0].Contact)
		_, err = c.SendText(t.Context(), justcalltest.Line, "+15125551234", string(make([]byte, api.MaxBody+1)))
		require.Equal(t, connectors.Invalid, kind(t, err))
	}
}
