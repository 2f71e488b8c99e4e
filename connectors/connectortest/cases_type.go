package connectortest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// typeCases are the clauses about contacts of several types, and about what a
// new one is to be.
func typeCases() []testCase {
	leads := func(with func(abilities) bool) func(abilities) bool {
		return func(a abilities) bool { return a.leads && with(a) }
	}
	return []testCase{
		{"lead/found beside a contact", leads(canFind), findLead},
		{"lead/put", leads(canFind), putLead},
		{"lead/consent", leads(canConsent), consentLead},
		{"lead/created", leads(canCreate), createLead},
		{"create contact/of a type that there is not", canCreate, createOfNoType},
		{"create contact/with fields", func(a abilities) bool { return a.Create && a.fields }, createWithFields},
	}
}

// leadType is Ref.Type of a lead, where the vendor has them.
const leadType = "lead"

// lead is one with the first number.
func lead() Contact {
	return Contact{Ref: connectors.Ref{Type: leadType}, Name: "Lead", Phones: []string{string(phone(1))}}
}

func findLead(b *bench) {
	s := b.open()
	want := []connectors.Ref{s.store.AddContact(lead()), s.contact(1)}
	found, err := s.find(phone(1))
	require.NoError(s, err)
	require.Len(s, found[0], len(want), "a lead and a contact with one number")
	for _, ref := range want {
		require.True(s, slices.ContainsFunc(found[0], func(c connectors.Contact) bool { return c.Same(ref) }), "the %s is not found", ref.Type)
	}
}

func putLead(b *bench) {
	s := b.open()
	r := record(1, s.store.AddContact(lead()))
	s.written(r)
	s.once(r)
}

func consentLead(b *bench) {
	s := b.open()
	ref := s.store.AddContact(lead())
	change := optOut(ref, 1)
	s.fine(s.consent(change))
	require.True(s, s.person(ref).OptedOut)
	change.OptedOut, change.At = false, change.At.Add(time.Minute)
	s.fine(s.consent(change))
	require.False(s, s.person(ref).OptedOut)
}

func createLead(b *bench) {
	s := b.open()
	for n, kind := range []string{leadType, "contact"} {
		c, err := s.create(connectors.NewContact{Key: "k-" + kind, Phone: phone(n), Name: "New", Type: kind})
		require.NoError(s, err)
		require.Equal(s, kind, c.Type)
		require.Equal(s, kind, s.person(c.Ref).Type)
	}
}

// createOfNoType: what the configuration asks for and the CRM has not must not
// become something else.
func createOfNoType(b *bench) {
	s := b.open()
	_, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1), Name: "New", Type: "no_such_type"})
	require.Error(s, err)
	require.True(s, s.failure(err).Kind.Permanent(), "%v", err)
	require.Empty(s, s.store.Contacts())
}

func createWithFields(b *bench) {
	s := b.open()
	name := s.store.(fieldNamer).TextField()
	c, err := s.create(connectors.NewContact{Key: "k", Phone: phone(1), Name: "New", Fields: map[string]string{name: `from a "text"`}})
	require.NoError(s, err)
	require.Equal(s, `from a "text"`, s.person(c.Ref).Fields[name], "field %s of the new contact", name)
}
