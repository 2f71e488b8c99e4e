// Package audit compares what JustCall lists with what a CRM holds: are all texts
// there, once each, on the timeline of a contact with their number?
//
// An [Audit] goes through JustCall's list page by page. It looks each text that is
// routed to the connector up in the CRM, and of those that are not there asks
// Temporal what became of them: what waits, is parked, or was given up by a person
// is told apart, and not called missing. Nothing is changed; what can be put right
// is in the report, for whoever repairs it.
//
// It does not see texts that JustCall does not list, nor statuses. Where a CRM can
// be asked for the texts of a contact only (most of class D), a record that a
// person moved is found by its id, which Temporal knows for the namespace's
// retention; after that it looks like one that was deleted.
package audit

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/internal/messages"
	"crmsync/sms"
)

// The limits of an audit.
const (
	// Young is how long a webhook may take, its retries aside. A text that nobody
	// has seen is not missing before.
	Young = 5 * time.Minute
	// MaxFindings is how many findings a report lists, and how many texts it holds
	// for a repair. The others are counted only.
	MaxFindings = 10_000
	// MinProof is how many listed texts have to be strange to the CRM and to
	// Temporal, all of them, before the ids are in doubt: see [Report.IDsDiffer].
	MinProof = 20
	// lookUps is how many batches the CRM is asked for at the same time.
	lookUps = 4
)

// Texts lists an account's texts; *[api.Client] implements it.
type Texts interface {
	Texts(ctx context.Context, q api.Query, from api.Cursor) (api.Page, error)
}

// Memory is what crmsync knows of texts; *[messages.Messages] implements it.
type Memory interface {
	Fate(ctx context.Context, text sms.Event, connector string) (messages.Fate, error)
	Linked(ctx context.Context, connector string, phone sms.Phone) (connectors.Ref, error)
}

// Audit says what is compared with what. Its fields must all be set, save where
// they say otherwise.
type Audit struct {
	Account, Connector string
	JustCall           Texts
	// Messages looks texts up in the CRM, Contacts its contacts; nil: this CRM
	// cannot be asked who has a number, so that no contact is called wrong.
	Messages connectors.MessageFinder
	Contacts connectors.ContactFinder
	// Definition is the connector's.
	Definition connectors.Definition
	Memory     Memory
	// Routed reports whether a text goes to the connector.
	Routed func(sms.Event) bool
	// Render words a text as it was written, for CRMs that are asked in its words.
	Render func(sms.Event) (subject, body string)
	// Told is called after each page with the texts that were listed so far, and
	// how many there are; 0: JustCall does not say.
	Told func(listed, total int)
	// Now and Patience are for tests; zero: the clock, and the usual pauses.
	Now      func() time.Time
	Patience time.Duration
}

// Run compares the texts that a query asks for. What it found until an error is in
// the report.
func (a *Audit) Run(ctx context.Context, q api.Query) (Report, error) {
	r := &run{
		Audit: a, seen: map[string]bool{}, people: map[sms.Phone][]connectors.Contact{},
		report: Report{Account: a.Account, Connector: a.Connector, Since: q.Since, Until: q.Until, Findings: []Finding{}},
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	for from, more := api.Cursor(""), true; more; {
		page, err := again(ctx, r.Patience, func() (api.Page, error) { return a.JustCall.Texts(ctx, q, from) })
		if err == nil {
			err = r.page(ctx, page.Texts)
		}
		if err != nil {
			return r.report, err
		}
		a.Told(len(r.seen), page.Total)
		more = page.Next != "" && page.Next != from
		from = page.Next
	}
	r.report.ContactsUnknown = a.Contacts == nil || r.report.InCRM > 0 && r.report.told == 0
	return r.report, nil
}

// run is an audit under way.
type run struct {
	*Audit
	report Report
	seen   map[string]bool // by the event's key: rows may come twice
	people map[sms.Phone][]connectors.Contact
}

// entry is a text that is looked up.
type entry struct {
	events []sms.Event // the text, then its status
	found  []connectors.Found
	// unanswered is why the CRM cannot be asked for it.
	unanswered string
}

func (e *entry) text() sms.Event { return e.events[0] }

// page looks a page of the list up, and judges each text.
func (r *run) page(ctx context.Context, texts []api.Text) error {
	entries := r.wanted(texts)
	if err := r.lookUp(ctx, entries); err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.judge(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// wanted leaves the texts that the CRM should have.
func (r *run) wanted(texts []api.Text) []*entry {
	var entries []*entry
	for _, t := range texts {
		if t.Err != nil {
			r.unreadable(t)
			continue
		}
		if len(t.Events) == 0 || r.seen[t.Events[0].Key()] {
			continue
		}
		r.seen[t.Events[0].Key()] = true
		if !r.Routed(t.Events[0]) {
			r.report.Elsewhere++
			continue
		}
		r.report.Listed++
		entries = append(entries, &entry{events: t.Events})
	}
	return entries
}

func (r *run) unreadable(t api.Text) {
	key := r.Account + "/" + t.ID
	if r.seen[key] {
		return
	}
	r.seen[key] = t.ID != ""
	r.report.Unreadable++
	r.report.find(Finding{Key: key, What: Unreadable, Why: "JustCall's row cannot be decoded: " + t.Err.Error()})
}
