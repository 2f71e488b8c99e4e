package hubspot_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot/fake"
	"crmsync/sms"
)

// specFiles are HubSpot's own files for version 2026-03, which are not ours to
// ship: https://github.com/HubSpot/HubSpot-public-api-spec-collection. The test
// wants them in the folder hubspot below CRMSYNC_VENDOR_SPECS.
var specFiles = []string{"communications.json", "contacts.json", "associations.json", "properties.json", "crmOwners.json"}

// spec is what is read of an OpenAPI file.
type spec struct {
	Paths map[string]map[string]struct {
		Parameters []struct{ Name, In string }
		Body       struct {
			Content map[string]struct{ Schema schema }
		} `json:"requestBody"`
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Enum       []string
	Required   []string
	Properties map[string]schema
	Items      *schema
	Additional *schema `json:"additionalProperties"`
}

func specs(t *testing.T) []spec {
	t.Helper()
	folder := os.Getenv("CRMSYNC_VENDOR_SPECS")
	if folder == "" {
		t.Skip("CRMSYNC_VENDOR_SPECS names no folder with the vendors' OpenAPI files")
	}
	var all []spec
	for _, file := range specFiles {
		raw, err := os.ReadFile(filepath.Join(folder, "hubspot", file))
		if os.IsNotExist(err) {
			t.Skipf("CRMSYNC_VENDOR_SPECS has no hubspot/%s", file)
		}
		require.NoError(t, err)
		var s spec
		require.NoError(t, json.Unmarshal(raw, &s))
		all = append(all, s)
	}
	return all
}

// sent is a request of the connector.
type sent struct {
	method, path string
	query        []string
	body         any
}

type recorder struct {
	next http.RoundTripper
	seen *[]sent
}

// RoundTrip implements http.RoundTripper.
func (l recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sent{method: strings.ToLower(r.Method), path: r.URL.Path}
	for name := range r.URL.Query() {
		s.query = append(s.query, name)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &s.body); err != nil {
			return nil, err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	*l.seen = append(*l.seen, s)
	return l.next.RoundTrip(r)
}

// everything makes every request that the connector can make.
func everything(t *testing.T) []sent {
	var seen []sent
	for _, options := range []fake.Options{{Bare: true}, {Bare: true, NoUnique: true, Page: 1}} {
		a := open(t, options, "")
		a.AddOwner("sam@example.com")
		a.served.Transport = recorder{http.DefaultTransport, &seen}
		c := connect(t, a.served)
		_, err := c.Provision(t.Context(), false)
		require.NoError(t, err)
		_, err = c.Check(t.Context())
		require.NoError(t, err)
		_, err = c.FindOwners(t.Context(), []string{"sam@example.com", "kim@example.com"})
		require.NoError(t, err)
		_, err = c.FindOwners(t.Context(), []string{"sam@example.com"})
		require.NoError(t, err)
		n := connectors.NewContact{Phone: "+15125550100", Email: "ann@example.com", OwnerID: "501"}
		ann, err := c.CreateContact(t.Context(), n)
		require.NoError(t, err)
		_, err = c.CreateContact(t.Context(), n)
		require.NoError(t, err)
		_, err = c.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
		require.NoError(t, err)
		gone := a.AddContact(connectortest.Contact{Name: "Bob"})
		a.DeleteContact(gone.ID)
		records := []connectors.Record{text(1, ann.Ref), text(2, connectors.Ref{}), text(3, gone), text(4, ann.Ref)}
		c.PutMessages(t.Context(), records)
		c.PutMessages(t.Context(), records)
		_, err = c.FindMessages(t.Context(), records)
		require.NoError(t, err)
		c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: records[0].Key, Contact: ann.Ref, Status: sms.StatusFailed, Reason: "x"}})
		c.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: ann.Ref, Consent: sms.Consent{OptedOut: true, At: time.Now()}}})
		a.AddMessage(connectortest.Message{Contact: ann.ID, Body: "text msg_9", Direction: "outbound", At: text(9, ann.Ref).Message.At})
		require.Equal(t, connectors.Written, c.AdoptMessages(t.Context(), []connectors.Record{text(9, ann.Ref)})[0].State)
	}
	return seen
}

// Every request is one that HubSpot's own files describe, field by field.
func TestRequestsAreTheVendors(t *testing.T) {
	t.Parallel()
	all := specs(t)
	endpoints := map[string]bool{}
	for _, r := range everything(t) {
		problems := []string{"no file describes it"}
		for _, s := range all {
			if p, described := s.check(r); described {
				problems = p
				break
			}
		}
		require.Empty(t, problems, "%s %s: %v", r.method, r.path, r.body)
		endpoints[r.method+" "+r.path] = true
	}
	require.Greater(t, len(endpoints), 12)
}

// optional are what the file about searches calls required, and its guide leaves
// out: https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
var optional = []string{"after", "sorts"}

var variable = regexp.MustCompile(`\\\{[^}]*\\\}`)

// check answers what is wrong with a request, if the file describes its endpoint.
func (s spec) check(r sent) (problems []string, described bool) {
	for path, methods := range s.Paths {
		pattern := "^" + variable.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
		operation, ok := methods[r.method]
		if !ok || !regexp.MustCompile(pattern).MatchString(r.path) {
			continue
		}
		for _, name := range r.query {
			if !slices.ContainsFunc(operation.Parameters, func(p struct{ Name, In string }) bool { return p.Name == name && p.In == "query" }) {
				problems = append(problems, "there is no parameter "+name)
			}
		}
		if r.body != nil {
			problems = append(problems, s.compare("", operation.Body.Content["application/json"].Schema, r.body)...)
		}
		return problems, true
	}
	return nil, false
}

func (s spec) compare(at string, want schema, got any) (problems []string) {
	if _, name, ok := strings.Cut(want.Ref, "#/components/schemas/"); ok {
		want = s.Components.Schemas[name]
	}
	switch v := got.(type) {
	case map[string]any:
		for _, name := range want.Required {
			if _, there := v[name]; !there && !slices.Contains(optional, name) {
				problems = append(problems, at+"."+name+" is missing")
			}
		}
		for name, value := range v {
			below, known := want.Properties[name]
			if !known && want.Additional == nil {
				problems = append(problems, at+"."+name+" is not known")
				continue
			}
			if !known {
				below = *want.Additional
			}
			problems = append(problems, s.compare(at+"."+name, below, value)...)
		}
		return append(problems, typed(at, want, "object")...)
	case []any:
		for _, value := range v {
			if want.Items != nil {
				problems = append(problems, s.compare(at+"[]", *want.Items, value)...)
			}
		}
		return append(problems, typed(at, want, "array")...)
	case string:
		if len(want.Enum) > 0 && !slices.Contains(want.Enum, v) {
			problems = append(problems, at+" is none of the values")
		}
		return append(problems, typed(at, want, "string")...)
	case bool:
		return typed(at, want, "boolean")
	}
	return typed(at, want, "integer")
}

func typed(at string, want schema, is string) []string {
	if want.Type == is {
		return nil
	}
	return []string{at + " is " + is + " in place of " + want.Type}
}
