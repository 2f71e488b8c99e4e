package activities

import (
	"context"
	"time"

	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// Standing is how a number stands here.
type Standing string

// The standings of a number.
const (
	OptedOut    Standing = "opted_out"
	NotOptedOut Standing = "not_opted_out" // opted in, or never heard of
	Unsettled   Standing = "unsettled"     // being brought to the connectors, or parked
)

// ListedInput asks for a page of an account's do-not-message list.
type ListedInput struct {
	Account string     `json:"account"`
	From    api.Cursor `json:"from,omitempty"`
}

// Listed is how the numbers on JustCall's do-not-message list stood here.
type Listed struct {
	Known int        `json:"known"` // opted out here, too
	Added int        `json:"added"` // not opted out here: their workflows were told
	Next  api.Cursor `json:"next,omitempty"`
}

// listGrace is how much newer than the list an opt-in may be and still win: for
// the time that JustCall may take to strike a number off, and for clocks that
// differ.
const listGrace = 5 * time.Minute

// CompareListed tells the workflows of the numbers on one page of JustCall's
// do-not-message list that they stand there. Repeating it changes nothing. It
// costs one request of JustCall's API, and a look at Temporal for each number.
func (a *Activities) CompareListed(ctx context.Context, in ListedInput) (Listed, error) {
	justcall := a.JustCall[in.Account]
	if justcall == nil {
		return Listed{}, park(string(connectors.Unsupported), "justcall."+in.Account+".api is not configured")
	}
	defer beat(ctx)()
	asOf := time.Now().UTC().Add(-listGrace)
	phones, next, err := justcall.Suppressed(ctx, in.From)
	if err != nil {
		return Listed{}, failure(connectors.AsError("list suppressed numbers", err))
	}
	page := Listed{Next: next}
	for _, phone := range phones {
		standing, err := a.Door.Suppress(ctx, in.Account, sms.Consent{Phone: phone, OptedOut: true, At: asOf})
		if err != nil {
			return Listed{}, err
		}
		if standing == NotOptedOut {
			page.Added++
		} else {
			page.Known++
		}
	}
	return page, nil
}

// CountOptedOut answers how many numbers of the account are opted out here.
func (a *Activities) CountOptedOut(ctx context.Context, account string) (int, error) {
	return a.Door.OptedOut(ctx, account)
}

// ReportListed says what a whole comparison came to.
func (a *Activities) ReportListed(_ context.Context, r ConsentReport) error {
	if r.Added > 0 {
		a.Log.Warn("numbers on JustCall's do-not-message list were not opted out here, and are now: was the webhook paused, or is an event not ticked?",
			"account", r.Account, "added", r.Added)
	}
	if a.Metrics != nil {
		a.Metrics.Listed(r)
	}
	return nil
}

// ConsentReport is what a comparison with JustCall's do-not-message list came to.
type ConsentReport struct {
	Account string `json:"account"`
	// Known are the numbers on the list that were opted out here, Added those
	// that were not.
	Known int `json:"known"`
	Added int `json:"added"`
	// Lifted are those that are opted out here and not on the list. They stay so:
	// only an opt-in lifts an opt-out.
	Lifted int `json:"lifted"`
}
