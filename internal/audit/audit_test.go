package audit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/audit"
	"crmsync/internal/justcall/api"
	"crmsync/internal/messages"
	"crmsync/sms"
	"crmsync/workflows"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is an account, a CRM, and what crmsync knows of both.
type world struct {
	*audit.Audit
	t     *testing.T
	crm   *connectortest.CRM
	texts []api.Text
	fates map[string]messages.Fate // by event
	links map[sms.Phone]connectors.Ref
	// pages counts the pages that were asked for, of which the first are refused.
	pages, refuse int
	refusal       connectors.Error
}

func newWorld(t *testing.T, class connectors.Class) *world {
	t.Helper()
	w := &world{
		t: t, crm: connectortest.NewCRM(connectortest.CRMOptions{Class: class}),
		fates: map[string]messages.Fate{}, links: map[sms.Phone]connectors.Ref{},
		refusal: connectors.Error{Op: "list texts", Kind: connectors.Unavailable},
	}
	definition := connectortest.Definition(connectortest.Options{MaxBatch: 2, SearchLag: 2 * time.Minute})
	settings := connectortest.Config("crm", "base_url: "+w.crm.Start(t)+"\nclass: "+string(class))
	opened, err := definition.Open(settings, connectors.Env{Client: http.DefaultClient})
	require.NoError(t, err)
	w.Audit = &audit.Audit{
		Account: "main", Connector: "crm", JustCall: w, Memory: w, Definition: definition,
		Messages: opened.(connectors.MessageFinder), Contacts: opened.(connectors.ContactFinder),
		Routed:   func(e sms.Event) bool { return e.Message.Line != "+15125550199" },
		Render:   func(e sms.Event) (string, string) { return "SMS", e.Message.Body },
		Told:     func(int, int) {},
		Now:      func() time.Time { return now },
		Patience: time.Millisecond,
	}
	return w
}

// Texts answers two texts to a page, the last one of a page again on the next.
func (w *world) Texts(_ context.Context, _ api.Query, from api.Cursor) (api.Page, error) {
	w.pages++
	if w.refuse > 0 {
		w.refuse--
		return api.Page{}, &w.refusal
	}
	at, _ := strconv.Atoi(string(from))
	page := api.Page{Texts: w.texts[max(at-1, 0):min(at+2, len(w.texts))], Total: len(w.texts)}
	if at+2 < len(w.texts) {
		page.Next = api.Cursor(strconv.Itoa(at + 2))
	}
	return page, nil
}

func (w *world) Fate(_ context.Context, e sms.Event, connector string) (messages.Fate, error) {
	require.Equal(w.t, "crm", connector)
	return w.fates[e.Key()], nil
}

func (w *world) Linked(_ context.Context, _ string, phone sms.Phone) (connectors.Ref, error) {
	return w.links[phone], nil
}

// phone is the n-th number.
func phone(n int) sms.Phone { return sms.Phone(fmt.Sprintf("+1512555%04d", 1000+n)) }

// text lists the n-th text of a contact at JustCall.
func (w *world) text(n int) sms.Event {
	m := sms.Message{
		ID: fmt.Sprintf("msg_%d", n), Direction: sms.Inbound, Contact: phone(n), Line: "+15125550100", Body: "hello", At: now.Add(-time.Hour),
	}
	e := sms.Event{Account: "main", Kind: sms.Received, At: m.At, Message: m}
	w.texts = append(w.texts, api.Text{ID: m.ID, At: m.At, Events: []sms.Event{e}})
	return e
}

// written lists a text, and puts it on its contact's timeline.
func (w *world) written(n int) (contact, record connectors.Ref) {
	w.t.Helper()
	e := w.text(n)
	contact = w.crm.AddContact(connectortest.Contact{Phones: []string{string(e.Message.Contact)}})
	return contact, w.put(e, contact)
}

func (w *world) put(e sms.Event, contact connectors.Ref) connectors.Ref {
	w.t.Helper()
	r := connectors.Record{Key: e.MessageKey(), Message: e.Message, Contact: contact, Body: e.Message.Body}
	out := w.Messages.(connectors.Connector).PutMessages(w.t.Context(), []connectors.Record{r})[0]
	require.Equal(w.t, connectors.Written, out.State, "%v", out.Err)
	w.fates[e.Key()] = messages.Fate{Known: true, Ended: e.At, Delivery: messages.Delivery{
		Connector: "crm", State: string(connectors.Written), Record: out.Ref, Contact: contact,
	}}
	return out.Ref
}

func (w *world) run() audit.Report {
	w.t.Helper()
	report, err := w.Run(w.t.Context(), api.Query{Since: now.AddDate(0, 0, -1)})
	require.NoError(w.t, err)
	return report
}

// said answers what was found of each text.
func said(r audit.Report) map[string]string {
	said := map[string]string{}
	for _, f := range r.Findings {
		said[f.Key] += f.What
	}
	return said
}

func TestAllIsWell(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{"A", "B", "C", "D"} {
		w := newWorld(t, class)
		for n := range 7 {
			w.written(n)
		}
		w.texts = append(w.texts, api.Text{ID: "scheduled"}) // not sent yet
		r := w.run()
		require.True(t, r.Well())
		require.Equal(t, 7, r.Listed)
		require.Equal(t, 7, r.InCRM)
		require.Empty(t, r.Findings)
		require.False(t, r.ContactsUnknown)
		require.Equal(t, 4, w.pages)
		require.Equal(t, 4, w.crm.Requests()["find_messages"], "batches of two, none of them twice")
	}
}

// What people did in the CRM.
func TestWhatIsWrongInTheCRM(t *testing.T) {
	t.Parallel()
	for _, class := range []connectors.Class{"B", "C", "D"} {
		w := newWorld(t, class)
		_, deleted := w.written(1)
		_, doubled := w.written(2)
		_, moved := w.written(3)
		w.written(4)
		w.crm.DeleteMessage(deleted.ID)
		second := w.crm.CopyMessage(doubled.ID)
		stranger := w.crm.AddContact(connectortest.Contact{Phones: []string{"+15125559999"}})
		w.crm.MoveMessage(moved.ID, stranger.ID)
		r := w.run()
		require.False(t, r.Well())
		require.Equal(t, []int{4, 3, 1, 1, 1}, []int{r.Listed, r.InCRM, r.Missing, r.Double, r.WrongContact})
		require.Equal(t, map[string]string{
			"main/msg_1/sms.received": audit.Missing, "main/msg_2/sms.received": audit.Double, "main/msg_3/sms.received": audit.WrongContact,
		}, said(r))
		require.Equal(t, "it was written as record "+deleted.ID+", which is not there any more", r.Findings[0].Why)
		require.Equal(t, []connectors.Ref{{ID: doubled.ID}, {ID: second}}, r.Findings[1].Records)
		require.Equal(t, []connectors.Ref{stranger}, r.Findings[2].Contacts)
		require.Len(t, r.Lost, 1)
		require.True(t, r.Lost[0].Known)
	}
}

// What is not in the CRM is not always missing.
func TestWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	state := func(s string) messages.Fate {
		return messages.Fate{Known: true, Ended: now.Add(-time.Hour), Delivery: messages.Delivery{State: s}}
	}
	for name, c := range map[string]struct {
		fate messages.Fate
		age  time.Duration
		why  string // "" where it is not missing
		want audit.Report
	}{
		"never seen":       {age: audit.Young, why: "crmsync never saw it, or so long ago that Temporal has forgotten it"},
		"young":            {age: audit.Young - time.Second, want: audit.Report{UnderWay: 1}},
		"on its way":       {state(workflows.StateSyncing), time.Hour, "", audit.Report{UnderWay: 1}},
		"parked":           {state(workflows.StateParked), time.Hour, "", audit.Report{Parked: 1}},
		"skipped":          {state(string(workflows.StateSkipped)), time.Hour, "", audit.Report{LeftOut: 1}},
		"no place for it":  {state(string(connectors.NotApplicable)), time.Hour, "", audit.Report{LeftOut: 1}},
		"ended by hand":    {fate: state(messages.StateEnded), age: time.Hour, why: "somebody ended its workflow by hand"},
		"another's":        {fate: state(""), age: time.Hour, why: "it went to other connectors only"},
		"written":          {fate: state("written"), age: time.Hour, why: "it was written, and is not there any more"},
		"written just now": {messages.Fate{Known: true, Ended: now.Add(-time.Minute), Delivery: messages.Delivery{State: "written"}}, time.Hour, "", audit.Report{UnderWay: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, connectors.ClassB)
			e := w.text(1)
			w.texts[0].Events[0].At = now.Add(-c.age)
			w.fates[e.Key()] = c.fate
			r := w.run()
			require.Equal(t, 1, r.Listed)
			require.Equal(t, []int{c.want.UnderWay, c.want.Parked, c.want.LeftOut}, []int{r.UnderWay, r.Parked, r.LeftOut})
			if c.why == "" {
				require.True(t, r.Well())
				return
			}
			require.Equal(t, 1, r.Missing)
			require.Equal(t, c.why, r.Findings[0].Why)
			require.Equal(t, c.fate.Known, r.Lost[0].Known)
		})
	}
}

// Who has a number may be decided by a person, and a number may be several people's.
func TestRightContacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	other := w.crm.AddContact(connectortest.Contact{Name: "no number"})
	linked := w.text(1)
	w.put(linked, other)
	w.links[linked.Message.Contact] = other
	once := w.text(2)
	w.put(once, other)
	fate := w.fates[once.Key()]
	fate.How = messages.ByPerson
	w.fates[once.Key()] = fate
	first, record := w.written(3)
	twin := w.crm.AddContact(connectortest.Contact{Phones: []string{string(phone(3))}})
	w.crm.MoveMessage(record.ID, twin.ID)
	require.NotEqual(t, first, twin)
	w.put(w.text(4), connectors.Ref{}) // unlinked
	short := w.text(5)
	short.Message.Contact = "72975"
	w.texts[4].Events[0] = short
	w.put(short, other)
	require.True(t, w.run().Well())

	w.links = nil
	require.Equal(t, map[string]string{linked.Key(): audit.WrongContact}, said(w.run()))
}

// Text of other lines, rows that cannot be read, and what comes twice.
func TestWhatIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	w.written(1)
	w.text(2)
	w.texts[1].Events[0].Message.Line = "+15125550199"
	w.texts = append(w.texts, api.Text{ID: "odd", Err: errors.New("no direction"), Raw: []byte("{}")})
	r := w.run()
	require.Equal(t, []int{1, 1, 1, 1}, []int{r.Listed, r.InCRM, r.Elsewhere, r.Unreadable})
	require.Equal(t, map[string]string{"main/odd": audit.Unreadable}, said(r))
	require.False(t, r.Well())
}

// blind is a CRM that cannot be asked for texts without a contact, and says nothing
// of contacts.
type blind struct{ connectors.MessageFinder }

func (b blind) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	for _, r := range records {
		if r.Contact.Zero() {
			return nil, &connectors.Error{Op: "find messages", Kind: connectors.Unsupported}
		}
	}
	found, err := b.MessageFinder.FindMessages(ctx, records)
	for _, f := range found {
		for i := range f {
			f[i].Contacts = nil
		}
	}
	return found, err
}

func TestWhatCannotBeTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	w.Messages = blind{w.Messages}
	w.text(1)
	w.texts[0].Events[0].Message.Contact = phone(77) // nobody's
	connector := w.Messages.(blind).MessageFinder
	w.Messages = connector
	w.written(2)
	w.written(3)
	w.Messages = blind{connector}
	r := w.run()
	require.Equal(t, []int{3, 2, 0, 1}, []int{r.Listed, r.InCRM, r.Missing, r.Unanswered})
	require.True(t, r.ContactsUnknown)
	require.Equal(t, map[string]string{"main/msg_1/sms.received": audit.Unanswered}, said(r))

	// Temporal knows that it was left out, or where it went.
	w.fates["main/msg_1/sms.received"] = messages.Fate{Known: true, Delivery: messages.Delivery{State: string(connectors.NotApplicable)}}
	require.True(t, w.run().Well())
}

// Of texts that nobody knows the ids are in doubt.
func TestIDsDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	for n := range audit.MinProof - 1 {
		w.text(n)
	}
	require.False(t, w.run().IDsDiffer(), "too few to tell")
	last := w.text(audit.MinProof)
	r := w.run()
	require.True(t, r.IDsDiffer())
	require.Equal(t, audit.MinProof, r.Missing)
	w.fates[last.Key()] = messages.Fate{Known: true}
	require.False(t, w.run().IDsDiffer(), "Temporal knows one")
}

// A report lists so many, and counts them all.
func TestMaxFindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	for n := range audit.MaxFindings + 2 {
		w.texts = append(w.texts, api.Text{ID: strconv.Itoa(n), Err: errors.New("odd")})
	}
	r := w.run()
	require.Equal(t, audit.MaxFindings+2, r.Unreadable)
	require.Len(t, r.Findings, audit.MaxFindings)
	require.True(t, r.More)
}

// Both sides may be away for a while, and not for ever.
func TestPatience(t *testing.T) {
	t.Parallel()
	w := newWorld(t, connectors.ClassB)
	w.written(1)
	w.refuse = 5
	require.True(t, w.run().Well())
	require.Equal(t, 6, w.pages)
	w.refuse = 6
	_, err := w.Run(t.Context(), api.Query{})
	require.Equal(t, connectors.Unavailable, connectors.AsError("", err).Kind)

	for _, once := range []connectors.Error{{Kind: connectors.Auth}, {Kind: connectors.Forbidden}, {Kind: connectors.RateLimited, RetryAfter: time.Hour}} {
		w.refuse, w.pages, w.refusal = 1, 0, once
		_, err = w.Run(t.Context(), api.Query{})
		require.Equal(t, once.Kind, connectors.AsError("", err).Kind)
		require.Equal(t, 1, w.pages, "nobody waits for what will not come")
	}
	w.crm.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	_, err = w.Run(t.Context(), api.Query{})
	require.Equal(t, connectors.Unavailable, connectors.AsError("", err).Kind)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Run(ctx, api.Query{})
	require.Error(t, err)
}
