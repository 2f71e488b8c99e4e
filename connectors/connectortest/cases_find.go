package connectortest

import (
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// Clauses about what an audit asks for: what people did to the texts.

func (s *session) meddler() meddler {
	s.Helper()
	m, ok := s.store.(meddler)
	require.True(s, ok, "a connector that finds texts needs a fake in which people move, copy and delete them: see fakes.Meddler")
	return m
}

// look finds one text, as somebody who remembers its record or not.
func (s *session) look(r connectors.Record) []connectors.Found {
	s.Helper()
	found, err := s.findMessages(r)
	require.NoError(s, err)
	return found[0]
}

// standsOn requires that a text is said to stand on one contact's timeline.
func (s *session) standsOn(contact connectors.Ref, found connectors.Found) {
	s.Helper()
	require.Len(s, found.Contacts, 1, "on whose timelines %s stands", found.ID)
	require.Equal(s, contact.ID, found.Contacts[0].ID, "on whose timeline %s stands", found.ID)
	require.Contains(s, []string{"", contact.Type}, found.Contacts[0].Type, "which type of contact")
}

// forgotten is a record whose place nobody remembers.
func forgotten(r connectors.Record) connectors.Record {
	r.Known = connectors.Ref{}
	return r
}

func findMessagesContact(b *bench) {
	s := b.open()
	for _, r := range s.written(s.records(s.h.batchSize())...) {
		found := s.look(forgotten(r))
		require.Len(s, found, 1)
		s.standsOn(r.Contact, found[0])
	}
}

// findMessagesMoved: of a text that a person moved nobody may say that it stands
// where it was. Whoever can ask for a contact's texts only finds it by its record.
func findMessagesMoved(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	other := s.contact(2)
	s.meddler().MoveMessage(r.Known.ID, other.ID)
	for _, found := range [][]connectors.Found{s.look(forgotten(r)), s.look(r)} {
		for _, f := range found {
			require.Equal(s, r.Known.ID, f.ID)
			s.standsOn(other, f)
		}
	}
	require.NotEmpty(s, s.look(r), "a text that is remembered")
	r.Contact = other
	found := s.look(forgotten(r))
	require.Len(s, found, 1)
	s.standsOn(other, found[0])
}

func findMessagesDoubled(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	second := s.meddler().CopyMessage(r.Known.ID)
	var ids []string
	for _, f := range s.look(forgotten(r)) {
		ids = append(ids, f.ID)
		s.standsOn(r.Contact, f)
	}
	if second == "" { // the vendor keeps a key to one record
		require.Equal(s, []string{r.Known.ID}, ids)
		return
	}
	require.Equal(s, []string{r.Known.ID, second}, ids, "both records, the oldest first")
}

func findMessagesDeleted(b *bench) {
	s := b.open()
	r := s.written(record(1, s.contact(1)))[0]
	s.meddler().DeleteMessage(r.Known.ID)
	require.Empty(s, s.look(forgotten(r)))
	require.Empty(s, s.look(r), "though its record is remembered")
}
