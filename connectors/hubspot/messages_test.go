package hubspot_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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

// answering is an account that answers every request alike.
func answering(t *testing.T, status int, body string) account {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	served := connectortest.Fake{URL: server.URL, Config: "base_url: " + server.URL + "\ntoken: x\n"}
	return account{Connector: connect(t, served), served: served}
}

func text(n int, contact connectors.Ref) connectors.Record {
	id := fmt.Sprintf("msg_%d", n)
	return connectors.Record{
		Key: "main/" + id, Contact: contact, Body: "text " + id,
		Message: sms.Message{ID: id, Direction: sms.Outbound, Body: "text " + id, At: time.Date(2026, 11, 21, 9, 0, n, 0, time.UTC)},
	}
}

// texts are n texts of a contact each.
func (a account) texts(n int) []connectors.Record {
	all := make([]connectors.Record, n)
	for i := range all {
		all[i] = text(i, a.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{fmt.Sprintf("+1512555%04d", i)}}))
	}
	return all
}

// cost counts the requests that do makes.
func (a account) cost(do func()) int {
	total := func() (n int) {
		for _, count := range a.Requests() {
			n += count
		}
		return n
	}
	before := total()
	do()
	return total() - before
}

func states(out []connectors.Outcome) map[connectors.State]int {
	n := map[connectors.State]int{}
	for _, o := range out {
		n[o.State]++
	}
	return n
}

func TestBatchCosts(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(100)
	var out []connectors.Outcome
	put := func() { out = a.PutMessages(t.Context(), records) }

	require.Equal(t, 1, a.cost(put), "new texts")
	require.Equal(t, map[connectors.State]int{connectors.Written: 100}, states(out))
	require.Equal(t, 2, a.cost(put), "texts that are there")
	require.Equal(t, map[connectors.State]int{connectors.Existed: 100}, states(out))

	records = append(records[50:], a.texts(50)...)
	for i := 50; i < 100; i++ {
		records[i].Key += "-new"
	}
	require.Equal(t, 2, a.cost(put), "some of each")
	require.Equal(t, map[connectors.State]int{connectors.Existed: 50, connectors.Written: 50}, states(out))
	require.Len(t, a.Messages(), 150)

	changes := make([]connectors.StatusChange, 100)
	for i, r := range records {
		changes[i] = connectors.StatusChange{Key: r.Key, Status: sms.StatusDelivered}
	}
	require.Equal(t, 1, a.cost(func() { a.UpdateStatus(t.Context(), changes) }), "statuses")
}

// One bad text among a hundred costs two look-ups, and no other text.
func TestBadTextAmongGoodOnes(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(5)
	a.DeleteContact(records[1].Contact.ID)
	a.Poison(records[2].Key)
	records[3].OwnerID = "12345"
	var out []connectors.Outcome
	require.Equal(t, 3, a.cost(func() { out = a.PutMessages(t.Context(), records) }))
	require.Equal(t, connectors.Written, out[0].State)
	require.Equal(t, connectors.NotFound, out[1].Err.Kind)
	require.Equal(t, connectors.Invalid, out[2].Err.Kind)
	require.ErrorContains(t, out[2].Err, "MISSING_CONDITIONAL_REQUIRED_PROPERTY, property campaign")
	require.Equal(t, connectors.Invalid, out[3].Err.Kind, "an owner who is none")
	require.ErrorContains(t, out[3].Err, "hubspot_owner_id")
	require.Equal(t, connectors.Written, out[4].State)
	for _, o := range out[1:4] {
		require.False(t, o.Err.WholeBatch || o.Err.Ambiguous, "%v", o.Err)
	}
}

// A text that a person deleted is not written again behind his back.
func TestTextInTheRecycleBin(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(1)
	a.DeleteContact(a.PutMessages(t.Context(), records)[0].Ref.ID)
	o := a.PutMessages(t.Context(), records)[0]
	require.Equal(t, connectors.Failed, o.State)
	require.Equal(t, connectors.Conflict, o.Err.Kind)
	require.ErrorContains(t, o.Err, "recycle bin")
	require.Empty(t, a.Messages())
}

func TestPropertyThatWasDeletedStopsTheLane(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Bare: true}, "")
	for _, o := range a.PutMessages(t.Context(), a.texts(2)) {
		require.Equal(t, connectors.Auth, o.Err.Kind, "nothing may be parked: %v", o.Err)
		require.False(t, o.Err.WholeBatch)
		require.ErrorContains(t, o.Err, "property justcall_message_id")
	}
}

func TestMissingScopesStopTheLane(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Scopes: []string{"crm.objects.contacts.read"}}, "")
	err := a.PutMessages(t.Context(), a.texts(2))[0].Err
	require.Equal(t, connectors.Auth, err.Kind)
	require.ErrorContains(t, err, "scope crm.objects.contacts.write")
	_, owners := a.FindOwners(t.Context(), []string{"sam@example.com"})
	require.Equal(t, connectors.Forbidden, connectors.AsError("", owners).Kind, "texts do without owners")
}

// Answers that leave open what became of a text are no verdict on it.
func TestUnclearAnswers(t *testing.T) {
	t.Parallel()
	const head = `{"completedAt":"2026-11-21T09:00:00Z","startedAt":"2026-11-21T09:00:00Z","status":`
	unnamed := `{"status":"error","category":"VALIDATION_ERROR","message":"something","context":{}}`
	for name, c := range map[string]struct {
		body       string
		kind       connectors.Kind
		ambiguous  bool
		wholeBatch bool
	}{
		"nothing of them":       {head + `"COMPLETE","results":[]}`, connectors.Unknown, true, false},
		"not done":              {head + `"PENDING","results":[]}`, connectors.Unknown, true, false},
		"an error without name": {head + `"COMPLETE","results":[],"errors":[` + unnamed + `]}`, connectors.Invalid, false, true},
		"an error not known":    {head + `"COMPLETE","results":[],"errors":[{"category":"INTERNAL_ERROR","context":{"objectWriteTraceId":["0","1"]}}]}`, connectors.Unknown, true, false},
		"a result without id":   {head + `"COMPLETE","results":[{"objectWriteTraceId":"0"}]}`, connectors.Unknown, true, false},
	} {
		a := answering(t, http.StatusMultiStatus, c.body)
		for _, o := range a.PutMessages(t.Context(), []connectors.Record{text(1, connectors.Ref{}), text(2, connectors.Ref{})}) {
			require.Equal(t, connectors.Failed, o.State, name)
			require.Equal(t, c.kind, o.Err.Kind, name)
			require.Equal(t, c.ambiguous, o.Err.Ambiguous, name)
			require.Equal(t, c.wholeBatch, o.Err.WholeBatch, name)
		}
	}
}

// A batch that does not say that it is done tells nothing of what it leaves out.
func TestUnfinishedBatches(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"status":"PROCESSING","results":[]}`} {
		a := answering(t, http.StatusOK, body)
		status := a.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: "main/1", Status: sms.StatusDelivered}})
		consent := a.SetConsent(t.Context(), []connectors.ConsentChange{{Contact: connectors.Ref{ID: "1"}}})
		for _, o := range append(status, consent...) {
			require.Equal(t, connectors.Unknown, o.Err.Kind, "%v", o.Err)
			require.True(t, o.Err.Ambiguous)
		}
		_, read := a.FindMessages(t.Context(), []connectors.Record{text(1, connectors.Ref{})})
		require.ErrorContains(t, read, "UNKNOWN")
		_, check := a.Check(t.Context())
		require.ErrorContains(t, check, "UNKNOWN")
	}
}

func TestRefusedTextThatCannotBeLookedUpIsTriedAgain(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{Burst: 2}, "")
	records := a.texts(1)
	a.PutMessages(t.Context(), records)
	o := a.PutMessages(t.Context(), records)[0] // the look-up is one too many
	require.Equal(t, connectors.RateLimited, o.Err.Kind)
	require.Equal(t, 10*time.Second, o.Err.RetryAfter)
	require.Len(t, a.Messages(), 1)
}

func TestLongTextIsCutVisibly(t *testing.T) {
	t.Parallel()
	for _, options := range []fake.Options{{}, {NoKey: true}} {
		a := open(t, options, "")
		r := a.texts(1)[0]
		r.Subject, r.Body = "A <subject>", strings.Repeat(`"<👍🏽`, 10_000)
		require.Equal(t, connectors.Written, a.PutMessages(t.Context(), []connectors.Record{r})[0].State)
		m := a.Messages()[0]
		require.Equal(t, r.Key, m.Key)
		require.Contains(t, m.Body, "… (shortened)", "the end of a text is gone, and nobody sees it")
		require.LessOrEqual(t, len([]rune(m.Body)), 65_536)
		require.Greater(t, len([]rune(m.Body)), 65_000)
	}
}

// Two keys never become one, whatever HubSpot makes of capitals and space.
func TestKeysStayApart(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	ann := a.AddContact(connectortest.Contact{Name: "Ann"})
	var records []connectors.Record
	for c := byte('!'); c <= '~'; c++ {
		for _, key := range []string{"main/" + string(c), "main/x" + string(c), "main/" + string(c) + "x"} {
			r := text(int(c), ann)
			r.Key = key
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b connectors.Record) int { return strings.Compare(a.Key, b.Key) })
	records = slices.CompactFunc(records, func(a, b connectors.Record) bool { return a.Key == b.Key })
	for part := range slices.Chunk(records, 100) {
		require.Equal(t, map[connectors.State]int{connectors.Written: len(part)}, states(a.PutMessages(t.Context(), part)))
	}
	keys := map[string]bool{}
	for _, m := range a.Messages() {
		keys[m.Key] = true
	}
	for _, r := range records {
		require.True(t, keys[r.Key], r.Key)
	}
}

func TestStatusWithoutAProperty(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, `fields: { status: "" }`)
	records := a.texts(1)
	a.PutMessages(t.Context(), records)
	out := a.UpdateStatus(t.Context(), []connectors.StatusChange{{Key: records[0].Key, Status: sms.StatusDelivered}})
	require.Equal(t, connectors.NotApplicable, out[0].State)
}

func TestReasonOfAFailureIsOneLine(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(1)
	a.PutMessages(t.Context(), records)
	change := connectors.StatusChange{Key: records[0].Key, Status: sms.StatusFailed, Reason: "un\x00reach\nable " + strings.Repeat("x", 600)}
	require.Equal(t, connectors.Written, a.UpdateStatus(t.Context(), []connectors.StatusChange{change})[0].State)
	require.Equal(t, "un reach able "+strings.Repeat("x", 486), a.Messages()[0].Reason)
	change.Status, change.Reason = sms.StatusDelivered, ""
	a.UpdateStatus(t.Context(), []connectors.StatusChange{change})
	require.Empty(t, a.Messages()[0].Reason)
}

// In class D a text is found among many on its contact's timeline.
func TestReadBackFromTimelines(t *testing.T) {
	t.Parallel()
	for _, options := range []fake.Options{{NoUnique: true, Page: 7}, {NoKey: true}} {
		a := open(t, options, "")
		ann, bob := a.AddContact(connectortest.Contact{Name: "Ann"}), a.AddContact(connectortest.Contact{Name: "Bob"})
		var records []connectors.Record
		for i := range 250 {
			records = append(records, text(i, ann))
		}
		for part := range slices.Chunk(records, 100) {
			require.Equal(t, map[connectors.State]int{connectors.Written: len(part)}, states(a.PutMessages(t.Context(), part)))
		}
		found, err := a.FindMessages(t.Context(), []connectors.Record{records[3], text(3, bob), records[249], text(900, ann)})
		require.NoError(t, err)
		require.Equal(t, a.Messages()[3].ID, connectors.Oldest(found[0]).ID)
		require.Empty(t, found[1])
		require.Equal(t, a.Messages()[249].ID, connectors.Oldest(found[2]).ID)
		require.Empty(t, found[3])
	}
}

// An audit asks for all texts of a page at once.
func TestFindMessagesCosts(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(100)
	a.PutMessages(t.Context(), records)
	before := a.Requests()
	found, err := a.FindMessages(t.Context(), records)
	require.NoError(t, err)
	for i, r := range records {
		require.Len(t, found[i], 1)
		require.Equal(t, r.Contact.ID, found[i][0].Contacts[0].ID)
	}
	cost := 0
	for endpoint, n := range a.Requests() {
		cost += n - before[endpoint]
	}
	require.Equal(t, 2, cost, "one by key, one for the contacts")
}

// A timeline that cannot be read is no empty one: the text would be doubled.
func TestTimelineThatCannotBeRead(t *testing.T) {
	t.Parallel()
	const body = `{"status":"COMPLETE","results":[],"errors":[{"status":"error","category":"INTERNAL_ERROR","message":"x"}]}`
	served := answering(t, http.StatusMultiStatus, body).served
	served.Config += "unique: false\n"
	c := connect(t, served)
	_, err := c.FindMessages(t.Context(), []connectors.Record{text(1, connectors.Ref{ID: "1"})})
	require.ErrorContains(t, err, "UNKNOWN")
	require.False(t, connectors.AsError("", err).Ambiguous)
}

func TestUnlinkedTextInClassD(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{NoUnique: true}, "")
	ann := a.AddContact(connectortest.Contact{Name: "Ann"})
	out := a.PutMessages(t.Context(), []connectors.Record{text(1, connectors.Ref{}), text(2, ann)})
	require.Equal(t, connectors.NotApplicable, out[0].State, "nobody could tell whether it is there")
	require.Equal(t, connectors.Written, out[1].State)
	require.Equal(t, "main/msg_2", a.Messages()[0].Key)
}

// What another integration wrote around a text decides whether it is the text.
func TestAdoptsWhatIsTheText(t *testing.T) {
	t.Parallel()
	const words = "See you at 5 < 6\nSam"
	written := func(out []connectors.Outcome) bool { return out[0].State == connectors.Written }
	for body, want := range map[string]bool{
		"See you at 5 &lt; 6<br>Sam": true,
		"<div><p>SMS sent to +1 512 555 0100:</p><p>See  you at 5 &lt; 6</p><p>Sam</p></div>": true,
		"Outbound SMS: See you at 5 &lt; 6<br/>Sam":                                           true,
		"Outbound SMS that was received: See you at 5 &lt; 6<br/>Sam":                         true,
		"Inbound SMS: See you at 5 &lt; 6<br>Sam":                                             false,
		"<p>Received</p>See you at 5 &lt; 6<br>Sam":                                           false,
		"I shall not See you at 5 &lt; 6<br>Sam":                                              false,
		"See you at 5 &lt; 6<br>Sam<br>PS":                                                    false,
		"See you at 5 &lt; 6":                                                                 false,
		"":                                                                                    false,
	} {
		a := open(t, fake.Options{}, "")
		r := a.texts(1)[0]
		r.Message.Body = words
		a.AddRaw(r.Contact.ID, body, r.Message.At)
		require.Equal(t, want, written(a.AdoptMessages(t.Context(), []connectors.Record{r})), "%q", body)
		if want {
			require.Equal(t, body, a.Messages()[0].Body, "nothing else is changed")
		}
	}
}

func TestAdoptionCosts(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	records := a.texts(100)
	for _, r := range records {
		a.AddMessage(connectortest.Message{Contact: r.Contact.ID, Direction: "outbound", Body: r.Message.Body, At: r.Message.At})
	}
	var out []connectors.Outcome
	require.Equal(t, 3, a.cost(func() { out = a.AdoptMessages(t.Context(), records) }))
	require.Equal(t, map[connectors.State]int{connectors.Written: 100}, states(out))
}

// A text that stands under another contact already is not written twice.
func TestAdoptionOfATextThatIsElsewhere(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	r := a.texts(1)[0]
	first := a.PutMessages(t.Context(), []connectors.Record{r})[0]
	r.Contact = a.AddContact(connectortest.Contact{Name: "Bob"})
	a.AddMessage(connectortest.Message{Contact: r.Contact.ID, Direction: "outbound", Body: r.Message.Body, At: r.Message.At})
	out := a.AdoptMessages(t.Context(), []connectors.Record{r})[0]
	require.Equal(t, connectors.Existed, out.State, "%v", out.Err)
	require.Equal(t, first.Ref.ID, out.Ref.ID)
}
