package connectortest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime/pprof"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// definitionCases are the clauses about the connector as a whole.
func definitionCases() []testCase {
	return []testCase{
		{"definition/example opens", nil, exampleOpens},
		{"definition/unknown key", nil, unknownKey},
		{"definition/sign-in", nil, signInIsWhole},
		{"check/capabilities", nil, checkCapabilities},
		{"no goroutine is left", nil, noGoroutineLeft},
	}
}

// contactCases are the clauses about contacts and consent.
func contactCases() []testCase {
	return []testCase{
		{"find contacts/in order", canFind, findInOrder},
		{"find contacts/spellings", canFind, findSpellings},
		{"find contacts/near misses", canFind, findNearMisses},
		{"find contacts/several matches", canFind, findSeveral},
		{"find contacts/deleted", canFind, findDeleted},
		{"find contacts/nothing", canFind, func(b *bench) {
			s := b.open()
			_, err := s.find()
			require.NoError(s, err)
		}},
		{"find contacts/just created", func(a abilities) bool { return a.Find && a.Create }, findJustCreated},
		{"create contact/carries the number", canCreate, createCarries},
		{"create contact/without a name", canCreate, createNameless},
		{"create contact/exists already", canCreate, createTwice},
		{"consent/on and off", canConsent, consentOnOff},
		{"consent/read back", func(a abilities) bool { return a.Consent && a.Find }, consentReadBack},
		{"consent/of a contact just created", func(a abilities) bool { return a.Consent && a.Create }, consentOfNew},
		{"consent/deleted contact", canConsent, consentDeleted},
		{"consent/nothing", canConsent, func(b *bench) { s := b.open(); s.consent() }},
	}
}

func exampleOpens(b *bench) {
	d := b.h.Definition
	require.NotEmpty(b, d.Name)
	require.NotEmpty(b, d.Title)
	used := new(atomic.Int64)
	client := &http.Client{Transport: counting{used}}
	_, err := d.Open(Config("example", d.Example), connectors.Env{Client: client, Grant: func(context.Context) (connectors.Grant, error) {
		used.Add(1)
		return connectors.Grant{}, nil
	}})
	require.NoError(b, err, "Definition.Example")
	require.Zero(b, used.Load(), "Open did I/O")
}

type counting struct{ used *atomic.Int64 }

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.used.Add(1)
	return nil, http.ErrServerClosed
}

func unknownKey(b *bench) {
	fake := b.h.Start(b)
	_, err := b.h.Definition.Open(Config("suite", fake.Config+"\nno_such_key: 1\n"), connectors.Env{Client: http.DefaultClient, Grant: fake.Grant})
	require.Error(b, err, "a key that the connector does not know must be refused")
	require.Contains(b, err.Error(), "no_such_key")
	for _, secret := range fake.Secrets {
		require.NotContains(b, err.Error(), secret)
	}
}

func checkCapabilities(b *bench) {
	s := b.open()
	s.contact(1)
	caps, err := s.connector.Check(s.ctx)
	require.Nil(s, s.failure(err))
	require.Contains(s, []connectors.Class{connectors.ClassA, connectors.ClassB, connectors.ClassC, connectors.ClassD}, caps.Class)
	require.Equal(s, caps, connectors.CapabilitiesOf(s.connector, caps.Class).Narrow(caps), "Check widens what the methods allow")
	require.True(s, caps.Class != connectors.ClassD || caps.ReadBack, "class D needs FindMessages")
	require.Len(s, s.store.Contacts(), 1, "Check changes nothing")
	require.Empty(s, s.store.Messages(), "Check changes nothing")
}

// noGoroutineLeft runs every verb under a label, which goroutines inherit.
func noGoroutineLeft(b *bench) {
	id := fmt.Sprintf("%p", b)
	can := able(b, b.h)
	for _, v := range verbs() {
		if v.needs == nil || v.needs(can) {
			s := b.open() // before the label: the fake's goroutines are its own
			pprof.Do(s.ctx, pprof.Labels("connectortest", id), func(ctx context.Context) {
				s.ctx = ctx
				v.prepare(s).run()
			})
			s.wire.close()
			s.endsAll(id)
		}
	}
}

// endsAll waits until no goroutine has the label. Those of the transport need a
// moment after their connections were closed.
func (s *session) endsAll(id string) {
	s.Helper()
	deadline := time.Now().Add(promptly)
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for left := labelled(id); left != ""; left = labelled(id) {
		require.True(s, time.Now().Before(deadline), "goroutines are left:\n%s", left)
		s.wire.close()
		<-pause.C
	}
}

// labelled answers the stacks of the goroutines with the label.
func labelled(id string) string {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1)
	var left []byte
	for block := range bytes.SplitSeq(all.Bytes(), []byte("\n\n")) {
		if bytes.Contains(block, []byte(id)) {
			left = append(append(left, block...), '\n')
		}
	}
	return string(left)
}

func (s *session) found(phones ...sms.Phone) [][]string {
	s.Helper()
	var ids [][]string
	for part := range slices.Chunk(phones, s.h.batchSize()) {
		found, err := s.find(part...)
		require.NoError(s, err)
		for i, contacts := range found {
			var of []string
			for _, c := range contacts {
				require.Contains(s, c.Phones, part[i], "a contact that does not carry the number, or not in E.164")
				of = append(of, c.ID)
			}
			slices.Sort(of)
			ids = append(ids, of)
		}
	}
	return ids
}

func findInOrder(b *bench) {
	s := b.open()
	one := s.contact(1).ID
	two := s.store.AddContact(Contact{Name: "Two", Phones: []string{string(phone(2)), string(phone(3))}}).ID
	got := s.found(phone(3), phone(9), phone(1), phone(2))
	require.Equal(s, [][]string{{two}, nil, {one}, {two}}, got, "contacts of the third, an unknown, the first and the second number")
	require.Len(s, s.store.Contacts(), 2, "a search creates nothing")
}

func findSpellings(b *bench) {
	s := b.open()
	for i, spelling := range []string{"+15125550123", "(512) 555-0124", "512-555-0125", "+1 512 555 0126", "1 (512) 555.0127", "5125550128"} {
		id := s.store.AddContact(Contact{Name: "Contact", Phones: []string{spelling}}).ID
		number := sms.Phone(fmt.Sprintf("+151255501%d", 23+i))
		require.Equal(s, [][]string{{id}}, s.found(number), "a number spelt %q", spelling)
	}
}

// findNearMisses has contacts whose numbers end alike.
func findNearMisses(b *bench) {
	s := b.open()
	id := s.store.AddContact(Contact{Name: "Right", Phones: []string{"+15125550123"}}).ID
	s.store.AddContact(Contact{Name: "Other area", Phones: []string{"+12125550123"}})
	s.store.AddContact(Contact{Name: "Other country", Phones: []string{"+445125550123"}})
	s.store.AddContact(Contact{Name: "No number"})
	require.Equal(s, [][]string{{id}}, s.found("+15125550123"))
}

func findSeveral(b *bench) {
	s := b.open()
	want := []string{s.contact(1).ID, s.contact(1).ID, s.contact(1).ID}
	slices.Sort(want)
	require.Equal(s, [][]string{want}, s.found(phone(1)))
}

func findDeleted(b *bench) {
	s := b.open()
	s.store.DeleteContact(s.contact(1).ID)
	require.Equal(s, [][]string{nil}, s.found(phone(1)))
}

// findJustCreated allows a search that lags, but no failure.
func findJustCreated(b *bench) {
	s := b.open()
	c, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1), Name: "New"})
	require.NoError(s, err)
	for _, id := range s.found(phone(1))[0] {
		require.Equal(s, c.ID, id)
	}
	require.Len(s, s.store.Contacts(), 1, "a search that lags creates nothing")
}

func createCarries(b *bench) {
	s := b.open()
	c, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1), Name: `Ann "O'Neil" <x>`})
	require.NoError(s, err)
	stored := s.person(c.Ref)
	require.Len(s, stored.Phones, 1)
	require.Equal(s, phone(1), parsed(stored.Phones[0]))
	require.Contains(s, c.Phones, phone(1), "the answer carries the number too")
}

func createNameless(b *bench) {
	s := b.open()
	c, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1)})
	require.NoError(s, err, "nobody knows the name of most who write")
	s.person(c.Ref)
}

func createTwice(b *bench) {
	s := b.open()
	n := connectors.NewContact{Key: "k", Phone: phone(1), Name: "New"}
	first, err := s.create(n)
	require.NoError(s, err)
	second, err := s.create(n)
	require.NoError(s, err, "exists already is no failure")
	if len(s.store.Contacts()) == 1 {
		require.Equal(s, first.ID, second.ID, "the existing contact")
	}
}

// optOut opts the n-th number out on a contact.
func optOut(contact connectors.Ref, n int) connectors.ConsentChange {
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	return connectors.ConsentChange{Contact: contact, Consent: sms.Consent{Phone: phone(n), OptedOut: true, At: at}}
}

func consentOnOff(b *bench) {
	s := b.open()
	contact, bystander := s.contact(1), s.contact(2)
	change := optOut(contact, 1)
	for _, out := range []bool{true, true, false, false, true} {
		change.OptedOut, change.At = out, change.At.Add(time.Minute)
		s.fine(s.consent(change))
		stored := s.person(contact)
		require.Equal(s, out, stored.OptedOut)
		require.True(s, stored.ConsentAt.IsZero() || stored.ConsentAt.Equal(change.At), "instant of the consent")
	}
	require.False(s, s.person(bystander).OptedOut)
}

// consentReadBack holds what the connector tells of a contact to what is set, by
// it and by others.
func consentReadBack(b *bench) {
	s := b.open()
	contact, bystander := s.contact(1), s.contact(2)
	change := optOut(contact, 1)
	for _, out := range []bool{true, false, true} {
		change.OptedOut, change.At = out, change.At.Add(time.Minute)
		s.fine(s.consent(change))
		s.tells(1, contact, out)
	}
	s.tells(2, bystander, false)
}

// tells looks a contact up by its number, which must tell its consent, if the
// connector tells that at all.
func (s *session) tells(n int, contact connectors.Ref, optedOut bool) {
	s.Helper()
	found, err := s.find(phone(n))
	require.NoError(s, err)
	require.Len(s, found[0], 1)
	require.Equal(s, contact.ID, found[0][0].ID)
	if tells := found[0][0].OptedOut; tells != nil {
		require.Equal(s, optedOut, *tells, "what FindContacts tells of the consent")
	}
}

func consentOfNew(b *bench) {
	s := b.open()
	c, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1), Name: "New"})
	require.NoError(s, err)
	s.fine(s.consent(optOut(c.Ref, 1)))
	require.True(s, s.person(c.Ref).OptedOut)
}

func consentDeleted(b *bench) {
	s := b.open()
	gone := s.contact(1)
	s.store.DeleteContact(gone.ID)
	out := s.consent(optOut(gone, 1))[0]
	require.Equal(s, connectors.Failed, out.State)
	require.Equal(s, connectors.NotFound, out.Err.Kind, "%v", out.Err)
	require.Empty(s, s.store.Contacts(), "consent creates no contact")
}
