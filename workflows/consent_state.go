package workflows

import (
	"slices"
	"time"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// ConsentState is what SyncConsent knows.
type ConsentState struct {
	// Consent is what was said to the account as a whole.
	Consent    sms.Consent                 `json:"consent"`
	Connectors []string                    `json:"connectors"`
	Known      map[string][]connectors.Ref `json:"known,omitempty"`
	// Lines is what was said to single lines of the company.
	Lines []LineConsent `json:"lines,omitempty"`
	// Listed: Consent is an opt-out of which only JustCall's list told.
	Listed bool `json:"listed,omitempty"`
	// OptedIn is when the workflow was told of the last opt-in that counted.
	OptedIn time.Time `json:"opted_in,omitzero"`
}

// LineConsent is what was said to a line, which is named by its hash.
type LineConsent struct {
	Line    string      `json:"line"`
	Consent sms.Consent `json:"consent"`
}

// maxLines bounds the lines that are kept apart for a number. An opt-out at a
// further one counts for the account.
const maxLines = 500

// current is what every connector has to be brought to: opted out for as long as
// the number is so at any line.
func (s *ConsentState) current() sms.Consent {
	now := s.Consent
	for _, line := range s.Lines {
		said := line.Consent
		if said.OptedOut && !now.OptedOut || said.OptedOut == now.OptedOut && said.At.After(now.At) {
			now = said
		}
	}
	return now
}

// take keeps what a signal brings, and reports whether that changes what is
// current. Told is when the workflow was told.
func (s *ConsentState) take(change activities.ConsentSignal, told time.Time) (changed bool) {
	before := s.current()
	switch {
	case change.Listed:
		s.list(change.Consent)
	case change.Line == "":
		s.say(change.Consent)
	default:
		s.sayTo(change.Line, change.Consent)
	}
	now := s.current()
	changed = now.OptedOut != before.OptedOut || !now.At.Equal(before.At)
	if changed && !now.OptedOut {
		s.OptedIn = told
	}
	return changed
}

// say keeps what was said to the account, and so to each line.
func (s *ConsentState) say(said sms.Consent) {
	if s.Consent.At.IsZero() || said.Supersedes(s.Consent) {
		s.Consent, s.Listed = said, false
	}
	s.Lines = slices.DeleteFunc(s.Lines, func(was LineConsent) bool { return said.Supersedes(was.Consent) })
}

// sayTo keeps what was said to one line. That lifts an opt-out of the account
// only where nobody but JustCall's list told of it: if it is still on the list,
// the next look at it will tell again.
func (s *ConsentState) sayTo(line string, said sms.Consent) {
	if !said.OptedOut && s.Listed && said.Supersedes(s.Consent) {
		s.Consent, s.Listed = said, false
	}
	i := slices.IndexFunc(s.Lines, func(was LineConsent) bool { return was.Line == line })
	switch {
	case i >= 0 && said.Supersedes(s.Lines[i].Consent):
		s.Lines[i].Consent = said
	case i >= 0:
	case len(s.Lines) < maxLines:
		s.Lines = append(s.Lines, LineConsent{line, said})
	case said.OptedOut:
		s.say(said)
	}
}

// list keeps that the number is on JustCall's do-not-message list. The list says
// that it is so and not since when: it adds nothing to an opt-out, and gives way
// to an opt-in that is newer, or of which the workflow was told later.
func (s *ConsentState) list(listed sms.Consent) {
	now := s.current()
	if now.At.IsZero() || !now.OptedOut && listed.Supersedes(now) && listed.At.After(s.OptedIn) {
		s.Consent, s.Listed = listed, true
	}
}
