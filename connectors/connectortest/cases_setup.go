package connectortest

import (
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
)

// setupCases are the clauses about users and custom fields.
func setupCases() []testCase {
	return []testCase{
		{"find owners/in order", canOwners, findOwnersInOrder},
		{"find owners/in any case", canOwners, findOwnersAnyCase},
		{"find owners/nothing", canOwners, func(b *bench) {
			s := b.open()
			found, err := s.findOwners()
			require.NoError(s, err)
			require.Empty(s, found)
			require.Zero(s, s.wire.count(), "a search for nobody costs nothing")
		}},
		{"put/owner", canOwners, putOwner},
		{"provision/says first", canProvision, provisionSays},
		{"provision/then texts arrive", canProvision, provisionThenPut},
	}
}

func (s *session) owner(email string) (id string) {
	s.Helper()
	adder, ok := s.store.(ownerAdder)
	require.True(s, ok, "a connector that finds owners needs a fake with AddOwner: see fakes.OwnerAdder")
	return adder.AddOwner(email)
}

func (s *session) findOwners(emails ...string) ([]string, error) {
	s.Helper()
	found, err := s.connector.(connectors.OwnerFinder).FindOwners(s.ctx, emails)
	if s.failure(err) == nil {
		require.Len(s, found, len(emails), "one answer for each address")
	}
	return found, err
}

func findOwnersInOrder(b *bench) {
	s := b.open()
	sam, kim := s.owner("sam@example.com"), s.owner("kim@example.com")
	found, err := s.findOwners("kim@example.com", "nobody@example.com", "sam@example.com", "kim@example.com")
	require.NoError(s, err)
	require.Equal(s, []string{kim, "", sam, kim}, found)
	found, err = s.findOwners("nobody@example.com")
	require.NoError(s, err)
	require.Equal(s, []string{""}, found)
}

// findOwnersAnyCase: nobody agrees on capitals in an address.
func findOwnersAnyCase(b *bench) {
	s := b.open()
	sam, kim := s.owner("Sam@example.com"), s.owner("kim@example.com")
	found, err := s.findOwners("sam@example.com", "Kim@Example.com")
	require.NoError(s, err)
	require.Equal(s, []string{sam, kim}, found)
}

func putOwner(b *bench) {
	s := b.open()
	r := record(1, s.contact(1))
	r.OwnerID = s.owner("sam@example.com")
	s.written(r)
	require.Equal(s, r.OwnerID, s.once(r).OwnerID, "owner of the text's record")
}

// provision answers what was done, or would be.
func (s *session) provision(dryRun bool) ([]connectors.Change, error) {
	s.Helper()
	changes, err := s.connector.(connectors.Provisioner).Provision(s.ctx, dryRun)
	if s.failure(err) != nil {
		return changes, err
	}
	for _, c := range changes {
		require.NotEmpty(s, c.What, "a change that does not say what it is")
		require.Equal(s, !dryRun, c.Done, "%s: Done tells whether it happened", c.What)
	}
	return changes, err
}

func (s *session) provisioned(dryRun bool) (what []string) {
	s.Helper()
	changes, err := s.provision(dryRun)
	require.NoError(s, err)
	for _, c := range changes {
		what = append(what, c.What)
	}
	return what
}

// bare makes the fake an account where nobody has set anything up.
func (s *session) bare() {
	s.Helper()
	remover, ok := s.store.(fieldRemover)
	require.True(s, ok, "a connector that provisions needs a fake with RemoveFields: see fakes.FieldRemover")
	remover.RemoveFields()
}

func provisionSays(b *bench) {
	s := b.open()
	s.bare()
	missing := s.provisioned(true)
	require.NotEmpty(s, missing, "nothing is missing in a bare account")
	require.Equal(s, missing, s.provisioned(true), "a dry run changes nothing")
	require.Equal(s, missing, s.provisioned(false), "a run does what the dry run said")
	require.Empty(s, s.provisioned(true), "everything is there now")
	require.Empty(s, s.provisioned(false), "a second run changes nothing")
}

func provisionThenPut(b *bench) {
	s := b.open()
	s.bare()
	s.provisioned(false)
	r := s.written(record(1, s.contact(1)))[0]
	s.once(r)
	s.repeat(r)
	s.once(r)
}

func prepareFindOwners(s *session) call {
	sam := s.owner("sam@example.com")
	run := func() []connectors.Outcome {
		found, err := s.findOwners("sam@example.com")
		if err == nil {
			require.Equal(s, []string{sam}, found, "a user who is there was not found, though the call did not fail")
		}
		return s.single(err)
	}
	return call{run: run, settle: func([]connectors.Outcome) { s.fine(run()) }}
}

func prepareProvision(s *session) call {
	s.bare()
	run := func() []connectors.Outcome {
		_, err := s.provision(false)
		return s.single(err)
	}
	done := func(int) bool { return len(s.provisioned(true)) == 0 }
	return call{run: run, done: done, settle: func([]connectors.Outcome) {
		s.fine(run())
		require.True(s, done(0), "something is missing still")
	}}
}
