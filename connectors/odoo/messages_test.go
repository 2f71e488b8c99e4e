package odoo_test

import (
	"fmt"
	"io"
	"net/http"
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

// batch is one text for each of n contacts.
func batch(f *fake.Odoo, n int) []connectors.Record {
	owner := f.AddOwner("sam@example.com")
	records := make([]connectors.Record, n)
	for i := range records {
		contact := f.AddContact(contactOf(i))
		records[i] = text(fmt.Sprintf("main/msg_%d", i), contact)
		records[i].OwnerID = owner
	}
	return records
}

func total(requests map[string]int) (n int) {
	for _, of := range requests {
		n += of
	}
	return n
}

func TestFullBatchCostsFourRequests(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	n := odoo.Definition().MaxBatch
	records := batch(f, n)
	numbers := make([]sms.Phone, n)
	for i := range numbers {
		numbers[i] = number(i)
	}
	found, err := c.FindContacts(t.Context(), numbers)
	require.NoError(t, err)
	require.Len(t, found[n-1], 1)
	for _, o := range c.PutMessages(t.Context(), records) {
		require.Equal(t, connectors.Written, o.State)
	}
	// Contacts, leads, texts that are there, owners, and the texts.
	require.Equal(t, 5, total(f.Requests()), "%v", f.Requests())
	changes := make([]connectors.StatusChange, n)
	for i, r := range records {
		changes[i] = connectors.StatusChange{Key: r.Key, Status: sms.StatusDelivered}
	}
	for range 2 {
		c.UpdateStatus(t.Context(), changes)
	}
	require.Equal(t, 8, total(f.Requests()), "a status that is there is not written again: %v", f.Requests())
}

// Since 18 Odoo accuses the first row of what another one did.
func TestOneRefusedTextStopsNoOther(t *testing.T) {
	t.Parallel()
	for _, version := range []int{16, 18, 19} {
		f, c, _ := open(t, fake.Options{Version: version})
		records := batch(f, 50)
		f.Poison(records[7].Key)
		f.DeleteContact(records[9].Contact.ID)
		for i, o := range c.PutMessages(t.Context(), records) {
			switch i {
			case 7:
				require.Equal(t, connectors.Invalid, o.Err.Kind)
			case 9:
				require.Equal(t, connectors.NotFound, o.Err.Kind)
			default:
				require.Equal(t, connectors.Written, o.State, "text %d: %v", i, o.Err)
			}
		}
		require.LessOrEqual(t, f.Requests()["mail.message.load"], 3, "version %d", version)
	}
}

func TestTextOnALead(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	lead := contactOf(1)
	lead.Type = "lead"
	ref := f.AddContact(lead)
	r := text("main/msg_1", ref)
	r.Message.Direction = sms.Inbound
	require.Equal(t, connectors.Written, c.PutMessages(t.Context(), []connectors.Record{r})[0].State)
	require.Equal(t, ref.ID, f.Messages()[0].Contact)
}

// canned answers what a real Odoo said, in the order of the calls.
type canned struct {
	t       *testing.T
	results []string
	asked   []string
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	c.asked = append(c.asked, string(body))
	require.NotEmpty(c.t, c.results, "one request more than expected: %s", body)
	result := c.results[0]
	c.results = c.results[1:]
	return &http.Response{
		StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"jsonrpc":"2.0","id":1,"result":` + result + `}`)),
	}, nil
}

func openCanned(t *testing.T, results ...string) (*canned, *odoo.Connector) {
	c := &canned{t: t, results: results}
	cfg := odoo.Config{BaseURL: "http://odoo", Database: "d", Protocol: "jsonrpc", UID: 2, APIKey: "k", MessageType: "sms"}
	return c, odoo.New(cfg, &http.Client{Transport: c})
}

// Of several who write one text at the same time the database undoes all but one,
// and says so in its own language.
func TestLoserOfARace(t *testing.T) {
	t.Parallel()
	const refused = `{"ids":false,"messages":[{"rows":{"from":0,"to":0},"record":0,"type":"error","message":%q}],"nextrow":0}`
	record := text("main/msg_1", connectors.Ref{Type: "contact", ID: "7"})
	english, c := openCanned(t, `[]`, fmt.Sprintf(refused, "could not serialize access due to concurrent update\n"))
	o := c.PutMessages(t.Context(), []connectors.Record{record})[0]
	require.Equal(t, connectors.Unavailable, o.Err.Kind)
	require.False(t, o.Err.Ambiguous)
	require.Empty(t, english.results)

	_, c = openCanned(t, `[]`, fmt.Sprintf(refused, "konnte Zugriff nicht serialisieren wegen gleichzeitiger Aktualisierung\n"),
		`[{"id":10,"message_id":"<main%2Fmsg_1@crmsync>","subject":"SMS"}]`)
	o = c.PutMessages(t.Context(), []connectors.Record{record})[0]
	require.Equal(t, connectors.Existed, o.State)
	require.Equal(t, "10", o.Ref.ID)
}

// An update that is undone tells in 19 nothing of the reason.
func TestUpdateThatIsUndone(t *testing.T) {
	t.Parallel()
	const there = `[{"id":10,"message_id":"<a@crmsync>","subject":"SMS"},{"id":11,"message_id":"<b@crmsync>","subject":false}]`
	for says, want := range map[string]connectors.Kind{
		"Cannot update a record without specifying its id or xml_id":                       connectors.Unavailable,
		"Unknown error during import: <class 'KeyError'>: 'record'":                        connectors.Unavailable,
		"Uh-oh! Looks like you have stumbled upon some top-secret records.":                connectors.Forbidden,
		"Record does not exist or has been deleted.\n(Record: mail.message(10,), User: 6)": connectors.NotFound,
	} {
		_, c := openCanned(t, there, fmt.Sprintf(`{"ids":false,"messages":[{"rows":{"from":0,"to":0},"record":0,"type":"error","message":%q}]}`, says))
		out := c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "a", Status: sms.StatusSent}, {Key: "b", Status: sms.StatusSent}})
		for _, o := range out {
			require.Equal(t, want, o.Err.Kind, says)
			require.Equal(t, want.Permanent(), o.Err.WholeBatch, "one of the two may be innocent")
		}
	}
}

// lagging answers searches for texts from a replica that has none of them yet.
type lagging struct {
	http.RoundTripper
	t *testing.T
}

func (l lagging) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if strings.Contains(string(body), `"search_read"`) && strings.Contains(string(body), `"mail.message"`) {
		return (&canned{t: l.t, results: []string{"[]"}}).RoundTrip(r)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return l.RoundTripper.RoundTrip(r)
}

func TestTextThatNoSearchSeesIsLeftAlone(t *testing.T) {
	t.Parallel()
	f, c, url := open(t, fake.Options{})
	r := text("main/msg_1", f.AddContact(contactOf(1)))
	first := c.PutMessages(t.Context(), []connectors.Record{r})[0]
	f.EditMessage(first.Ref.ID, "edited by a person", "failed")
	late, err := odoo.Definition().Open(connectortest.Config("odoo", f.Config(url)), connectors.Env{Client: &http.Client{Transport: lagging{http.DefaultTransport, t}}})
	require.NoError(t, err)
	again := late.PutMessages(t.Context(), []connectors.Record{r})[0]
	require.Equal(t, first.Ref, again.Ref)
	require.Len(t, f.Messages(), 1)
	require.Equal(t, "edited by a person", f.Messages()[0].Body)
}

func TestStatusStandsBehindTheSubject(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		`"SMS sent by Sam"`:             "SMS sent by Sam [failed: no such number]",
		`"SMS sent [delivered]"`:        "SMS sent [failed: no such number]",
		`"SMS sent [failed: before]"`:   "SMS sent [failed: no such number]",
		`"A person's subject [urgent]"`: "A person's subject [urgent] [failed: no such number]",
		`"[sent]"`:                      "[failed: no such number]",
		`false`:                         "[failed: no such number]",
	} {
		server, c := openCanned(t, `[{"id":10,"message_id":"<a@crmsync>","subject":`+subject+`}]`, `{"ids":[10],"messages":[]}`)
		o := c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "a", Status: sms.StatusFailed, Reason: "no such\nnumber"}})[0]
		require.Equal(t, connectors.Written, o.State)
		require.Contains(t, server.asked[1], `"data":[["10","`+want+`"]]`)
	}
}

func TestTextIsMarkedUp(t *testing.T) {
	t.Parallel()
	for plain, want := range map[string]string{
		"one\r\ntwo\rthree":                   "<p>one<br>two<br>three</p>",
		`<b onclick="x">&amp;</b>`:            `<p>&lt;b onclick="x"&gt;&amp;amp;&lt;/b&gt;</p>`,
		"see https://a.example/?b=1&c=(2)#d.": `<p>see <a href="https://a.example/?b=1&amp;c=(2)#d" target="_blank">https://a.example/?b=1&amp;c=(2)#d</a>.</p>`,
		`<https://a.example"onclick=x>`:       `<p>&lt;<a href="https://a.example" target="_blank">https://a.example</a>"onclick=x&gt;</p>`,
		"javascript://x":                      "<p>javascript://x</p>",
		"a\x00\x1bb":                          "<p>a\ufffd\ufffdb</p>",
	} {
		f, c, _ := open(t, fake.Options{})
		r := text("main/msg_1", f.AddContact(contactOf(1)))
		r.Body = plain
		c.PutMessages(t.Context(), []connectors.Record{r})
		require.Equal(t, want, f.Messages()[0].Body)
	}
}

// A chatter is in the order of creation.
func TestBatchIsWrittenInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	contact := f.AddContact(contactOf(1))
	late, early := text("main/late", contact), text("main/early", contact)
	early.Message.At = at.Add(-time.Hour)
	out := c.PutMessages(t.Context(), []connectors.Record{late, early})
	require.Equal(t, "main/early", f.Messages()[0].Key)
	require.Equal(t, f.Messages()[1].ID, out[0].Ref.ID, "outcomes are in the order of the records")
}

// Nothing that is called can send: texts are created, never posted.
func TestNothingIsPosted(t *testing.T) {
	t.Parallel()
	f, c, _ := open(t, fake.Options{})
	records := batch(f, 3)
	c.PutMessages(t.Context(), records)
	c.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: records[0].Key, Status: sms.StatusFailed}})
	c.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: records[0].Contact, Consent: sms.Consent{Phone: number(0), OptedOut: true}}})
	for name := range f.Requests() {
		require.NotContains(t, name, "message_post")
		require.Regexp(t, `\.(search_read|load)$`, name)
	}
}
