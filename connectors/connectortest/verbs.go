package connectortest

import (
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// verb is one method of the contract, as the fault cases see it.
type verb struct {
	name  string
	needs func(abilities) bool
	// told: success is known from the answer's body, not from its status alone.
	told bool
	// items: each item has a verdict of its own.
	items bool
	// again: repeating the call is harmless, save for put in class D. Then one
	// that failed halfway may fail for certain, else it must be ambiguous.
	again bool
	// prepare brings the fake to where the call makes sense and answers it.
	prepare func(*session) call
}

// call is one call of a verb with everything it needs.
type call struct {
	// run makes the call. Verbs without items answer one outcome.
	run func() []connectors.Outcome
	// done tells whether item i really happened; nil for reads.
	done func(i int) bool
	// settle repeats the call, as the daemon would after out, and requires the
	// right state.
	settle func(out []connectors.Outcome)
}

func verbs() []verb {
	return []verb{
		{"check", nil, false, false, true, prepareCheck},
		{"put", nil, true, true, true, preparePut},
		{"find contacts", canFind, true, false, true, prepareFind},
		{"create contact", canCreate, true, false, false, prepareCreate},
		{"status", canStatus, false, true, true, prepareStatus},
		{"consent", canConsent, false, true, true, prepareConsent},
		{"find messages", canReadBack, true, false, true, prepareFindMessages},
		{"adopt", canAdopt, true, true, true, prepareAdopt},
		{"find owners", canOwners, true, false, true, prepareFindOwners},
		{"provision", canProvision, false, false, true, prepareProvision},
	}
}

func canFind(a abilities) bool      { return a.Find }
func canCreate(a abilities) bool    { return a.Create }
func canStatus(a abilities) bool    { return a.Status }
func canConsent(a abilities) bool   { return a.Consent }
func canAdopt(a abilities) bool     { return a.Adopt }
func canOwners(a abilities) bool    { return a.owners }
func canProvision(a abilities) bool { return a.provision }
func canReadBack(a abilities) bool  { return a.ReadBack }

// single turns the error of a verb without items into an outcome.
func (s *session) single(err error) []connectors.Outcome {
	if e := s.failure(err); e != nil {
		return []connectors.Outcome{{State: connectors.Failed, Err: e}}
	}
	return []connectors.Outcome{{State: connectors.Existed}}
}

func prepareCheck(s *session) call {
	run := func() []connectors.Outcome {
		_, err := s.connector.Check(s.ctx)
		return s.single(err)
	}
	return call{run: run, settle: func([]connectors.Outcome) { s.fine(run()) }}
}

func preparePut(s *session) call {
	records := s.records(s.h.batchSize())
	return call{
		run:  func() []connectors.Outcome { return s.put(records...) },
		done: func(i int) bool { return len(s.stored(records[i].Key)) > 0 },
		settle: func(out []connectors.Outcome) {
			if s.class() == connectors.ClassD {
				records = s.missing(records, out)
			}
			s.fine(s.put(records...))
			for _, r := range records {
				s.once(r)
			}
			require.Len(s, s.store.Messages(), len(out), "texts in the CRM")
		},
	}
}

// missing answers, in class D, what may be written again: it is sure that it
// is not there, or read-back says so.
func (s *session) missing(records []connectors.Record, out []connectors.Outcome) []connectors.Record {
	s.Helper()
	found, err := s.findMessages(records...)
	require.NoError(s, err, "read back after a failure")
	var again []connectors.Record
	for i, r := range records {
		require.Equal(s, len(s.stored(r.Key)) > 0, len(found[i]) > 0, "read back of %s", r.Key)
		if len(found[i]) == 0 {
			require.NotContains(s, []connectors.State{connectors.Written, connectors.Existed}, out[i].State, "%s was not written", r.Key)
			again = append(again, r)
		}
	}
	return again
}

func prepareFind(s *session) call {
	known := s.contact(1)
	run := func() []connectors.Outcome {
		found, err := s.find(phone(1))
		if err == nil {
			require.Len(s, found[0], 1, "a contact that is there was not found, though the call did not fail")
			require.Equal(s, known.ID, found[0][0].ID)
		}
		return s.single(err)
	}
	return call{run: run, settle: func([]connectors.Outcome) { s.fine(run()) }}
}

func prepareCreate(s *session) call {
	n := connectors.NewContact{Key: "contact-1", Phone: phone(1), Name: "New Contact"}
	return call{
		run: func() []connectors.Outcome {
			_, err := s.create(n)
			return s.single(err)
		},
		done: func(int) bool { return len(s.store.Contacts()) > 0 },
		settle: func([]connectors.Outcome) {
			// Creation is not idempotent: the daemon searches before a second one.
			if len(s.store.Contacts()) == 0 {
				_, err := s.create(n)
				require.NoError(s, err)
			}
			require.Len(s, s.store.Contacts(), 1, "contacts in the CRM")
		},
	}
}

func prepareStatus(s *session) call {
	records := s.written(s.records(s.h.batchSize())...)
	changes := make([]connectors.StatusChange, len(records))
	for i, r := range records {
		changes[i] = change(r, sms.StatusDelivered)
	}
	done := func(i int) bool { return s.stored(records[i].Key)[0].Status == string(sms.StatusDelivered) }
	run := func() []connectors.Outcome { return s.status(changes...) }
	return call{run: run, done: done, settle: func([]connectors.Outcome) {
		s.fine(run())
		for i := range records {
			require.True(s, done(i), "status of %s", records[i].Key)
		}
	}}
}

func prepareConsent(s *session) call {
	changes := make([]connectors.ConsentChange, s.h.batchSize())
	for i := range changes {
		changes[i] = optOut(s.contact(i+1), i+1)
	}
	done := func(i int) bool { return s.person(changes[i].Contact).OptedOut }
	run := func() []connectors.Outcome { return s.consent(changes...) }
	return call{run: run, done: done, settle: func([]connectors.Outcome) {
		s.fine(run())
		for i := range changes {
			require.True(s, done(i), "consent of contact %d", i)
		}
	}}
}

func prepareFindMessages(s *session) call {
	records := s.written(s.records(s.h.batchSize())...)
	run := func() []connectors.Outcome {
		found, err := s.findMessages(records...)
		if err == nil {
			for i, r := range records {
				require.Equal(s, r.Known.ID, connectors.Oldest(found[i]).ID, "%s is there, and was not found, though the call did not fail", r.Key)
			}
		}
		return s.single(err)
	}
	return call{run: run, settle: func([]connectors.Outcome) { s.fine(run()) }}
}

// fine requires that every item is where it should be.
func (s *session) fine(out []connectors.Outcome) {
	s.Helper()
	for i, o := range out {
		require.Contains(s, []connectors.State{connectors.Written, connectors.Existed}, o.State, "item %d, once all is well: %v", i, o.Err)
	}
}

// person finds a contact in the store.
func (s *session) person(ref connectors.Ref) Contact {
	s.Helper()
	for _, c := range s.store.Contacts() {
		if c.ID == ref.ID {
			return c
		}
	}
	s.Fatalf("the contact is gone from the CRM")
	return Contact{}
}
