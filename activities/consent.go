package activities

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// ConsentSignal brings a change of consent, and who shall know of it.
type ConsentSignal struct {
	Key        string      `json:"key"` // of the event
	Consent    sms.Consent `json:"consent"`
	Connectors []string    `json:"connectors"`
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
}

// ConsentResult is how many contacts carry the consent now.
type ConsentResult struct {
	State    connectors.State `json:"state"`
	Contacts int              `json:"contacts"`
	// Settle is how long a write of an earlier attempt may still land.
	Settle time.Duration `json:"settle"`
}

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
	refs, err := at.carriers(ctx, in)
	if err != nil {
		return ConsentResult{}, err
	}
	result.State = connectors.Written
	result.Contacts, err = at.setConsent(ctx, in.Consent, refs)
	return result, err
}

// carriers are all contacts with the number: those that the search finds, and
// those too new for it.
func (at *attempt) carriers(ctx context.Context, in ConsentInput) ([]connectors.Ref, error) {
	refs := map[connectors.Ref]bool{}
	order := []connectors.Ref{}
	add := func(r connectors.Ref) {
		same := connectors.Ref{Type: r.Type, ID: r.ID}
		if !r.Zero() && !refs[same] {
			refs[same] = true
			order = append(order, r)
		}
	}
	for _, r := range in.Known {
		add(r)
	}
	match, _, err := at.recall(ctx, in.Consent.Phone)
	if err != nil {
		return nil, err
	}
	add(match.Contact)
	if !at.caps.Find {
		return order, nil
	}
	found, err := at.find(ctx, in.Consent.Phone)
	for _, c := range found {
		add(c.Ref)
	}
	return order, err
}

// setConsent writes to all contacts at once. One that is gone meanwhile carries
// nothing; any other failure fails the attempt, and the whole is repeated.
func (at *attempt) setConsent(ctx context.Context, consent sms.Consent, refs []connectors.Ref) (int, error) {
	changes := make([]connectors.ConsentChange, len(refs))
	for i, ref := range refs {
		changes[i] = connectors.ConsentChange{Contact: ref, Consent: consent}
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
		at.log.Info("consent set", "opted_out", consent.OptedOut, "contacts", written)
	}
	return written, failed
}
