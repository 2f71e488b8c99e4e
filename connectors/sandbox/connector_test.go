package sandbox_test

import (
	"flag"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/sandbox"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestConformance(t *testing.T) {
	t.Parallel()
	const american = "the sandbox is an American CRM: it reads a number without its country when somebody types it in, and keeps E.164"
	connectortest.Run(t, connectortest.Harness{Definition: sandbox.Definition(), Start: start, Reads: reads, Waive: map[string]string{
		"find contacts/number: with a trunk prefix": american,
		"find contacts/number: national, spaces":    american,
	}})
}

// The golden file shows a new author what arrives in the CRM.
func TestTextInTheCRM(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := sandbox.New(sandbox.Config{BaseURL: f.url, Token: token}, http.DefaultClient)
	ann, err := c.CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: "+15125550100", Name: "Ann Lee"})
	require.NoError(t, err)
	require.Equal(t, f.url+"/contacts/"+ann.ID, ann.URL)
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	out := c.PutMessages(t.Context(), []connectors.Record{{
		Key: "main/msg_1", Contact: ann.Ref, Subject: "SMS", Body: "Your table is ready",
		Message: sms.Message{
			ID: "msg_1", Direction: sms.Outbound, Contact: "+15125550100", Line: "+15125550199", At: at,
			Agent: sms.Agent{Email: "sam@example.com"}, Media: []sms.Media{{URL: "https://example.com/menu.pdf", ContentType: "application/pdf"}},
		},
	}})
	require.Equal(t, connectors.Written, out[0].State)
	require.Equal(t, ann.URL+"#text-1", out[0].Ref.URL)
	c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "main/msg_1", Status: sms.StatusFailed, Reason: "landline", At: at.Add(time.Minute)}})
	all, err := f.crm.Messages()
	require.NoError(t, err)
	connectortest.Golden(t, "text.json", all, *update)
}

func TestCreatingAContactIsIdempotent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := sandbox.New(sandbox.Config{BaseURL: f.url, Token: token}, http.DefaultClient)
	n := connectors.NewContact{Key: "k", Phone: "+15125550100"}
	first, err := c.CreateContact(t.Context(), n)
	require.NoError(t, err)
	second, err := c.CreateContact(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Len(t, f.Contacts(), 1)
}

func TestBadConfigIsRefused(t *testing.T) {
	t.Parallel()
	connectortest.Refuses(t, sandbox.Definition(), map[string]string{
		"token: x":                              "base_url is missing",
		"base_url: crm:8090":                    "base_url must be an absolute http or https URL",
		"base_url: [a":                          "connectors.x",
		"base_url: http://a\nbas_url: http://b": "bas_url",
	})
}
