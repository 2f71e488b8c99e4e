package pipedrive_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
	"crmsync/sms"
)

func put(t *testing.T, c *pipedrive.Connector, r connectors.Record) connectors.Ref {
	t.Helper()
	out := c.PutMessages(t.Context(), []connectors.Record{r})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	return out[0].Ref
}

func readBack(t *testing.T, c *pipedrive.Connector, r connectors.Record) connectors.Ref {
	t.Helper()
	found, err := c.FindMessages(t.Context(), []connectors.Record{r})
	require.NoError(t, err)
	return connectors.Oldest(found[0])
}

// What a text costs, in tokens: the figures of docs/connectors/pipedrive.md.
func TestCost(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	spent := func(do func()) int {
		before := f.Spent()
		do()
		return f.Spent() - before
	}
	var ann connectors.Ref
	require.Equal(t, 20, spent(func() { require.Empty(t, find(t, c, "+15125550100")) }))
	require.Equal(t, 5, spent(func() {
		made, err := c.CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: "+15125550100"})
		require.NoError(t, err)
		ann = made.Ref
	}))
	r := text(ann)
	require.Equal(t, 5, spent(func() { r.Known = put(t, c, r) }))
	require.Equal(t, 1, spent(func() { require.Equal(t, r.Known, readBack(t, c, r)) }))
	known := r.Known
	r.Known = connectors.Ref{}
	require.Equal(t, 10, spent(func() { require.Equal(t, known, readBack(t, c, r)) }))
	delivered := connectors.StatusChange{Key: r.Key, Record: known, Contact: ann, Message: r.Message, Status: sms.StatusDelivered, At: at}
	require.Equal(t, 5, spent(func() { c.UpdateStatus(t.Context(), []connectors.StatusChange{delivered}) }))
	delivered.Record = connectors.Ref{}
	require.Equal(t, 15, spent(func() { c.UpdateStatus(t.Context(), []connectors.StatusChange{delivered}) }))
	require.Equal(t, 30, spent(func() { _, _ = c.Check(t.Context()) }))
}

// A person may rewrite the note, marker and all.
func TestFoundAgainAfterAnEdit(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	ref := put(t, c, r)
	f.EditMessage(ref.ID, "edited by a person", "")
	require.Equal(t, ref, readBack(t, c, r))
	out := c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: r.Key, Contact: r.Contact, Message: r.Message, Status: sms.StatusDelivered, At: at}})
	require.Equal(t, connectors.Written, out[0].State, "%v", out[0].Err)
	require.Equal(t, "edited by a person", f.Messages()[0].Body)
	require.Equal(t, "delivered", f.Messages()[0].Status)
}

// A note alone is enough, should a plan not keep descriptions.
func TestFoundByItsNoteAlone(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	id := f.AddActivity(r.Contact.ID, "← SMS", "[crmsync:main/other] quoted<br><br>[crmsync:main/msg_1]", at)
	require.Equal(t, id, readBack(t, c, r).ID)
	r.Key = "main/other"
	require.Zero(t, readBack(t, c, r), "what somebody texted is no marker")
}

func TestMarkersInTextsMeanNothing(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	other := r
	other.Key, r.Body = "main/msg_2", "look: [crmsync:main/msg_2]"
	put(t, c, r)
	require.Zero(t, readBack(t, c, other))
}

func TestDeletedRecords(t *testing.T) {
	t.Parallel()
	for _, soft := range []bool{false, true} {
		f, c := open(t, fake.Options{SoftDeletes: soft})
		r := text(person(f))
		r.Known = put(t, c, r)
		f.DeleteMessage(r.Known.ID)
		require.Zero(t, readBack(t, c, r))
		for _, record := range []connectors.Ref{r.Known, {}} {
			out := c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: r.Key, Record: record, Contact: r.Contact, Status: sms.StatusDelivered}})
			require.Equal(t, connectors.NotFound, out[0].Err.Kind)
		}
	}
}

// A person's timeline may be longer than a page, and a remembered record may have
// been deleted after it was written once more.
func TestReadBackReadsEveryPage(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	ref := put(t, c, r)
	for range 500 {
		f.AddActivity(r.Contact.ID, "Call", "", at)
	}
	r.Known = connectors.Ref{ID: "9999"}
	require.Equal(t, ref, readBack(t, c, r))
	require.Equal(t, 2, f.Requests()["GET /api/v2/activities"])
}

func TestUnlinkedTextIsFoundAgain(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(connectors.Ref{})
	ref := put(t, c, r)
	require.Empty(t, ref.URL)
	require.Empty(t, f.Messages()[0].Contact)
	require.Equal(t, ref.ID, readBack(t, c, r).ID)
}

// The API does not document how it says that a participant is gone.
func TestRefusedForItsPersonOrNot(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	r.OwnerID = "77"
	out := c.PutMessages(t.Context(), []connectors.Record{r})
	require.Equal(t, connectors.Invalid, out[0].Err.Kind, "the person is there")
	require.EqualError(t, out[0].Err, "put messages: INVALID (HTTP 400): ERR_BAD_REQUEST")
	f.DeleteContact(r.Contact.ID)
	require.Equal(t, connectors.NotFound, c.PutMessages(t.Context(), []connectors.Record{text(r.Contact)})[0].Err.Kind)
}

// Nothing is parked because nobody has set the company up yet, or somebody took
// the type away.
func TestTextsWaitForTheirType(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	f.RemoveFields()
	const want = "AUTH: there is no active activity type sms: run crmsync check --provision"
	for _, r := range []connectors.Record{text(person(f)), text(connectors.Ref{})} {
		out := c.PutMessages(t.Context(), []connectors.Record{r})
		require.EqualError(t, out[0].Err, "put messages: "+want)
		require.False(t, out[0].Err.Ambiguous)
	}
	_, err := c.Check(t.Context())
	require.EqualError(t, err, "check: "+want)
	require.Equal(t, 5*time.Minute, connectors.AsError("", err).RetryAfter, "looking costs tokens")
	_, err = c.Provision(t.Context(), false)
	require.NoError(t, err)
	_, err = c.Check(t.Context())
	require.NoError(t, err)
	put(t, c, text(person(f)))
}

func TestTooLongIsCutVisibly(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(person(f))
	r.Subject, r.Body = strings.Repeat("s", 300), strings.Repeat("&", 70000)
	put(t, c, r)
	m := f.Messages()[0]
	require.Len(t, []rune(m.Subject), 255)
	require.True(t, strings.HasSuffix(m.Subject, "…"))
	require.Less(t, len(m.Body), 61000)
	require.True(t, strings.HasSuffix(m.Body, "&amp;… (cut)<br><br>[crmsync:main/msg_1]"))
}

// What another integration logged is taken over only where nothing speaks against
// it.
func TestAdoption(t *testing.T) {
	t.Parallel()
	for name, twin := range map[string]struct {
		subject, note string
		after         time.Duration
		description   string
		want          connectors.State
	}{
		"same text":             {"Outbound SMS", "Your table is ready &amp; waiting", 0, "", connectors.Written},
		"below a heading":       {"SMS sent", "<p>To: Ann</p><p>Your table is ready &amp; waiting</p>", -59 * time.Second, "", connectors.Written},
		"behind a heading":      {"SMS sent", "Message: Your table is ready &amp; waiting<br/>", 59 * time.Second, "", connectors.Written},
		"later":                 {"Outbound SMS", "Your table is ready &amp; waiting", 2 * time.Minute, "", connectors.NotApplicable},
		"the other direction":   {"Inbound SMS", "Your table is ready &amp; waiting", 0, "", connectors.NotApplicable},
		"an unknown direction":  {"SMS", "Your table is ready &amp; waiting", 0, "", connectors.NotApplicable},
		"another text":          {"Outbound SMS", "Not: my Your table is ready &amp; waiting", 0, "", connectors.NotApplicable},
		"somebody's activity":   {"Outbound SMS", "Your table is ready &amp; waiting", 0, "notes of Sam", connectors.NotApplicable},
		"ours, for another key": {"Outbound SMS", "Your table is ready &amp; waiting<br><br>[crmsync:main/msg_9]", 0, "", connectors.NotApplicable},
		"ours, for this key":    {"Outbound SMS", "Your table is ready &amp; waiting<br><br>[crmsync:main/msg_1]", 0, "", connectors.Existed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := open(t, fake.Options{})
			r := text(person(f))
			id := f.AddActivity(r.Contact.ID, twin.subject, twin.note, at.Add(twin.after))
			if twin.description != "" {
				f.EditMessage(id, twin.note, twin.description)
			}
			out := c.AdoptMessages(t.Context(), []connectors.Record{r})
			require.Equal(t, twin.want, out[0].State, "%v", out[0].Err)
			if twin.want == connectors.NotApplicable {
				require.Zero(t, out[0].Ref)
				return
			}
			require.Equal(t, id, out[0].Ref.ID)
			require.Equal(t, id, readBack(t, c, r).ID)
			require.Equal(t, twin.note, f.Messages()[0].Body)
			require.Equal(t, connectors.Existed, c.AdoptMessages(t.Context(), []connectors.Record{r})[0].State)
		})
	}
}

func TestNothingToAdopt(t *testing.T) {
	t.Parallel()
	f, c := open(t, fake.Options{})
	r := text(connectors.Ref{})
	media := text(connectors.Ref{ID: "1"})
	media.Message.Body = ""
	for _, o := range c.AdoptMessages(t.Context(), []connectors.Record{r, media}) {
		require.Equal(t, connectors.NotApplicable, o.State)
	}
	require.Empty(t, f.Requests())
}
