package pipedrive_test

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestConformance(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Harness{Definition: pipedrive.Definition(), Start: start(fake.Options{}), Stored: stored, Refusals: refusals})
}

// What is not confirmed of the vendor may be the other way round.
func TestConformanceOtherwise(t *testing.T) {
	t.Parallel()
	otherwise := start(fake.Options{SoftDeletes: true, TypedPhones: true}, "phone_search: endings")
	connectortest.Run(t, connectortest.Harness{Definition: pipedrive.Definition(), Start: otherwise, Stored: stored})
}

// refusals are in the vendor's words.
var refusals = []connectortest.Refusal{
	{
		Name: "kept out by Cloudflare", Want: connectors.RateLimited, RetryAfter: time.Minute,
		Answer: connectortest.Answer{Status: 403, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, Body: "<!DOCTYPE html><title>Access denied | Cloudflare</title>"},
	},
	{
		Name: "burst", Want: connectors.RateLimited, RetryAfter: time.Second,
		Answer: connectortest.Answer{
			Status: 429, Header: http.Header{"X-Ratelimit-Limit": {"20"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1"}},
			Body: `{"success":false,"error":"request over limit"}`,
		},
	},
	{
		Name: "tokens of the day", Want: connectors.RateLimited, RetryAfter: time.Minute,
		Answer: connectortest.Answer{
			Status: 429, Header: http.Header{"X-Ratelimit-Limit": {"20"}, "X-Ratelimit-Remaining": {"19"}, "X-Ratelimit-Reset": {"2"}},
			Body: `{"success":false,"error":"request over limit"}`,
		},
	},
	{
		Name: "a scope is missing", Want: connectors.Auth,
		Answer: connectortest.Answer{Status: 403, Body: `{"success":false,"error":"Scope and URL mismatch","errorCode":403,"error_info":"Please check developers.pipedrive.com"}`},
	},
	{
		Name: "account is not open", Want: connectors.Auth,
		Answer: connectortest.Answer{Status: 402, Body: `{"success":false,"error":"Payment required"}`},
	},
	{
		Name: "plan's limit", Want: connectors.Forbidden,
		Answer: connectortest.Answer{Status: 403, Body: `{"success":false,"error":"Couldn't add the deal. Open deals limit reached.","code":"feature_capping_deals_limit"}`},
	},
	{
		Name: "token refused", Want: connectors.Auth,
		Answer: connectortest.Answer{Status: 401, Body: `{"success":false,"error":"unauthorized access","errorCode":401}`},
	},
	{
		Name: "success that is none", Want: connectors.Unknown,
		Answer: connectortest.Answer{Status: 200, Body: `{"success":false,"data":null}`},
	},
}

// stored is a text as notes hold it.
func stored(plain string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r\n", "<br>", "\n", "<br>", "\x00", "").Replace(plain)
}

func start(options fake.Options, settings ...string) func(testing.TB) connectortest.Fake {
	return func(t testing.TB) connectortest.Fake { return connectortest.Serve(t, fake.New(options), settings...) }
}

// open serves a fake and opens an instance with more settings.
func open(t testing.TB, options fake.Options, more ...string) (*fake.Fake, *pipedrive.Connector) {
	f := fake.New(options)
	return f, connectortest.Serve(t, f, more...).Open(t, pipedrive.Definition()).(*pipedrive.Connector)
}

// person is somebody with the number that most tests use.
func person(f *fake.Fake) connectors.Ref {
	return f.AddContact(connectortest.Contact{Name: "Ann Lee", Phones: []string{"+15125550100"}})
}

var at = time.Date(2026, 11, 21, 9, 30, 20, 0, time.UTC)

func text(contact connectors.Ref) connectors.Record {
	return connectors.Record{
		Key: "main/msg_1", Contact: contact, OwnerID: "2", Subject: "SMS sent by Sam", Body: "Your table is ready & waiting\nhttps://example.com/menu.pdf",
		Message: sms.Message{
			ID: "msg_1", Direction: sms.Outbound, Contact: "+15125550100", Line: "+15125550199", At: at, Body: "Your table is ready & waiting",
		},
	}
}

// The golden file shows what arrives in the CRM.
func TestTextInTheCRM(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	ann := person(f)
	out := c.PutMessages(t.Context(), []connectors.Record{text(ann)})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/person/1$`, out[0].Ref.URL)
	done := c.UpdateStatus(t.Context(), []connectors.StatusChange{{
		Key: "main/msg_1", Record: out[0].Ref, Status: sms.StatusFailed, Reason: "landline <or> [blocked]", At: at.Add(time.Minute),
	}})
	require.Equal(t, connectors.Written, done[0].State, "%v", done[0].Err)
	connectortest.Golden(t, "text.json", f.Messages(), *update)
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	connectortest.Refuses(t, pipedrive.Definition(), map[string]string{
		"token: x":                                 "base_url is missing",
		"base_url: acme.pipedrive.com":             "base_url must be an absolute http or https URL",
		"plan: platinum":                           "plan must be lite, growth, premium or ultimate",
		"seats: 0":                                 "seats must be 1 or more",
		"tokens_per_day: -1":                       "tokens_per_day must not be below 0",
		"reset_zone: Mars/Olympus":                 `no time zone "Mars/Olympus"`,
		"phone_search: guess":                      "phone_search must be digits or endings",
		"activity_type: ''":                        "activity_type is missing",
		"opt_out_field: ''":                        "opt_out_field is missing",
		"base_url: https://a.pipedrive.com\nx: no": "field x not found",
		"token: x\nactivity_type: ''\nseats: 0":    "base_url is missing\nactivity_type is missing\nseats must be 1 or more",
	})
}
