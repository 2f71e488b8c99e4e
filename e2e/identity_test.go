package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
)

const sarah = "+15125551234"

// TestOneContact lets two first texts of an unknown number arrive at the same
// moment on two processes, with a CRM whose search lags 30 s behind, and Redis
// emptied in between.
func TestOneContact(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{
		crm:       connectortest.CRMOptions{SearchLag: 30 * time.Second},
		connector: connectortest.Options{SearchLag: 30 * time.Second},
	})
	first, second := st.daemon(), st.daemon()
	var both sync.WaitGroup
	for i, p := range []*process{first, second} {
		both.Go(func() { p.accepted(inbound(fmt.Sprintf("msg_%d", i), sarah, "at once").json()) })
	}
	both.Wait()
	for i := range 2 {
		st.result(fmt.Sprintf("main/msg_%d/sms.received", i))
	}
	require.NoError(t, st.redis.Flush(t.Context()))
	second.accepted(inbound("msg_2", sarah, "within the lag, with Redis empty").json())
	result := st.result("main/msg_2/sms.received")
	require.Equal(t, "created", result.Deliveries["crm"].How)

	require.Len(t, st.crm.Contacts(), 1)
	require.Len(t, st.crm.Messages(), 3)
	for _, m := range st.crm.Messages() {
		require.Equal(t, st.crm.Contacts()[0].ID, m.Contact, "all on one timeline")
	}
}

// TestLostAnswers creates contacts and writes texts while many answers are
// lost after the write.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{connectors.ClassA, connectors.ClassB, connectors.ClassC, connectors.ClassD} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			st := newStack(t, setup{
				crm:       connectortest.CRMOptions{Class: class, Seed: 7, SearchLag: 200 * time.Millisecond, MessageLag: 200 * time.Millisecond, Settle: 200 * time.Millisecond},
				connector: connectortest.Options{Settle: 400 * time.Millisecond, SearchLag: 400 * time.Millisecond, CallTimeout: 5 * time.Second},
			})
			st.crm.SetFaults(func(f *connectortest.Faults) { f.LoseEvery, f.LateEvery = 5, 10 })
			p := st.daemon()
			const texts, numbers = 20, 5
			for i := range texts {
				p.accepted(inbound(fmt.Sprintf("msg_%d", i), fmt.Sprintf("+1512555123%d", i%numbers), "hello").json())
			}
			st.settled(texts, 2*time.Minute)
			require.Empty(t, st.crm.Doubles())
			require.Len(t, st.crm.Messages(), texts)
			require.Empty(t, st.crm.ContactDoubles())
			require.Len(t, st.crm.Contacts(), numbers)
		})
	}
}

// TestContactGone deletes and merges the contact that is remembered: the next
// text finds the right one, or creates it anew.
func TestContactGone(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.daemon()
	p.accepted(inbound("msg_1", sarah, "before").json())
	old := st.result("main/msg_1/sms.received").Deliveries["crm"].Contact

	st.crm.DeleteContact(old.ID)
	p.accepted(inbound("msg_2", sarah, "after it was deleted").json())
	second := st.result("main/msg_2/sms.received").Deliveries["crm"]
	require.Equal(t, connectors.Written, second.State)
	require.NotEqual(t, old.ID, second.Contact.ID)

	into := st.crm.AddContact(connectortest.Contact{Name: "Sarah", Phones: []string{"(512) 555-9999"}})
	st.crm.MergeContacts(second.Contact.ID, into.ID)
	p.accepted(inbound("msg_3", sarah, "after it was merged").json())
	third := st.result("main/msg_3/sms.received").Deliveries["crm"]
	require.Equal(t, into.ID, third.Contact.ID)
	require.Equal(t, "only match", third.How)
}

// TestQuickAnswer lets an automatic answer overtake the first text of a new
// number: it stands on the timeline of the contact that the text creates.
func TestQuickAnswer(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.daemon()
	answer := p.accepted(outbound("msg_answer", sarah, "We will call you back.").json())
	first := p.accepted(inbound("msg_first", sarah, "Please call me.").json())
	contact := st.result(first).Deliveries["crm"].Contact
	require.NotEmpty(t, contact.ID)
	require.Equal(t, contact.ID, st.result(answer).Deliveries["crm"].Contact.ID)
}

// TestSeveralContacts asks for the contact of a number that three have: sticky
// keeps to one of them, also with Redis empty and another one updated since.
func TestSeveralContacts(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	st.addSarahs(3)
	p := st.daemon()
	p.accepted(inbound("msg_1", sarah, "to whom?").json())
	first := st.result("main/msg_1/sms.received").Deliveries["crm"]
	require.Equal(t, "most recently updated of 3", first.How)

	require.NoError(t, st.redis.Flush(t.Context()))
	st.crm.AddContact(connectortest.Contact{Name: "Newest", Phones: []string{sarah}, Updated: time.Now().Add(time.Hour)})
	p.accepted(inbound("msg_2", sarah, "to the same").json())
	second := st.result("main/msg_2/sms.received").Deliveries["crm"]
	require.Equal(t, first.Contact.ID, second.Contact.ID)
}

// TestNoContact logs texts of short codes, and outbound texts to unknown
// numbers, unlinked: nothing creates a contact for them.
func TestNoContact(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.daemon()
	for i, body := range [][]byte{
		inbound("msg_0", "72345", "your code is 1234").json(),
		inbound("msg_1", "ACME", "a sender's name").json(),
		outbound("msg_2", "+15125557777", "to somebody unknown").json(),
		inbound("msg_3", line, "from our own line").json(),
		text{id: "msg_4", event: "sms.received", from: line, to: "+15125550177", line: "+15125550177", body: "from one line to another"}.json(),
	} {
		key := p.accepted(body)
		result := st.result(key).Deliveries["crm"]
		require.Equal(t, connectors.Written, result.State, i)
		require.Contains(t, result.How, "unlinked", i)
	}
	require.Empty(t, st.crm.Contacts())
	require.Len(t, st.crm.Messages(), 5)
}

// addSarahs adds contacts with one number, each in another spelling.
func (st *stack) addSarahs(n int) {
	spellings := []string{"+15125551234", "(512) 555-1234", "512.555.1234"}
	for i := range n {
		st.crm.AddContact(connectortest.Contact{
			Name: fmt.Sprintf("Sarah %d", i), Phones: []string{spellings[i%len(spellings)]},
			Updated: time.Now().Add(time.Duration(i-n) * time.Hour),
		})
	}
}

// optedOut answers the ids of the contacts that are opted out, in order.
func (st *stack) optedOut() []string {
	var ids []string
	for _, c := range st.crm.Contacts() {
		if c.OptedOut {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
