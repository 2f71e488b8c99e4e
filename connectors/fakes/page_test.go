package fakes_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// vendor is a fake that holds what a test gives it.
type vendor struct {
	fakes.Fake
	contacts []fakes.Contact
	messages []fakes.Message
}

func (v vendor) Contacts() []fakes.Contact { return v.contacts }
func (v vendor) Messages() []fakes.Message { return v.messages }
func (vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "api "+r.Method+" "+r.URL.Path)
}

func shown(page fakes.Page, v vendor, method, target string) string {
	w := httptest.NewRecorder()
	page.Serve(v).ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Body.String()
}

func TestPage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	v := vendor{
		contacts: []fakes.Contact{
			{Ref: connectors.Ref{Type: "contact", ID: "1"}, Name: "Ann <Lee>", Phones: []string{"(512) 555-0100"}, OwnerID: "u1", OptedOut: true, ConsentAt: at, Fields: map[string]string{"city": "Austin", "zip": ""}},
			{Ref: connectors.Ref{Type: "lead", ID: "2"}},
		},
		messages: []fakes.Message{
			{ID: "b", Contact: "1", Body: "second", At: at.Add(time.Minute), Direction: "outbound", Status: "failed", Reason: "landline", OwnerID: "u1"},
			{ID: "a", Contact: "1", Body: "<p>first<br>a &lt; b &amp;amp; c</p>", At: at, Direction: "inbound", Subject: "SMS received"},
			{ID: "c", Body: "from <script>nobody</script>"},
			{ID: "d", Contact: "gone", Body: "of somebody deleted"},
		},
	}
	page := fakes.Page{Title: "hubspot", HTML: true, Owners: map[string]string{"u1": "ada@example.com"}}

	require.Contains(t, shown(page, v, "GET", "/"), "<h2>(no name)</h2>", "the newest contact's timeline is open")
	home := shown(page, v, "GET", "/?contact=-")
	for _, part := range []string{"<h1>hubspot</h1>", "ada@example.com", "Ann &lt;Lee&gt;", "(no name)", "opted out", "<small>2</small>", "from nobody", "of somebody deleted"} {
		require.Contains(t, home, part)
	}
	require.NotContains(t, home, "first")

	ann := shown(page, v, "GET", "/?contact=1")
	require.Regexp(t, `(?s)first\na &lt; b &amp;amp; c.*second`, ann, "in the order of time, as people read it")
	for _, part := range []string{"SMS received", `class="outbound"`, "failed</span>: landline", "owner ada@example.com", "opted out as of 21 Nov 2026 09:30:00 UTC", "2 texts", "city: Austin"} {
		require.Contains(t, ann, part)
	}
	require.NotContains(t, ann, "nobody")
	require.NotContains(t, ann, "zip")

	page.HTML = false
	require.Contains(t, shown(page, v, "GET", "/?contact=1"), "&lt;p&gt;first&lt;br&gt;", "what is no HTML is shown as it is")
}

// All but the page is the vendor's.
func TestPageLeavesTheAPIAlone(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/crm/v3/objects", "/jsonrpc", "/index.html"} {
		require.Equal(t, "api GET "+target, shown(fakes.Page{}, vendor{}, "GET", target))
	}
	require.Equal(t, "api POST /", shown(fakes.Page{}, vendor{}, "POST", "/"))
}
