package connectortest

import (
	"slices"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/phones"
)

// numberCases are the clauses about numbers as people type them: those that all
// connectors share, and several of them.
func numberCases() []testCase {
	cases := []testCase{
		{"find contacts/numbers of one contact", canFind, findByEachNumber},
		{"find contacts/spellings of one number", canFind, findEachSpelling},
		{"find contacts/number twice on one contact", canFind, findOnce},
	}
	for _, c := range phones.Cases() {
		cases = append(cases, testCase{caseName("find contacts", "number: "+c.Name), canFind, func(b *bench) { findNumber(b, c) }})
	}
	return cases
}

func findNumber(b *bench, c phones.Case) {
	s := b.open()
	s.secrets = append(s.secrets, string(c.Phone))
	want := []string{s.store.AddContact(Contact{Name: "Contact", Phones: []string{c.Stored}}).ID}
	if !c.Same {
		want = nil
	}
	require.Equal(s, [][]string{want}, s.found(c.Phone), "a contact whose number is spelt %q", c.Stored)
}

// findByEachNumber finds a contact by its second number as by its first.
func findByEachNumber(b *bench) {
	s := b.open()
	id := s.store.AddContact(Contact{Name: "Both", Phones: []string{string(phone(1)), "(512) 555-1002"}}).ID
	require.Equal(s, [][]string{{id}, {id}}, s.found(phone(1), phone(2)))
}

// findEachSpelling finds all who carry a number: a connector that stops at the
// first spelling with a hit takes one of several for the only one.
func findEachSpelling(b *bench) {
	s := b.open()
	var want []string
	for _, spelling := range []string{string(phone(1)), "(512) 555-1001", "512-555-1001", "5125551001"} {
		want = append(want, s.store.AddContact(Contact{Name: "Contact", Phones: []string{spelling}}).ID)
	}
	slices.Sort(want)
	require.Equal(s, [][]string{want}, s.found(phone(1)))
}

func findOnce(b *bench) {
	s := b.open()
	id := s.store.AddContact(Contact{Name: "Twice", Phones: []string{string(phone(1)), "(512) 555-1001"}}).ID
	require.Equal(s, [][]string{{id}}, s.found(phone(1)), "one contact is one match")
}
