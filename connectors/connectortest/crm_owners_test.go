package connectortest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

func TestOwners(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{})
	c := client(t, crm)
	ann, bob := crm.AddOwner("Ann@example.com"), crm.AddOwner("bob@example.com")
	found, err := c.FindOwners(t.Context(), []string{"bob@example.com", "nobody@example.com", "ann@example.com"})
	require.NoError(t, err)
	require.Equal(t, []string{bob, "", ann}, found)
	require.Equal(t, 1, crm.Requests()["find_owners"])

	r := record(1, connectors.Ref{})
	r.OwnerID = ann
	c.PutMessages(t.Context(), []connectors.Record{r})
	require.Equal(t, ann, crm.Messages()[0].OwnerID)
	lead, err := c.CreateContact(t.Context(), connectors.NewContact{
		Key: "k", Phone: "+15125550143", OwnerID: bob, Type: "lead", Fields: map[string]string{"source": "text"},
	})
	require.NoError(t, err)
	require.Equal(t, "lead", lead.Type)
	require.Equal(t, bob, crm.Contacts()[0].OwnerID)
	require.Equal(t, map[string]string{"source": "text"}, crm.Contacts()[0].Fields)
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	for class, can := range map[connectors.Class]bool{"A": false, "B": true, "C": true, "D": true} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			crm := NewCRM(CRMOptions{Class: class})
			c := client(t, crm)
			caps, err := c.Check(t.Context())
			require.NoError(t, err)
			require.Equal(t, can, caps.Adopt)
			if can {
				adopts(t, crm, c)
			}
		})
	}
}

func adopts(t *testing.T, crm *CRM, c *testcrm) {
	t.Helper()
	contact := crm.AddContact(Contact{Phones: []string{"+15125550143"}})
	theirs := func(body string, direction sms.Direction, age time.Duration) connectors.Ref {
		at := record(1, contact).Message.At
		return crm.AddMessage(Message{Contact: contact.ID, Body: body, Direction: string(direction), At: at.Add(-age)})
	}
	r := record(1, contact)
	other := map[sms.Direction]sms.Direction{sms.Inbound: sms.Outbound, sms.Outbound: sms.Inbound}[r.Message.Direction]
	theirs("another text", r.Message.Direction, 0)
	theirs(r.Message.Body, other, 0)
	theirs(r.Message.Body, r.Message.Direction, 61*time.Second)
	adopt := func() connectors.Outcome { return c.AdoptMessages(t.Context(), []connectors.Record{r})[0] }
	require.Equal(t, connectors.Outcome{State: connectors.NotApplicable}, adopt())

	same := theirs(r.Message.Body, r.Message.Direction, 60*time.Second)
	require.Equal(t, connectors.Outcome{State: connectors.Written, Ref: same}, adopt())
	require.Equal(t, connectors.Outcome{State: connectors.Existed, Ref: same}, adopt())
	found, err := c.FindMessages(t.Context(), []connectors.Record{r})
	require.NoError(t, err)
	require.Equal(t, same, connectors.Oldest(found[0]))
	require.Len(t, crm.Messages(), 4, "nothing is created")
}
