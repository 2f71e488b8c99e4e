package hubspot_test

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/fake"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// account is a fake and a connector on it.
type account struct {
	*fake.Fake
	*hubspot.Connector
	served connectortest.Fake
}

// open opens a connector on a fresh account; settings are further lines.
func open(t testing.TB, options fake.Options, settings string) account {
	f := fake.New(options)
	served := connectortest.Serve(t, f, settings)
	return account{f, connect(t, served), served}
}

func connect(t testing.TB, served connectortest.Fake) *hubspot.Connector {
	return served.Open(t, hubspot.Definition()).(*hubspot.Connector)
}

// without is the account with the defaults of all settings.
func (a account) without() connectortest.Fake {
	a.served.Config = "base_url: " + a.served.URL + "\ntoken: pat-na1-fake\n"
	return a.served
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]fake.Options{
		"unique property": {},
		"searches lag, batches are refused as a whole": {SearchLag: time.Hour, WholeBatches: true},
		"silent and without traces":                    {Quiet: true, NoTraces: true},
		"class D, small pages":                         {NoUnique: true, WholeBatches: true, Page: 1},
		"class D, key in the text":                     {NoKey: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Run(t, harness(options))
		})
	}
}

func harness(options fake.Options) connectortest.Harness {
	waive := map[string]string{}
	if options.NoKey {
		waive["put/leaves edits alone"] = "whoever edits the text may take the key out of it, too"
	}
	return connectortest.Harness{
		Definition: hubspot.Definition(),
		Waive:      waive,
		Start:      func(t testing.TB) connectortest.Fake { return connectortest.Serve(t, fake.New(options)) },
		Stored:     stored,
		Reads:      reads,
		Refusals:   refusals,
	}
}

// stored is what HubSpot holds of a plain text.
func stored(plain string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;",
		"\r\n", "<br>", "\n", "<br>", "\x00", "\uFFFD").Replace(plain)
}

func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/read") || strings.HasSuffix(r.URL.Path, "/search")
}

func says(body string) string {
	return `{"status":"error","correlationId":"aeb5f871-7f07-4993-9211-075dc63e7cbf",` + body + `}`
}

// refusals are HubSpot's own words, as its documentation and its customers show
// them.
var refusals = []connectortest.Refusal{
	{
		Name: "429 in ten seconds", Want: connectors.RateLimited, RetryAfter: 10 * time.Second,
		Answer: connectortest.Answer{Status: 429, Body: says(`"message":"You have reached your ten_secondly_rolling limit.","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"`)},
	},
	{
		Name: "429 of a search", Want: connectors.RateLimited, RetryAfter: time.Second,
		Answer: connectortest.Answer{Status: 429, Body: says(`"message":"You have reached your secondly limit.","errorType":"RATE_LIMIT","policyName":"SECONDLY"`)},
	},
	{Name: "423 locked", Want: connectors.Unavailable, RetryAfter: 2 * time.Second, Answer: connectortest.Answer{Status: 423}},
	{
		Name: "477 migration", Want: connectors.Unavailable, RetryAfter: time.Hour,
		Answer: connectortest.Answer{Status: 477, Header: http.Header{"Retry-After": {"3600"}}},
	},
	{Name: "521 down", Want: connectors.Unavailable, Answer: connectortest.Answer{Status: 521, Body: "error code: 521"}},
	{
		Name: "401 expired", Want: connectors.Auth,
		Answer: connectortest.Answer{Status: 401, Body: says(`"message":"The OAuth token used to make this call expired 3 second(s) ago.","category":"EXPIRED_AUTHENTICATION"`)},
	},
}

// The golden file shows what arrives in HubSpot.
func TestTextInTheCRM(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "portal: \"4711\"\n")
	ann := a.AddContact(connectortest.Contact{Name: "Ann Lee", Phones: []string{"(512) 555-0100"}})
	a.AddOwner("sam@example.com")
	at := time.Date(2026, 11, 21, 10, 30, 0, 5e8, time.FixedZone("CET", 3600))
	text := connectors.Record{
		Key: "main/msg_1", Contact: ann, OwnerID: "501", Subject: "SMS to +15125550100 from Front desk (Sam)",
		Body:    "Your table is ready <3\nhttps://example.com/menu.pdf",
		Message: sms.Message{ID: "msg_1", Direction: sms.Outbound, Contact: "+15125550100", At: at},
	}
	out := a.PutMessages(t.Context(), []connectors.Record{text})[0]
	require.Equal(t, connectors.Written, out.State, "%v", out.Err)
	require.Equal(t, "https://app.hubspot.com/contacts/4711/record/0-1/"+ann.ID+"?engagement="+out.Ref.ID, out.Ref.URL)
	a.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: text.Key, Status: sms.StatusFailed, Reason: "landline", At: at}})
	connectortest.Golden(t, "text.json", a.Messages(), *update)
}

func TestCheckSaysWhatAccountCanDo(t *testing.T) {
	t.Parallel()
	full := connectors.Capabilities{Class: connectors.ClassC, Find: true, Create: true, Status: true, Consent: true, ReadBack: true, Adopt: true}
	without := func(narrow func(*connectors.Capabilities)) connectors.Capabilities {
		c := full
		narrow(&c)
		return c
	}
	for settings, want := range map[string]connectors.Capabilities{
		"":                               full,
		`fields: { status: "" }`:         without(func(c *connectors.Capabilities) { c.Status = false }),
		"fields: { status: not_there }":  without(func(c *connectors.Capabilities) { c.Status = false }),
		"fields: { opt_out: not_there }": without(func(c *connectors.Capabilities) { c.Consent = false }),
		`fields: { key: "" }`:            without(func(c *connectors.Capabilities) { c.Class, c.Adopt = connectors.ClassD, false }),
		"unique: false":                  without(func(c *connectors.Capabilities) { c.Class = connectors.ClassD }),
	} {
		caps, err := open(t, fake.Options{}, settings).Check(t.Context())
		require.NoError(t, err, settings)
		require.Equal(t, want, caps, settings)
	}
}

// An account that is not set up keeps its lane waiting, and parks nothing.
func TestCheckSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, options := range map[string]fake.Options{
		"property justcall_message_id on communications is missing: crmsync check --provision creates it": {Bare: true},
		"property justcall_message_id on communications does not have unique values":                      {NoUnique: true},
	} {
		a := open(t, options, "")
		_, err := connect(t, a.without()).Check(t.Context())
		require.ErrorContains(t, err, want)
		require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
	}
}

func TestCheckKnowsWhereNumbersAre(t *testing.T) {
	t.Parallel()
	_, err := open(t, fake.Options{}, "phone_fields: [phone, cell]\n").Check(t.Context())
	require.ErrorContains(t, err, "AUTH: property cell of phone_fields is missing on contacts")
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	connectortest.Refuses(t, hubspot.Definition(), map[string]string{
		"plan: starter":                                     "token is missing, and there is no oauth",
		"token: x\nplan: free":                              "plan: must be starter",
		"token: x\nbase_url: hubspot":                       "base_url must be an absolute http or https URL",
		"token: x\nversion: v3":                             "version: must be a date",
		"token: x\ntime_zone: Berlin":                       "time_zone: must be a time zone",
		"token: x\nlimit_increases: 3":                      "limit_increases: must be from 0 to 2",
		"token: x\nphone_fields: []":                        "phone_fields: at least one",
		"token: x\nphone_fields: [Phone]":                   `"Phone" is no internal name`,
		"token: x\nfields: { status: justcall_message_id }": "property justcall_message_id is there twice",
		"token: x\nportal: mine":                            "portal: must be the account's id",
		"token: x\nassociation_type: 0":                     "association_type: must be a number above 0",
		"token: x\nfield: {}":                               "field",
	})
}
