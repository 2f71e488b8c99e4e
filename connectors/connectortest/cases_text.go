package connectortest

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// textCases are the clauses about texts and their statuses.
func textCases(h Harness) []testCase {
	cases := []testCase{
		{"put/arrives", nil, putArrives},
		{"put/unlinked", nil, putUnlinked},
		{"put/twice is once", nil, putTwice},
		{"put/two texts are two", nil, putTwo},
		{"put/directions", nil, putDirections},
		{"put/instant of another zone", nil, putInstant},
		{"put/media links", nil, putMedia},
		{"put/keys that look alike", nil, putAlike},
		{"put/leaves edits alone", nil, putLeavesEdits},
		{"put/leaves the status alone", canStatus, putLeavesStatus},
		{"put/deleted contact", canFind, putDeletedContact},
		{"put/nothing", nil, putNothing},
		{"put/at the same time", nil, putConcurrently},
		{"status/in order", canStatus, statusInOrder},
		{"status/without a memory of the record", canStatus, statusByKey},
		{"status/unknown text", canStatus, statusUnknown},
		{"status/nothing", canStatus, func(b *bench) { s := b.open(); s.status() }},
		{"find messages/in order", canReadBack, findMessagesInOrder},
		{"find messages/nothing", canReadBack, func(b *bench) {
			s := b.open()
			_, err := s.findMessages()
			require.NoError(s, err)
		}},
		{"find messages/says on whose timeline", canReadBack, findMessagesContact},
		{"find messages/moved", canReadBack, findMessagesMoved},
		{"find messages/doubled", canReadBack, findMessagesDoubled},
		{"find messages/deleted", canReadBack, findMessagesDeleted},
	}
	for name, text := range hostile {
		cases = append(cases, testCase{caseName("put", "hostile text: "+name), nil, func(b *bench) { putHostile(b, text) }})
	}
	if cmp.Or(h.Definition.MaxBatch, 1) > 1 {
		cases = append(cases, testCase{"put/one poisoned item", nil, putPoisoned})
	}
	return cases
}

// hostile texts break what is not escaped, or not counted in characters.
var hostile = map[string]string{
	"quotes":       `"it's" \"escaped\" \\ 'twas ${HOME} %s {{.}}`,
	"markup":       `<b>bold</b> <script>alert(1)</script> &amp; </textarea> ]]>`,
	"lines":        "first\nsecond\r\nthird\ttab",
	"NUL":          "before\x00after",
	"emoji":        "thumbs 👍🏽 family 👨‍👩‍👧‍👦 and \u202eright to left",
	"10,000 chars": strings.Repeat("long text ", 1000),
	"query":        `' OR 1=1; DROP TABLE messages; -- {a OR b}`,
}

func putArrives(b *bench) {
	s := b.open()
	records := s.written(s.records(s.h.batchSize())...)
	for _, r := range records {
		require.Equal(s, r.Known.ID, s.once(r).ID, "the outcome's Ref is that of the record")
	}
}

func putUnlinked(b *bench) {
	s := b.open()
	r := record(1, connectors.Ref{})
	if out := s.put(r)[0]; out.State != connectors.NotApplicable {
		require.Equal(s, connectors.Written, out.State, "%v", out.Err)
		s.once(r)
	}
}

// repeat puts records again as the daemon would: in class D only after
// read-back found them missing.
func (s *session) repeat(records ...connectors.Record) []connectors.Outcome {
	s.Helper()
	if s.class() == connectors.ClassD {
		found, err := s.findMessages(records...)
		require.NoError(s, err)
		for i := range found {
			require.NotEmpty(s, found[i], "read-back does not find %s", records[i].Key)
		}
		return nil
	}
	return s.put(records...)
}

func putTwice(b *bench) {
	s := b.open()
	records := s.written(s.records(s.h.batchSize())...)
	for i, o := range s.repeat(records...) {
		require.Equal(s, connectors.Existed, o.State, "%v", o.Err)
		require.True(s, o.Ref.Zero() || o.Ref.Same(records[i].Known), "the second put names another record")
	}
	for _, r := range records {
		s.once(r)
	}
	require.Len(s, s.store.Messages(), len(records))
}

// putTwo writes the same words at the same moment, under two keys.
func putTwo(b *bench) {
	s := b.open()
	first := record(1, s.contact(1))
	second := first
	second.Key, second.Message.ID = "main/msg_2", "msg_2"
	s.written(first)
	s.written(second)
	s.once(first)
	s.once(second)
}

// putDirections: whose words they were is seen in the CRM.
func putDirections(b *bench) {
	s := b.open()
	for i, direction := range []sms.Direction{sms.Inbound, sms.Outbound} {
		r := record(i, s.contact(i))
		r.Message.Direction = direction
		s.written(r)
		require.Equal(s, string(direction), s.once(r).Direction)
	}
}

// putInstant writes texts whose instants are told in other zones.
func putInstant(b *bench) {
	s := b.open()
	for i, offset := range []int{-8 * 3600, 0, 5*3600 + 1800} {
		r := record(i, s.contact(i))
		r.Message.At = r.Message.At.In(time.FixedZone("", offset))
		s.written(r)
		at := s.once(r).At
		require.True(s, at.Equal(r.Message.At), "a text of %s stands at %s", r.Message.At, at)
	}
}

// putMedia: the body that the daemon renders ends with the links.
func putMedia(b *bench) {
	s := b.open()
	for i, words := range []string{"Your menu\n", ""} {
		const link = "https://media.example.com/menu.pdf?page=1&size=2#top"
		r := record(i, s.contact(i))
		r.Message.Body, r.Body = words, words+link
		r.Message.Media = []sms.Media{{URL: link, ContentType: "application/pdf"}}
		s.written(r)
		s.once(r)
	}
}

func putAlike(b *bench) {
	s := b.open()
	contact := s.contact(1)
	keys := []string{"main/Abc", "main/abc", "main/abc.", "main/a/bc", "main/a%2Fbc", "main/abc?x=1#y", "other/abc", "main/'abc\"", "main/abc]", strings.Repeat("k", 128)}
	for i, key := range keys {
		r := record(i, contact)
		r.Key = key
		if !strings.Contains(key, "/") {
			r.Key = "main/" + key
		}
		r.Message.ID = messageID(r.Key)
		s.written(r)
		s.once(r)
	}
	require.Len(s, s.store.Messages(), len(keys), "texts in the CRM")
}

func putLeavesEdits(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	s.store.EditMessage(r.Known.ID, "edited by a person", "failed")
	s.repeat(r)
	stored := s.stored(r.Key)
	if s.class() != connectors.ClassD { // where the marker may be edited away
		require.Len(s, stored, 1)
	}
	for _, m := range stored {
		require.Equal(s, "edited by a person", m.Body)
		require.Equal(s, "failed", m.Status)
	}
}

func putLeavesStatus(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	s.fine(s.status(change(r, sms.StatusFailed)))
	s.repeat(r)
	require.Equal(s, string(sms.StatusFailed), s.once(r).Status)
}

func putDeletedContact(b *bench) {
	s := b.open()
	gone := s.contact(1)
	s.store.DeleteContact(gone.ID)
	r := record(1, gone)
	out := s.put(r)[0]
	require.Equal(s, connectors.Failed, out.State)
	require.Equal(s, connectors.NotFound, out.Err.Kind, "%v", out.Err)
	// The daemon resolves the contact again and repeats.
	r.Contact = s.contact(1)
	s.fine(s.put(r))
	s.once(r)
}

func putNothing(b *bench) {
	s := b.open()
	s.put()
	require.Empty(s, s.store.Messages())
}

func putHostile(b *bench, text string) {
	s := b.open()
	r := record(1, s.contact(1))
	r.Subject, r.Body, r.Message.Body = text[:min(len(text), 100)], text, text
	r.Subject = strings.ToValidUTF8(r.Subject, "")
	s.written(r)
	s.once(r)
	s.repeat(r)
	s.once(r)
}

func putPoisoned(b *bench) {
	s := b.open()
	require.NotNil(s, s.fake.Poison, "a fake with batches needs Fake.Poison")
	records := s.records(s.h.batchSize())
	bad := records[1]
	s.fake.Poison(bad.Key)
	out := s.put(records...)
	for i, o := range out {
		if o.State == connectors.Failed && o.Err.WholeBatch {
			out[i] = s.put(records[i])[0] // the daemon splits the batch
		}
	}
	for i, o := range out {
		if records[i].Key != bad.Key {
			s.fine(out[i : i+1])
			s.once(records[i])
			continue
		}
		require.Equal(s, connectors.Failed, o.State)
		require.True(s, o.Err.Kind.Permanent(), "%v", o.Err)
		require.False(s, o.Err.Ambiguous, "%v", o.Err)
		require.Empty(s, s.stored(bad.Key))
	}
}

// putConcurrently uses one instance from many goroutines, on the same texts
// where the class allows that.
func putConcurrently(b *bench) {
	s := b.open()
	records := s.records(8)
	again := s.class() != connectors.ClassD
	var wg sync.WaitGroup
	for i := range 4 * len(records) {
		if i >= len(records) && !again {
			break
		}
		wg.Go(func() {
			for _, o := range s.connector.PutMessages(s.ctx, records[i%len(records):][:1]) {
				if o.State == connectors.Failed && o.Err.Kind.Permanent() {
					s.Errorf("of several at the same time: %v", o.Err)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range records {
		if again {
			s.fine(s.put(r)) // losers of a race may have been told to come back
		}
		s.once(r)
	}
}

func statusInOrder(b *bench) {
	s := b.open()
	r := record(1, s.contact(1))
	r.Message.Direction = sms.Outbound
	r = s.written(r)[0]
	for _, status := range []sms.Status{sms.StatusSent, sms.StatusDelivered, sms.StatusDelivered, sms.StatusFailed} {
		s.fine(s.status(change(r, status)))
		require.Equal(s, string(status), s.once(r).Status)
	}
}

func statusByKey(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	r.Known = connectors.Ref{}
	s.fine(s.status(change(r, sms.StatusDelivered)))
	require.Equal(s, string(sms.StatusDelivered), s.once(r).Status)
}

func statusUnknown(b *bench) {
	s := b.open()
	known := s.written(record(1, s.contact(1)))[0]
	changes := []connectors.StatusChange{change(record(2, s.contact(2)), sms.StatusDelivered)}
	if s.h.batchSize() > 1 {
		changes = append(changes, change(known, sms.StatusDelivered))
	}
	out := s.status(changes...)
	require.Equal(s, connectors.Failed, out[0].State, "status of a text that is not there")
	require.Equal(s, connectors.NotFound, out[0].Err.Kind, "%v", out[0].Err)
	require.Len(s, s.store.Messages(), 1, "a status created a text")
	if len(out) > 1 && (out[1].State != connectors.Failed || !out[1].Err.WholeBatch) {
		s.fine(out[1:])
		require.Equal(s, string(sms.StatusDelivered), s.once(known).Status)
	}
}

func findMessagesInOrder(b *bench) {
	s := b.open()
	first, second := record(1, s.contact(1)), record(2, s.contact(2))
	absent := record(3, first.Contact)
	first, second = s.written(first)[0], s.written(second)[0]
	want := []connectors.Ref{second.Known, {}, first.Known}
	asked := []connectors.Record{second, absent, first}
	for i := range asked {
		asked[i].Known = connectors.Ref{}
	}
	for i := 0; i < len(asked); i += s.h.batchSize() {
		part := asked[i:min(len(asked), i+s.h.batchSize())]
		found, err := s.findMessages(part...)
		require.NoError(s, err)
		for j := range found {
			require.Equal(s, want[i+j].ID, connectors.Oldest(found[j]).ID, "text %d", i+j)
		}
	}
}
