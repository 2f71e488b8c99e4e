package audit

import (
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// What is said of a text. The words are in JSON: append-only.
const (
	Missing      = "missing"
	Double       = "double"
	WrongContact = "wrong contact"
	Unreadable   = "unreadable" // JustCall's row cannot be decoded
	Unanswered   = "unanswered" // the CRM cannot be asked for it
)

// Report is what an audit found. It holds no number and no text, but for Lost.
type Report struct {
	Account   string    `json:"account"`
	Connector string    `json:"connector"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"`
	// Listed are the texts that the connector should have: all of them are in the
	// CRM, missing, under way, parked, left out, or unanswered.
	Listed int `json:"listed"`
	InCRM  int `json:"in_crm"`
	// Missing texts can be repaired.
	Missing int `json:"missing"`
	// Double texts are in the CRM several times, those on a wrong contact stand
	// with nobody who has their number. Both are in the CRM.
	Double       int `json:"double"`
	WrongContact int `json:"wrong_contact"`
	// UnderWay are being delivered, or so young that the webhook may yet come.
	UnderWay int `json:"under_way"`
	// Parked wait for a person.
	Parked int `json:"parked"`
	// LeftOut are not in the CRM for good: a person skipped them, or it has no
	// place for them.
	LeftOut    int `json:"left_out"`
	Unanswered int `json:"unanswered"`
	// Unreadable rows are not among those listed.
	Unreadable int `json:"unreadable"`
	// Elsewhere are texts that are not for this connector, by the routes and since.
	Elsewhere int `json:"elsewhere"`
	// ContactsUnknown: the CRM does not say on whose timelines texts stand, or who
	// has a number, so that WrongContact means nothing.
	ContactsUnknown bool `json:"contacts_unknown"`
	// Findings are what a person should know of, in the order of the list.
	Findings []Finding `json:"findings"`
	// More: there are more than [MaxFindings].
	More bool `json:"more"`
	// Lost are the missing texts, to be delivered.
	Lost []Lost `json:"-"`

	known int // to the CRM or to Temporal
	told  int // records whose contacts were compared
}

// Finding is one text that is not as it should be.
type Finding struct {
	// Key is the event's, or of what is unreadable the text's.
	Key  string `json:"key"`
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	// Records are those of the text, Contacts on whose timelines they stand.
	Records  []connectors.Ref `json:"records,omitempty"`
	Contacts []connectors.Ref `json:"contacts,omitempty"`
}

// Lost is a missing text, as webhooks tell of it.
type Lost struct {
	Events []sms.Event // the text, then its status
	// Known: Temporal has the event. Else it was never seen, or long ago.
	Known bool
}

// Well reports whether nothing is missing, double, wrong or in doubt.
func (r Report) Well() bool {
	return r.Missing+r.Double+r.WrongContact+r.Unreadable+r.Unanswered == 0
}

// IDsDiffer reports whether JustCall's list seems to call texts by other ids than
// its webhooks do: of at least [MinProof] texts neither the CRM nor Temporal knows
// one. To deliver them would double every text.
func (r Report) IDsDiffer() bool { return r.Listed >= MinProof && r.known == 0 }

func (r *Report) find(f Finding) {
	if len(r.Findings) == MaxFindings {
		r.More = true
		return
	}
	r.Findings = append(r.Findings, f)
}

// lose takes in a text that is missing, unless nobody can tell.
func (r *Report) lose(e *entry, known bool, why string) {
	if e.unanswered != "" {
		r.Unanswered++
		r.find(Finding{Key: e.text().Key(), What: Unanswered, Why: e.unanswered})
		return
	}
	r.Missing++
	r.find(Finding{Key: e.text().Key(), What: Missing, Why: why})
	if len(r.Lost) < MaxFindings {
		r.Lost = append(r.Lost, Lost{Events: e.events, Known: known})
	}
}
