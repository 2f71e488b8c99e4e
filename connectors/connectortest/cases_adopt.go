package connectortest

import (
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// adoptCases are the clauses about taking over what another integration wrote.
func adoptCases() []testCase {
	cases := []testCase{
		{"adopt/takes over", canAdopt, adoptTakesOver},
		{"adopt/again", canAdopt, adoptAgain},
		{"adopt/one that has a key", canAdopt, adoptKeyed},
		{"adopt/one for two texts", canAdopt, adoptOneForTwo},
		{"adopt/two for two texts", canAdopt, adoptTwoForTwo},
		{"adopt/some of a batch", canAdopt, adoptSome},
		{"adopt/nothing", canAdopt, func(b *bench) { s := b.open(); s.adopt() }},
	}
	for name, change := range strangers {
		cases = append(cases, testCase{caseName("adopt", name), canAdopt, func(b *bench) { adoptStranger(b, change) }})
	}
	for _, away := range []time.Duration{-time.Minute, time.Minute} {
		cases = append(cases, testCase{caseName("adopt", away.String()+" away"), canAdopt, func(b *bench) { adoptAway(b, away) }})
	}
	return cases
}

// strangers are records that look like a text and are another.
var strangers = map[string]func(*session, *Message){
	"61 s earlier":        func(_ *session, m *Message) { m.At = m.At.Add(-61 * time.Second) },
	"61 s later":          func(_ *session, m *Message) { m.At = m.At.Add(61 * time.Second) },
	"of another contact":  func(s *session, m *Message) { m.Contact = s.contact(2).ID },
	"of another text":     func(_ *session, m *Message) { m.Body += " and more" },
	"the other direction": func(_ *session, m *Message) { m.Direction = string(sms.Outbound) },
}

func (s *session) adopt(records ...connectors.Record) []connectors.Outcome {
	s.Helper()
	return s.outcomes(len(records), s.connector.(connectors.Adopter).AdoptMessages(s.ctx, records))
}

// foreign answers how another integration tells of a text.
func (s *session) foreign(r connectors.Record) Message {
	m := r.Message
	return Message{Contact: r.Contact.ID, Direction: string(m.Direction), Body: s.h.stored(m.Body), At: m.At}
}

func (s *session) addForeign(m Message) connectors.Ref {
	s.Helper()
	adder, ok := s.store.(messageAdder)
	require.True(s, ok, "a connector that adopts needs a fake with AddMessage: see fakes.MessageAdder")
	return adder.AddMessage(m)
}

// adopted adopts records that must be there, and remembers where.
func (s *session) adopted(records ...connectors.Record) []connectors.Record {
	s.Helper()
	for i, o := range s.adopt(records...) {
		require.Equal(s, connectors.Written, o.State, "adopt %s: %v", records[i].Key, o.Err)
		require.False(s, o.Ref.Zero(), "adopt %s: Ref is missing", records[i].Key)
		records[i].Known = o.Ref
	}
	return records
}

func adoptTakesOver(b *bench) {
	s := b.open()
	r := record(1, s.contact(1))
	theirs := s.addForeign(s.foreign(r))
	r = s.adopted(r)[0]
	require.Equal(s, theirs.ID, r.Known.ID)
	require.Equal(s, theirs.ID, s.once(r).ID)
	// From now on it is ours.
	s.repeat(r)
	require.Len(s, s.store.Messages(), 1, "a put after the adoption adds nothing")
	if able(s, s.h).Status {
		r.Known = connectors.Ref{}
		s.fine(s.status(change(r, sms.StatusDelivered)))
		require.Equal(s, string(sms.StatusDelivered), s.once(r).Status)
	}
}

func adoptAgain(b *bench) {
	s := b.open()
	r := record(1, s.contact(1))
	s.addForeign(s.foreign(r))
	r = s.adopted(r)[0]
	o := s.adopt(r)[0]
	require.Equal(s, connectors.Existed, o.State, "%v", o.Err)
	require.True(s, o.Ref.Zero() || o.Ref.Same(r.Known), "the second adoption names another record")
	require.Len(s, s.store.Messages(), 1)
}

func adoptKeyed(b *bench) {
	s := b.open()
	ours := s.written(record(1, s.contact(1)))[0]
	twin := ours
	twin.Key, twin.Message.ID, twin.Known = "main/msg_2", "msg_2", connectors.Ref{}
	s.none(s.adopt(twin)[0])
	s.once(ours)
	require.Empty(s, s.stored(twin.Key))
}

// none requires that nothing was there to be adopted.
func (s *session) none(o connectors.Outcome) {
	s.Helper()
	require.Equal(s, connectors.NotApplicable, o.State, "there is none to adopt: %v", o.Err)
}

func adoptStranger(b *bench, change func(*session, *Message)) {
	s := b.open()
	r := record(1, s.contact(1))
	m := s.foreign(r)
	change(s, &m)
	s.addForeign(m)
	s.none(s.adopt(r)[0])
	require.Empty(s, s.stored(r.Key))
	require.Len(s, s.store.Messages(), 1, "an adoption creates nothing")
}

func adoptAway(b *bench, away time.Duration) {
	s := b.open()
	r := record(1, s.contact(1))
	m := s.foreign(r)
	m.At = m.At.Add(away)
	s.addForeign(m)
	s.adopted(r)
	s.once(r)
}

// twins are two texts with the same words to the same contact, 10 s apart.
func (s *session) twins() []connectors.Record {
	first := record(1, s.contact(1))
	second := first
	second.Key, second.Message.ID, second.Message.At = "main/msg_2", "msg_2", first.Message.At.Add(10*time.Second)
	return []connectors.Record{first, second}
}

// adoptTogether adopts in one batch where batches are taken.
func (s *session) adoptTogether(records []connectors.Record) []connectors.Outcome {
	s.Helper()
	var out []connectors.Outcome
	for len(records) > 0 {
		n := min(s.h.batchSize(), len(records))
		out = append(out, s.adopt(records[:n]...)...)
		records = records[n:]
	}
	return out
}

func adoptOneForTwo(b *bench) {
	s := b.open()
	records := s.twins()
	s.addForeign(s.foreign(records[0]))
	taken := map[connectors.State]int{}
	for _, o := range s.adoptTogether(records) {
		taken[o.State]++
	}
	require.Equal(s, map[connectors.State]int{connectors.Written: 1, connectors.NotApplicable: 1}, taken, "two texts cannot be one record")
	require.Len(s, append(s.stored(records[0].Key), s.stored(records[1].Key)...), 1)
}

func adoptTwoForTwo(b *bench) {
	s := b.open()
	records := s.twins()
	for _, r := range records {
		s.addForeign(s.foreign(r))
	}
	s.fine(s.adoptTogether(records))
	for _, r := range records {
		s.once(r)
	}
	require.Len(s, s.store.Messages(), 2)
}

func adoptSome(b *bench) {
	s := b.open()
	there, absent := record(1, s.contact(1)), record(2, s.contact(2))
	s.addForeign(s.foreign(there))
	out := s.adoptTogether([]connectors.Record{absent, there})
	s.none(out[0])
	require.Equal(s, connectors.Written, out[1].State, "%v", out[1].Err)
	s.once(there)
	require.Len(s, s.store.Messages(), 1)
}

func prepareAdopt(s *session) call {
	records := s.records(s.h.batchSize())
	for _, r := range records {
		s.addForeign(s.foreign(r))
	}
	done := func(i int) bool { return len(s.stored(records[i].Key)) > 0 }
	run := func() []connectors.Outcome { return s.adopt(records...) }
	return call{run: run, done: done, settle: func(out []connectors.Outcome) {
		s.fine(run())
		for _, r := range records {
			s.once(r)
		}
		require.Len(s, s.store.Messages(), len(out), "texts in the CRM")
	}}
}
