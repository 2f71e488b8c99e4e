package worker

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/all"
	"crmsync/sms"
)

// TestTrialOfEveryCRM writes to each CRM of dev as the daemon would, and looks at
// its page.
func TestTrialOfEveryCRM(t *testing.T) {
	t.Parallel()
	require.Contains(t, tryables(), "sandbox")
	for _, name := range tryables() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vendor, err := tryable(name)
			require.NoError(t, err)
			crm, err := openTrialCRM(vendor, t.TempDir())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, crm.close()) })
			server := httptest.NewServer(crm.handler)
			t.Cleanup(server.Close)

			registry, err := connectors.NewRegistry(all.Connectors()...)
			require.NoError(t, err)
			var said bytes.Buffer
			a := &app{registry: registry, stderr: &said}
			text := fmt.Sprintf(devConfig, "localhost:1", "redis://localhost:1", ":0", ":0", "info") + crm.settings(server.URL)
			c, err := config.Parse("dev", []byte(text), config.Lookup{})
			require.NoError(t, err)
			require.NoError(t, a.provisionTrial(t.Context(), c))
			require.Contains(t, said.String(), "connectors."+name+": ")

			contact := writeTrial(t, a, c, name)
			require.Contains(t, get(t, server.URL+"/"), "Sarah Chen")
			page := get(t, server.URL+contact)
			require.Contains(t, page, "Shall we say 5 &lt; 6?")
			require.Contains(t, page, "opted out")
		})
	}
}

// writeTrial puts a text on the timeline of a new contact, who then opts out, and
// answers where the contact's page is.
func writeTrial(t *testing.T, a *app, c *config.Config, name string) (page string) {
	t.Helper()
	instance, err := openInstance(c.Connectors[name], a.registry, way{})
	require.NoError(t, err)
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	contact, err := instance.Connector.(connectors.ContactCreator).CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: fictional, Name: "Sarah Chen"})
	require.NoError(t, err)
	const words = "Shall we say 5 < 6?"
	out := instance.Connector.PutMessages(t.Context(), []connectors.Record{{
		Key: "main/msg_1", Contact: contact.Ref, Subject: "SMS received", Body: words,
		Message: sms.Message{ID: "msg_1", Direction: sms.Inbound, Contact: fictional, Line: "+15125550199", Body: words, At: at},
	}})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	out = instance.Connector.(connectors.ConsentSetter).SetConsent(t.Context(), []connectors.ConsentChange{{
		Contact: contact.Ref, Consent: sms.Consent{Phone: fictional, OptedOut: true, At: at},
	}})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	if name == "sandbox" {
		return "/contacts/" + contact.ID
	}
	return "/?contact=" + contact.ID
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func TestTrialsThatThereAreNot(t *testing.T) {
	t.Parallel()
	for want, arguments := range map[string][]string{
		`there is no CRM "siebel" to try; there are hubspot, `: {"--crm", "siebel"},
		"with --crm hubspot nothing is kept":                   {"--crm", "hubspot", "--data", "x"},
	} {
		var out bytes.Buffer
		status := Run(t.Context(), append([]string{"dev"}, arguments...), &out, &out, all.Connectors()...)
		require.Equal(t, 2, status, out.String())
		require.Contains(t, out.String(), want)
	}
}
