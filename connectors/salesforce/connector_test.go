package salesforce_test

import (
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/salesforce"
	"crmsync/connectors/salesforce/fake"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestConformance(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Harness{
		Definition: salesforce.Definition(), Start: start, Reads: reads, Stored: stored, Refusals: refusals,
	})
}

// Where no field of Activity can be unique, texts are read back.
func TestConformanceWithoutAUniqueKey(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Harness{
		Definition: salesforce.Definition(), Reads: reads, Stored: stored,
		Start: func(t testing.TB) connectortest.Fake {
			return connectortest.Serve(t, fake.New(fake.Options{NotUnique: true}), "unique: false")
		},
	})
}

func start(t testing.TB) connectortest.Fake { return connectortest.Serve(t, fake.New(fake.Options{})) }

// reads tells the requests that change nothing: a composite request of this
// connector holds reads alone.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/composite")
}

// stored is a text without what no text field takes.
func stored(plain string) string { return strings.ReplaceAll(plain, "\x00", "") }

// refusals are in Salesforce's own words.
var refusals = []connectortest.Refusal{
	{Name: "session expired", Want: connectors.Auth, Answer: connectortest.Answer{
		Status: 401, Body: `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`,
	}},
	{Name: "no API in this edition", Want: connectors.Auth, Answer: connectortest.Answer{
		Status: 403, Body: `[{"message":"The REST API is not enabled for this Organization.","errorCode":"API_DISABLED_FOR_ORG"}]`,
	}},
	{Name: "requests of the day spent", Want: connectors.RateLimited, RetryAfter: 10 * time.Minute, Answer: connectortest.Answer{
		Status: 403, Body: `[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`,
	}},
	{Name: "too many at a time", Want: connectors.RateLimited, Answer: connectortest.Answer{
		Status: 403, Body: `[{"message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`,
	}},
	{Name: "record locked", Want: connectors.Unavailable, Answer: connectortest.Answer{
		Status: 400, Body: `[{"message":"unable to obtain exclusive access to this record","errorCode":"UNABLE_TO_LOCK_ROW"}]`,
	}},
	{Name: "maintenance", Want: connectors.Unavailable, Answer: connectortest.Answer{
		Status: 503, Body: `[{"message":"Server unavailable","errorCode":"SERVER_UNAVAILABLE"}]`,
	}},
	{Name: "unexpected exception", Want: connectors.Unavailable, Answer: connectortest.Answer{
		Status: 500, Body: `[{"message":"An unexpected error occurred.","errorCode":"UNKNOWN_EXCEPTION"}]`,
	}},
}

// org is a connector at an organisation.
type org struct {
	*fake.Org
	*salesforce.Connector
	url string
}

func newOrg(t *testing.T, o fake.Options, settings ...string) org {
	t.Helper()
	f := fake.New(o)
	served := connectortest.Serve(t, f, settings...)
	return org{f, served.Open(t, salesforce.Definition()).(*salesforce.Connector), served.URL}
}

// count answers how many requests f made.
func (o org) count(f func()) int {
	total := func() (n int) {
		for _, each := range o.Requests() {
			n += each
		}
		return n
	}
	before := total()
	f()
	return total() - before
}

// The golden file shows what arrives in the CRM.
func TestTextInTheCRM(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{}, "time_zone: America/New_York")
	ann, err := o.CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: "+15125550100", Name: "Ann Mary Lee", Email: "ann@example.com"})
	require.NoError(t, err)
	require.Equal(t, o.url+"/"+ann.ID, ann.URL)
	// Still the 20th in New York.
	at := time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC)
	out := o.PutMessages(t.Context(), []connectors.Record{{
		Key: "main/Msg_1", Contact: ann.Ref, Subject: "SMS to\nAnn", Body: "Your <b>table</b> is ready\nhttps://example.com/menu.pdf",
		OwnerID: o.AddOwner("sam@example.com"),
		Message: sms.Message{ID: "Msg_1", Direction: sms.Outbound, Contact: "+15125550100", At: at},
	}})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	require.Equal(t, o.url+"/"+out[0].Ref.ID, out[0].Ref.URL)
	require.Equal(t, connectors.Written, o.UpdateStatus(t.Context(), []connectors.StatusChange{
		{Key: "main/Msg_1", Status: sms.StatusFailed, Reason: "landline", At: at.Add(time.Minute)},
	})[0].State)
	connectortest.Golden(t, "text.json", map[string]any{"Lead": o.Fields(ann.ID), "Task": o.Fields(out[0].Ref.ID)}, *update)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	n := o.count(func() {
		caps, err := o.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, connectors.CapabilitiesOf(o.Connector, connectors.ClassC), caps)
	})
	require.Equal(t, 1, n, "requests of a check")
}

func TestCheckNarrowsWhatFieldsAreMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings        string
		status, consent bool
	}{
		{"fields: { status: Absent__c }", false, true},
		{"fields: { reason: Absent__c }", false, true},
		{"fields: { status: '' }", false, true},
		{"fields: { reason: '' }", true, true},
		{"fields: { opt_out: Absent__c }", true, false},
		{"fields: { opt_out: '' }", true, false},
		{"fields: { opt_out_at: '' }", true, true},
		{"leads: false", true, true},
	} {
		caps, err := newOrg(t, fake.Options{}, c.settings).Check(t.Context())
		require.NoError(t, err, c.settings)
		require.Equal(t, c.status, caps.Status, c.settings)
		require.Equal(t, c.consent, caps.Consent, c.settings)
	}
}

// Without what texts need nothing may fail: everything waits until a person has
// seen to it.
func TestCheckNamesWhatAPersonMustDo(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"fields: { key: Absent__c }":                    "the field Absent__c of Activity is missing",
		"fields: { at: Absent__c }":                     "the field Absent__c of Activity is missing",
		"fields: { key: IsClosed }":                     "or these credentials may not write it",
		"fields: { key: JustCall_Reason__c }":           "is not unique, so that a text could be there twice",
		"contact_phones: [MobilePhone, Assistant__c]":   "the field Assistant__c of Contact is missing or hidden",
		"lead_phones: [MobilePhone, Home__c, Other__c]": "the field Home__c of Lead",
	} {
		_, err := newOrg(t, fake.Options{}, settings).Check(t.Context())
		require.ErrorContains(t, err, want)
		require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
	}
}

// A belief that may be wrong has a way out: the message names it.
func TestOrganisationWithoutUniqueFields(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{NotUnique: true})
	_, err := o.Check(t.Context())
	require.ErrorContains(t, err, "set unique: false")
	o = newOrg(t, fake.Options{NotUnique: true}, "unique: false")
	o.RemoveFields()
	_, err = o.Provision(t.Context(), false)
	require.NoError(t, err)
	caps, err := o.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectors.ClassD, caps.Class)
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	o.Expire()
	_, err := o.Check(t.Context())
	require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
}

// With a sign-in the address comes with the grant.
func TestAddressOfTheGrant(t *testing.T) {
	t.Parallel()
	org := fake.New(fake.Options{})
	served := connectortest.Serve(t, org)
	served.Config, served.Transport, served.Grant = "leads: true", bearer(org.Secrets()[0]), grantAt(served.URL)
	c := served.Open(t, salesforce.Definition())
	person, err := c.(connectors.ContactCreator).CreateContact(t.Context(), connectors.NewContact{Phone: "+15125550100"})
	require.NoError(t, err)
	require.Equal(t, served.URL+"/"+person.ID, person.URL)
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	const ok = "instance_url: https://acme.my.salesforce.com\n"
	connectortest.Refuses(t, salesforce.Definition(), map[string]string{
		"token: x":                             "instance_url is missing",
		"leads: true":                          "instance_url is missing: only a sign-in",
		"instance_url: acme.my.salesforce.com": "instance_url must be an absolute http or https URL",
		ok + "api_version: 61":                 "api_version must be like v61.0",
		ok + "time_zone: Mars/Utopia":          "time_zone must be like America/New_York",
		ok + "daily_requests: 0":               "must be above 0",
		ok + "numbers_per_search: 0":           "must be above 0",
		ok + "company: ''":                     "a lead must have one",
		ok + "fields: { key: '' }":             "fields.key must be the API name of a field",
		ok + "fields: { status: a b }":         "fields.status must be the API name of a field",
		ok + "contact_phones: []":              "contact_phones is empty",
		ok + "lead_phones: ['x) FROM User']":   "lead_phones must be the API name of a field",
		ok + "no_such: 1":                      "no_such",
	})
}

func TestExampleIsADefinitionThatSignsIn(t *testing.T) {
	t.Parallel()
	d := salesforce.Definition()
	_, err := connectors.NewRegistry(d)
	require.NoError(t, err)
	require.Equal(t, "https://{domain}/services/oauth2/token", d.SignIn.TokenURL)
	require.Empty(t, d.SignIn.Scopes, "Salesforce refuses them in two of the flows")
	require.Contains(t, d.Example, "params: { domain: ")
}
