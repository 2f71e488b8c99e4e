package odoo_test

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/odoo"
	"crmsync/connectors/odoo/fake"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// servers are the Odoos that the connector is held to the contract with.
var servers = map[string]fake.Options{
	"16, JSON-RPC":        {Version: 16},
	"19, JSON-2":          {Version: 19},
	"16 without a module": {Version: 16, NoPhoneValidation: true},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := connectortest.Harness{
				Definition: odoo.Definition(), Reads: reads, Stored: stored, Refusals: refusals(options),
				Start: func(t testing.TB) connectortest.Fake { return connectortest.Serve(t, fake.New(options)) },
			}
			if options.NoPhoneValidation {
				const exact = "without the module phone_validation Odoo compares numbers as people typed them, in the spellings that are searched"
				h.Waive = map[string]string{
					"find contacts/spellings":                 exact,
					"find contacts/number: with an extension": exact,
				}
			}
			connectortest.Run(t, h)
		})
	}
}

func reads(r *http.Request) bool {
	raw, _ := io.ReadAll(r.Body)
	return !bytes.Contains(raw, []byte(`"load"`)) && !strings.HasSuffix(r.URL.Path, "/load")
}

// stored is how Odoo keeps a text, as HTML.
func stored(plain string) string {
	plain = strings.ReplaceAll(plain, "\r\n", "\n")
	plain = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br>", "\x00", "\ufffd").Replace(plain)
	return regexp.MustCompile(`https://\S+`).ReplaceAllString(plain, `<a href="$0" target="_blank">$0</a>`)
}

// refusals are Odoo's errors, as one of each version says them.
func refusals(options fake.Options) []connectortest.Refusal {
	var all []connectortest.Refusal
	for _, r := range []struct {
		says   string
		status int
		want   connectors.Kind
	}{
		{"odoo.exceptions.AccessDenied", 403, connectors.Auth},
		{"odoo.http.SessionExpiredException", 403, connectors.Auth},
		{"odoo.exceptions.UserError", 422, connectors.Invalid},
		{"odoo.exceptions.ValidationError", 422, connectors.Invalid},
		{"builtins.ValueError", 500, connectors.Invalid},
		{"builtins.AttributeError", 500, connectors.Unsupported},
		{"psycopg2.errors.SerializationFailure", 500, connectors.Unavailable},
		{"psycopg2.OperationalError", 500, connectors.Unavailable},
		{"builtins.RuntimeError", 500, connectors.Unknown},
	} {
		fault := `{"name":"` + r.says + `","message":"words of Odoo","arguments":["words of Odoo"],"context":{},"debug":"Traceback"}`
		a := connectortest.Answer{Status: r.status, Body: fault}
		if options.Version < 19 || options.Protocol == "jsonrpc" {
			a = connectortest.Answer{Status: 200, Body: `{"jsonrpc":"2.0","id":1,"error":{"code":200,"message":"Odoo Server Error","data":` + fault + `}}`}
		}
		all = append(all, connectortest.Refusal{Name: r.says, Answer: a, Want: r.want})
	}
	return all
}

func open(t *testing.T, options fake.Options) (*fake.Odoo, *odoo.Connector, string) {
	f := fake.New(options)
	served := connectortest.Serve(t, f)
	return f, served.Open(t, odoo.Definition()).(*odoo.Connector), served.URL
}

var at = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

func text(key string, contact connectors.Ref) connectors.Record {
	return connectors.Record{
		Key: key, Contact: contact, Subject: "SMS sent by Sam", Body: "Your table <is> ready",
		Message: sms.Message{
			ID: "msg_1", Direction: sms.Outbound, Contact: "+15125550100", Line: "+15125550199", At: at,
			Agent: sms.Agent{Name: "Sam", Email: "sam@example.com"},
		},
	}
}

// The golden file shows what arrives in Odoo.
func TestTextInOdoo(t *testing.T) {
	t.Parallel()
	f, c, url := open(t, fake.Options{})
	ann, err := c.CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: "+15125550100", Name: "Ann Lee"})
	require.NoError(t, err)
	require.Equal(t, url+"/mail/view?model=res.partner&res_id="+ann.ID, ann.URL)
	sent, received := text("main/msg_1", ann.Ref), text("main/msg.2", ann.Ref)
	sent.OwnerID = f.AddOwner("sam@example.com")
	received.Message.Direction, received.Subject = sms.Inbound, "SMS received"
	out := c.PutMessages(t.Context(), []connectors.Record{sent, received})
	require.Equal(t, connectors.Written, out[0].State)
	require.Equal(t, url+"/mail/view?message_id="+out[0].Ref.ID, out[0].Ref.URL)
	c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "main/msg_1", Status: sms.StatusDelivered}})
	c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "main/msg_1", Status: sms.StatusFailed, Reason: "landline [21614]"}})
	connectortest.Golden(t, "text.json", f.Messages(), *update)
}
