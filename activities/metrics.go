package activities

import "time"

// Metrics is told of decisions. Its methods are safe for concurrent use and
// return at once.
type Metrics interface {
	// Contact: it was decided which contact a number belongs to at a connector.
	Contact(connector string, d Decision)
	// Consent: a connector was brought to an opt-out or opt-in that a webhook had
	// brought so long before.
	Consent(connector string, optedOut bool, took time.Duration)
	// Listed: who is opted out was compared with JustCall's do-not-message list.
	Listed(r ConsentReport)
	// Reconciled: a run has ended that looked for what is missing of an account's
	// texts. Ids differ: it repaired nothing.
	Reconciled(account string, c Counts, idsDiffer bool)
}

// Decision is how a number's contact was decided: a label of a metric.
type Decision string

// The decisions.
const (
	MatchRemembered Decision = "remembered"  // by an earlier text, or a person's link
	MatchOnly       Decision = "only_match"  // one contact has the number
	MatchFirst      Decision = "first"       // of several
	MatchMostRecent Decision = "most_recent" // of several
	MatchCreated    Decision = "created"
	MatchNone       Decision = "unlinked" // nobody has the number, and nobody shall be created
	MatchParked     Decision = "parked"   // a person has to decide
)

// Decisions answers all of them.
func Decisions() []Decision {
	return []Decision{MatchRemembered, MatchOnly, MatchFirst, MatchMostRecent, MatchCreated, MatchNone, MatchParked}
}

// decided counts a decision. A failure, unless it waits for a person's decision,
// decides nothing.
func (at *attempt) decided(m Match, err error) {
	d := m.by
	switch {
	case undecided(err):
		d = MatchParked
	case err != nil:
		return
	case m.Contact.Zero():
		d = MatchNone
	}
	if at.Metrics != nil {
		at.Metrics.Contact(at.inst.Name, d)
	}
}
