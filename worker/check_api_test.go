package worker

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
)

// checked is what check says of an account's API.
func checked(t *testing.T, fake *justcalltest.Server, api string) string {
	t.Helper()
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	var f findings
	f.justcallAPIs(t.Context(), parse(t, `
justcall:
  main:
    webhook: { token: a-long-secret-token, public_url: "https://sms.example.com/webhooks/justcall/main" }
    api: { base_url: "`+server.URL+`", `+api+` }
`+oneCRM))
	require.NotContains(t, f.lines(), "a-long-secret-token")
	return f.lines()
}

const ourWebhook = "https://sms.example.com/webhooks/justcall/main/a-long-secret-token"

func TestCheckAsksJustCall(t *testing.T) {
	t.Parallel()
	const credentials = "key: key, secret: secret"
	newer := justcalltest.Options{Dialect: justcall.V21, URL: "http://127.0.0.1:1", SignedURL: ourWebhook}
	elsewhere, own := newer, newer
	elsewhere.SignedURL, own.Key = "https://other.example.com/webhooks/justcall/main", "another"
	for name, c := range map[string]struct {
		options justcalltest.Options
		api     string
		change  func(*justcalltest.Server)
		want    []string
	}{
		"no credentials": {newer, "version: v2.1", nil, []string{"warning justcall.main.api: has no key and secret"}},
		"all is well": {newer, "version: v2.1, " + credentials, nil, []string{
			"ok justcall.main.api: credentials work", "ok justcall.main.api: the webhook is active",
		}},
		"wrong credentials": {own, "version: v2.1, " + credentials, nil, []string{"error justcall.main.api: list texts: AUTH (HTTP 401): copy key and secret anew"}},
		"another version":   {newer, "version: v2, auth: plain, " + credentials, nil, []string{"error justcall.main.api: list texts: NOT_FOUND (HTTP 404): see whether base_url and version"}},
		"classic": {justcalltest.Options{}, "version: v2, " + credentials, nil, []string{
			"ok justcall.main.api: credentials work", "ok justcall.main.api: version v2 does not tell how the webhook does",
		}},
		"no webhook": {elsewhere, "version: v2.1, " + credentials, nil, []string{"warning justcall.main.api: JustCall posts to no webhook of this account: add https://sms.example.com/webhooks/justcall/main/TOKEN in"}},
		"blacklisted": {newer, "version: v2.1, " + credentials, (*justcalltest.Server).Pause, []string{
			"error justcall.main.api: JustCall has blacklisted the webhook for jc.contact_status_updated, sms.received, sms.sent, sms.status_updated",
		}},
		"rows of another form": {newer, "version: v2.1, " + credentials, func(s *justcalltest.Server) {
			texts := justcalltest.MakeTexts(3, 1001, time.Now(), time.Second)
			texts[1].Contact = "?"
			s.Put(texts...)
		}, []string{"warning justcall.main.api: 1 of 3 texts cannot be read, such as: text: row.contact_number: is no phone number"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := justcalltest.NewServer(c.options)
			t.Cleanup(fake.Close)
			if c.change != nil {
				c.change(fake)
			}
			lines := checked(t, fake, c.api)
			for _, want := range c.want {
				require.Contains(t, lines, want)
			}
			if name == "all is well" || name == "classic" {
				require.NotContains(t, lines, "warning")
			}
			require.Empty(t, fake.Sent())
		})
	}
}

func TestCheckNamesEventsThatAreNotTicked(t *testing.T) {
	t.Parallel()
	for ticked, want := range map[string]string{
		newerEvents: "",
		"sms.sent_received, sms.status_updated, jc.contact_status_updated": "",
		"sms.received, sms.sent, sms.status_updated":                       "jc.contact_status_updated is not ticked",
		"sms.received, jc.contact_status_updated":                          "sms.sent is not ticked",
		newerEvents + ", sms.sent_received":                                "sms.sent_received repeats",
	} {
		var f findings
		f.subscribed("justcall.main.api", strings.Split(ticked, ", "))
		require.Equal(t, want == "", len(f) == 0, ticked)
		require.Contains(t, f.lines(), want)
	}
}
