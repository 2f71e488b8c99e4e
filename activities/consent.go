package activities

import (
	"context"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// ConsentSignal brings a change of consent, and who shall know of it.
type ConsentSignal struct {
	Key        string      `json:"key"` // of the event
	Consent    sms.Consent `json:"consent"`
	Connectors []string    `json:"connectors"`
	// Line is the hash of the company's line that it was said to, where consent
	// is kept for each; empty: it holds for the account.
	Line string `json:"line,omitempty"`
	// Received is when the webhook came in; zero where none did.
	Received time.Time `json:"received,omitzero"`
	// Listed: the number stands on JustCall's do-not-message list, as of
	// Consent.At. That is no event: what is known already it does not change.
	Listed bool `json:"listed,omitempty"`
}

// Appeared tells that a contact with the number has been found or created.
type Appeared struct {
	Connector string         `json:"connector"`
	Contact   connectors.Ref `json:"contact"`
}

// ConsentInput is a number's consent for one connector.
type ConsentInput struct {
	Connector string      `json:"connector"`
	Account   string      `json:"account"`
	Consent   sms.Consent `json:"consent"`
	// Known are contacts that a search may not see yet.
	Known []connectors.Ref `json:"known,omitempty"`
	// Received is when the webhook came in that brought it, for a metric; zero
	// where none did.
	Received time.Time `json:"received,omitzero"`
	// ReadBack: the consent was written before. Only contacts of which the CRM
	// says otherwise are written.
	ReadBack bool `json:"read_back,omitempty"`
}

// ConsentResult is how many contacts the consent was written on.
type ConsentResult struct {
	State    connectors.State `json:"state"`
	Contacts int              `json:"contacts"`
	// Settle is how long a write of an earlier attempt may still land.
	Settle time.Duration `json:"settle"`
	// ReadBackAfter is when the CRM can be asked whether it has kept it; 0 where
	// it does not say.
	ReadBackAfter time.Duration `json:"read_back_after,omitempty"`
	// Unsure: it has no state, and may have been written, or be written yet.
	Unsure bool `json:"unsure,omitempty"`
}

// readBackGrace is how much longer than its search lags a CRM is given before it
// is asked what it has kept: for what it may do by itself after a write.
const readBackGrace = time.Minute

// SetConsent writes the consent on every contact that carries the number. It
// creates none: without a contact the consent waits for one.
func (a *Activities) SetConsent(ctx context.Context, in ConsentInput) (ConsentResult, error) {
	at, done, err := a.begin(ctx, in.Connector, ConsentID(in.Account, a.Hasher.Phone(in.Consent.Phone)))
	if err != nil {
		return ConsentResult{}, err
	}
	defer done()
	result := ConsentResult{State: connectors.NotApplicable, Settle: at.inst.Definition.Settle + at.inst.Definition.CallTimeout}
	if !at.caps.Consent {
		return result, nil
	}
	refs, tells, err := at.carriers(ctx, in)
	if err != nil {
		return ConsentResult{}, err
	}
	if tells {
		result.ReadBackAfter = at.inst.Definition.SearchLag + readBackGrace
	}
	result.State = connectors.Written
	result.Contacts, err = at.setConsent(ctx, in, refs)
	return result, err
}

// carriers are all contacts with the number: those that the search finds, and
// those too new for it. When it is to be read back they are those of which the
// CRM says otherwise. Tells reports whether it says anything.
func (at *attempt) carriers(ctx context.Context, in ConsentInput) (refs []connectors.Ref, tells bool, err error) {
	add := func(r connectors.Ref) {
		if !r.Zero() && !slices.ContainsFunc(refs, r.Same) {
			refs = append(refs, r)
		}
	}
	if !in.ReadBack {
		for _, r := range in.Known {
			add(r)
		}
		match, _, err := at.recall(ctx, in.Consent.Phone)
		if err != nil {
			return nil, false, err
		}
		add(match.Contact)
	}
	if !at.caps.Find {
		return refs, false, nil
	}
	found, err := at.inst.Lane().FindCarriers(ctx, in.Consent.Phone)
	if err != nil {
		return nil, false, at.failed("find contacts", err)
	}
	for _, c := range found {
		tells = tells || c.OptedOut != nil
		if !in.ReadBack || c.OptedOut != nil && *c.OptedOut != in.Consent.OptedOut {
			add(c.Ref)
		}
	}
	return refs, tells, nil
}

// setConsent writes to all contacts at once. One that is gone meanwhile carries
// nothing; any other failure fails the attempt, and the whole is repeated.
func (at *attempt) setConsent(ctx context.Context, in ConsentInput, refs []connectors.Ref) (int, error) {
	changes := make([]connectors.ConsentChange, len(refs))
	for i, ref := range refs {
		changes[i] = connectors.ConsentChange{Contact: ref, Consent: in.Consent}
	}
	written := 0
	var failed error
	for _, done := range at.inst.Lane().SetConsent(ctx, changes) {
		if done.Err != nil && done.Err.Kind == connectors.NotFound {
			continue
		}
		if err := at.outcome("set consent", done.Outcome, done.Error); err != nil {
			failed = err
			continue
		}
		written++
	}
	if failed == nil {
		at.consented(in, written)
	}
	return written, failed
}

// consented reports what was done, and to metrics how long it took.
func (at *attempt) consented(in ConsentInput, contacts int) {
	switch {
	case !in.ReadBack:
		at.log.Info("consent set", "opted_out", in.Consent.OptedOut, "contacts", contacts)
	case contacts > 0:
		at.log.Warn("the CRM had not kept a consent, which is set again", "opted_out", in.Consent.OptedOut, "contacts", contacts)
	}
	if at.Metrics != nil && !in.Received.IsZero() {
		at.Metrics.Consent(at.inst.Name, in.Consent.OptedOut, time.Since(in.Received))
	}
}
