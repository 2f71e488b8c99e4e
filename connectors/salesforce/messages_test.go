package salesforce_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/connectors/salesforce/fake"
	"crmsync/sms"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// texts are n texts of as many people.
func texts(o org, n int) []connectors.Record {
	out := make([]connectors.Record, n)
	for i := range out {
		p := sms.Phone(fmt.Sprintf("+1512555%04d", i))
		who := o.AddContact(fakes.Contact{Name: "Ann", Phones: []string{string(p)}})
		out[i] = connectors.Record{
			Key: fmt.Sprintf("main/msg_%d", i), Contact: who, Subject: "SMS", Body: "hello",
			Message: sms.Message{Direction: sms.Inbound, Contact: p, Body: "hello", At: noon},
		}
	}
	return out
}

func requireAll(t *testing.T, want connectors.State, out []connectors.Outcome) {
	t.Helper()
	for i, o := range out {
		require.Equal(t, want, o.State, "item %d: %v", i, o.Err)
	}
}

// What a text costs: the limit of a day is all that Salesforce counts.
func TestRequestsOfAFullBatch(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	records := texts(o, 200)
	numbers := make([]sms.Phone, len(records))
	changes := make([]connectors.StatusChange, len(records))
	for i, r := range records {
		numbers[i] = r.Message.Contact
		changes[i] = connectors.StatusChange{Key: r.Key, Status: sms.StatusDelivered}
	}
	require.Equal(t, 4, o.count(func() {
		found, err := o.FindContacts(t.Context(), numbers)
		require.NoError(t, err)
		for i, r := range records {
			require.Len(t, found[i], 1)
			require.True(t, r.Contact.Same(found[i][0].Ref))
		}
	}), "requests to find 200 people")
	require.Equal(t, 1, o.count(func() { requireAll(t, connectors.Written, o.PutMessages(t.Context(), records)) }), "requests to write 200 texts")
	require.Equal(t, 1, o.count(func() { requireAll(t, connectors.Existed, o.PutMessages(t.Context(), records)) }), "requests to learn that 200 texts are there")
	require.Equal(t, 2, o.count(func() { requireAll(t, connectors.Written, o.UpdateStatus(t.Context(), changes)) }), "requests to write 200 statuses")
	for i := range changes {
		changes[i].Record = connectors.Ref{ID: o.Messages()[i].ID}
	}
	require.Equal(t, 1, o.count(func() { requireAll(t, connectors.Written, o.UpdateStatus(t.Context(), changes)) }), "requests to write 200 statuses of records that are remembered")
	require.Len(t, o.Messages(), 200)
}

// Two texts of one key in one request would both be refused.
func TestOneKeyTwiceInABatch(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	r := texts(o, 1)[0]
	out := o.PutMessages(t.Context(), []connectors.Record{r, r})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	require.Equal(t, connectors.Existed, out[1].State, "%v", out[1].Err)
	require.Equal(t, out[0].Ref, out[1].Ref)
	require.Len(t, o.Messages(), 1)

	change := connectors.StatusChange{Key: r.Key, Status: sms.StatusDelivered}
	later := change
	later.Status = sms.StatusFailed
	requireAll(t, connectors.Written, o.UpdateStatus(t.Context(), []connectors.StatusChange{change, later}))
	require.Equal(t, "failed", o.Messages()[0].Status)
}

// After a race Salesforce does not say which record is the first one.
func TestDoubleThatIsNotNamed(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{Nameless: true, PageSize: 1})
	records := texts(o, 3)
	first := o.PutMessages(t.Context(), records[:2])
	requireAll(t, connectors.Written, first)
	again := o.PutMessages(t.Context(), records)
	requireAll(t, connectors.Existed, again[:2])
	require.Equal(t, connectors.Written, again[2].State)
	require.Equal(t, first[0].Ref, again[0].Ref)
	require.Len(t, o.Messages(), 3)
}

// A case-insensitive field, made by hand, must not take two keys for one.
func TestKeysThatDifferInCase(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	o.IgnoreCase()
	for _, key := range []string{"main/Abc", "main/abc", "main/^abc", "main/^Abc", "Main/abc", "main/" + strings.Repeat("A", 128), "main/" + strings.Repeat("a", 128)} {
		r := texts(o, 1)[0]
		r.Key = key
		requireAll(t, connectors.Written, o.PutMessages(t.Context(), []connectors.Record{r}))
		found, err := o.FindMessages(t.Context(), []connectors.Record{r})
		require.NoError(t, err)
		require.Len(t, found[0], 1, key)
	}
	require.Equal(t, "main/Abc", o.Messages()[0].Key)
	require.Equal(t, "main/^Abc", o.Messages()[3].Key)
}

func TestLongTextIsCutVisibly(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	r := texts(o, 1)[0]
	r.Subject, r.Body = strings.Repeat("ß", 300), strings.Repeat("👍", 20_000)
	requireAll(t, connectors.Written, o.PutMessages(t.Context(), []connectors.Record{r}))
	stored := o.Messages()[0]
	require.LessOrEqual(t, len(utf16.Encode([]rune(stored.Body))), 32_000)
	require.True(t, strings.HasSuffix(stored.Body, "👍 […]"))
	require.Len(t, []rune(stored.Subject), 255)
}

// A lead that has become a contact takes nothing: a new search finds the contact.
func TestConvertedLead(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	r := texts(o, 1)[0]
	r.Contact = o.AddContact(fakes.Contact{Ref: connectors.Ref{Type: "lead"}, Name: "Bo", Phones: []string{"+15125550199"}})
	o.Convert(r.Contact.ID)
	require.Equal(t, connectors.NotFound, o.PutMessages(t.Context(), []connectors.Record{r})[0].Err.Kind)
	found, err := o.FindContacts(t.Context(), []sms.Phone{"+15125550199"})
	require.NoError(t, err)
	require.Empty(t, found[0])
}

// An owner who has left is no reason to look for another contact.
func TestOwnerWhoHasLeft(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	r := texts(o, 1)[0]
	r.OwnerID = o.AddOwner("sam@example.com")
	o.Dismiss(r.OwnerID)
	require.Equal(t, connectors.Invalid, o.PutMessages(t.Context(), []connectors.Record{r})[0].Err.Kind)
	r.OwnerID = "0055f0000009999AAA"
	require.Equal(t, connectors.Invalid, o.PutMessages(t.Context(), []connectors.Record{r})[0].Err.Kind)
	found, err := o.FindOwners(t.Context(), []string{"sam@example.com"})
	require.NoError(t, err)
	require.Equal(t, []string{""}, found)
}

// A trigger of the customer's that bears no batches: the daemon splits them.
func TestTriggerThatBearsNoBatches(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{TriggerLimit: 2})
	records := texts(o, 3)
	for _, out := range o.PutMessages(t.Context(), records) {
		require.Equal(t, connectors.Failed, out.State)
		require.True(t, out.Err.WholeBatch, "%v", out.Err)
	}
	requireAll(t, connectors.Written, o.PutMessages(t.Context(), records[:2]))
}

// A field that somebody removes parks nothing: everything waits for a person.
func TestFieldThatIsRemoved(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	records := texts(o, 2)
	o.RemoveFields()
	for _, out := range o.PutMessages(t.Context(), records) {
		require.Equal(t, connectors.Auth, out.Err.Kind, "%v", out.Err)
		require.ErrorContains(t, out.Err, "__c is missing or hidden")
		require.False(t, out.Err.WholeBatch)
	}
	_, err := o.FindMessages(t.Context(), records)
	require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
}

func TestStatusWithoutItsFields(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{}, "fields: { reason: '' }")
	r := texts(o, 1)[0]
	requireAll(t, connectors.Written, o.PutMessages(t.Context(), []connectors.Record{r}))
	change := connectors.StatusChange{Key: r.Key, Status: sms.StatusFailed, Reason: "landline"}
	requireAll(t, connectors.Written, o.UpdateStatus(t.Context(), []connectors.StatusChange{change}))
	require.Empty(t, o.Messages()[0].Reason)

	o = newOrg(t, fake.Options{}, "fields: { status: '' }")
	require.Equal(t, connectors.Unsupported, o.UpdateStatus(t.Context(), []connectors.StatusChange{change})[0].Err.Kind)
}

// A record that is remembered, and was deleted meanwhile.
func TestStatusOfADeletedTask(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	records := texts(o, 2)
	out := o.PutMessages(t.Context(), records)
	o.DeleteContact(out[0].Ref.ID)
	got := o.UpdateStatus(t.Context(), []connectors.StatusChange{
		{Key: records[0].Key, Record: out[0].Ref, Status: sms.StatusDelivered},
		{Key: records[1].Key, Record: out[1].Ref, Status: sms.StatusDelivered},
	})
	require.Equal(t, connectors.NotFound, got[0].Err.Kind)
	require.Equal(t, connectors.Written, got[1].State)
}

func TestWhatIsAdopted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subject, description string
		want                 connectors.State
	}{
		"the text alone":         {"SMS received", "hello", connectors.Written},
		"with spaces around":     {"SMS received", "\r\nhello\r\n", connectors.Written},
		"behind a heading":       {"SMS", "Inbound SMS from Ann: hello", connectors.Written},
		"on a line of its own":   {"SMS", "From: Ann\r\nhello", connectors.Written},
		"before a line of notes": {"SMS", "hello\nLine: Support", connectors.Written},
		"another text":           {"SMS", "hello there", connectors.NotApplicable},
		"its ending":             {"SMS", "othello", connectors.NotApplicable},
		"the other direction":    {"Outbound SMS", "hello", connectors.NotApplicable},
		"the other one, inside":  {"SMS", "Sent to Ann: hello", connectors.NotApplicable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrg(t, fake.Options{})
			r := texts(o, 1)[0]
			o.AddMessage(fakes.Message{Contact: r.Contact.ID, Subject: c.subject, Body: c.description, At: noon.Add(5 * time.Second)})
			out := o.AdoptMessages(t.Context(), []connectors.Record{r})
			require.Equal(t, c.want, out[0].State, "%v", out[0].Err)
		})
	}
}

// Each of two equal texts takes the record that is nearest to it.
func TestAdoptsTheNearest(t *testing.T) {
	t.Parallel()
	o := newOrg(t, fake.Options{})
	first := texts(o, 1)[0]
	second := first
	second.Key, second.Message.At = "main/msg_2", noon.Add(40*time.Second)
	later := o.AddMessage(fakes.Message{Contact: first.Contact.ID, Body: "hello", At: noon.Add(41 * time.Second)})
	earlier := o.AddMessage(fakes.Message{Contact: first.Contact.ID, Body: "hello", At: noon.Add(time.Second)})
	require.Equal(t, 3, o.count(func() {
		out := o.AdoptMessages(t.Context(), []connectors.Record{first, second})
		require.Equal(t, []string{earlier.ID, later.ID}, []string{out[0].Ref.ID, out[1].Ref.ID})
	}))
}
