package audit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
	"crmsync/internal/audit"
	"crmsync/internal/messages"
	"crmsync/sms"
)

// A CRM that can be asked for a contact's texts only: what Temporal remembers tells a
// record that was moved from one that was deleted.
func TestOnlyTimelinesCanBeRead(t *testing.T) {
	t.Parallel()
	w, crm := newWorld(t, connectors.ClassD), fake.New(fake.Options{})
	server := httptest.NewServer(crm)
	t.Cleanup(server.Close)
	settings := connectortest.Config("crm", crm.Config(server.URL))
	opened, err := pipedrive.Definition().Open(settings, connectors.Env{Client: http.DefaultClient})
	require.NoError(t, err)
	w.Messages, w.Contacts, w.Definition = opened.(connectors.MessageFinder), opened.(connectors.ContactFinder), pipedrive.Definition()
	person := func(n int) connectors.Ref {
		return crm.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{string(phone(n))}})
	}
	text := func(n int) (e sms.Event, record connectors.Ref) {
		e = w.text(n)
		return e, w.put(e, person(n))
	}
	text(1)
	_, deleted := text(2)
	_, moved := text(3)
	twice, _ := text(4)
	fate := w.fates[twice.Key()]
	w.put(twice, person(4)) // another contact with the number
	w.fates[twice.Key()] = fate
	crm.DeleteMessage(deleted.ID)
	crm.MoveMessage(moved.ID, person(99).ID)

	r := w.run()
	require.Equal(t, map[string]string{
		"main/msg_2/sms.received": audit.Missing, "main/msg_3/sms.received": audit.WrongContact, "main/msg_4/sms.received": audit.Double,
	}, said(r))
	require.Equal(t, []int{4, 3, 1, 1, 1}, []int{r.Listed, r.InCRM, r.Missing, r.Double, r.WrongContact})

	w.fates["main/msg_3/sms.received"] = messages.Fate{} // Temporal has forgotten it
	require.Equal(t, audit.Missing, said(w.run())["main/msg_3/sms.received"])
}
