package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// SyncConsentInput starts SyncConsent.
type SyncConsentInput struct {
	Account string        `json:"account"`
	Plain   bool          `json:"plain,omitempty"` // as in SyncInput
	State   *ConsentState `json:"state,omitempty"` // carried over by continue-as-new
}

// ConsentState is what SyncConsent knows.
type ConsentState struct {
	Consent    sms.Consent                 `json:"consent"`
	Connectors []string                    `json:"connectors"`
	Known      map[string][]connectors.Ref `json:"known,omitempty"`
}

const (
	// optInKept is how long an opt-in is remembered, against an older opt-out
	// that comes late. An opt-out is kept for good.
	optInKept = 30 * 24 * time.Hour
	// maxKnown bounds the contacts remembered beside what a search finds.
	maxKnown = 50
)

// consent is a running SyncConsent.
type consent struct {
	in       SyncConsentInput
	state    ConsentState
	yard     yard
	lanes    []*consentLane
	changes  workflow.ReceiveChannel
	contacts workflow.ReceiveChannel
}

// consentLane brings the latest state to one connector.
type consentLane struct {
	*lot
	wanted, applied int  // versions
	unsettled       bool // an earlier write may yet land
	ended, result   string
}

// SyncConsent is the only writer of a number's consent: it brings the latest
// state to every connector of the account, and again to a contact that appears
// later. A newer state takes the place of one whose write is still being
// retried, and is written once more when the older can no longer land.
func SyncConsent(ctx workflow.Context, in SyncConsentInput) error {
	c := &consent{
		in:       in,
		changes:  workflow.GetSignalChannel(ctx, activities.SignalConsent),
		contacts: workflow.GetSignalChannel(ctx, activities.SignalContact),
	}
	c.yard.changed = c.publish
	if err := c.yard.accept(ctx, UpdateRetry, UpdateSkip); err != nil {
		return err
	}
	c.restore(ctx)
	for {
		c.takeSignals(ctx)
		if c.idle() && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.State = &c.state
			return workflow.NewContinueAsNewError(ctx, SyncConsent, in)
		}
		if done, err := c.wait(ctx); done || err != nil {
			return err
		}
	}
}

func (c *consent) restore(ctx workflow.Context) {
	if c.in.State != nil {
		c.state = *c.in.State
	}
	if c.state.Known == nil {
		c.state.Known = map[string][]connectors.Ref{}
	}
	for _, name := range c.state.Connectors {
		c.open(ctx, name)
	}
}

func (c *consent) open(ctx workflow.Context, name string) *consentLane {
	l := &consentLane{lot: c.yard.add(name)}
	c.lanes = append(c.lanes, l)
	workflow.Go(ctx, func(ctx workflow.Context) { c.drive(ctx, l) })
	return l
}

func (c *consent) lane(name string) *consentLane {
	i := slices.IndexFunc(c.lanes, func(l *consentLane) bool { return l.name == name })
	if i < 0 {
		return nil
	}
	return c.lanes[i]
}

func (c *consent) takeSignals(ctx workflow.Context) {
	var change activities.ConsentSignal
	for c.changes.ReceiveAsync(&change) {
		c.change(ctx, change)
		change = activities.ConsentSignal{}
	}
	var appeared activities.Appeared
	for c.contacts.ReceiveAsync(&appeared) {
		c.appear(appeared)
		appeared = activities.Appeared{}
	}
}

func (c *consent) change(ctx workflow.Context, change activities.ConsentSignal) {
	newer := c.state.Consent.At.IsZero() || change.Consent.Supersedes(c.state.Consent)
	if newer {
		c.state.Consent = change.Consent
	}
	for _, name := range change.Connectors {
		l := c.lane(name)
		if l == nil {
			c.state.Connectors = append(c.state.Connectors, name)
			l = c.open(ctx, name)
			l.wanted++
		} else if newer {
			l.wanted++
		}
	}
	c.publish(ctx)
}

// appear applies the consent to a contact that was found or created later.
func (c *consent) appear(appeared activities.Appeared) {
	l := c.lane(appeared.Connector)
	known := c.state.Known[appeared.Connector]
	if l == nil || slices.ContainsFunc(known, appeared.Contact.Same) {
		return
	}
	known = append(known, appeared.Contact)
	c.state.Known[appeared.Connector] = known[max(0, len(known)-maxKnown):]
	l.wanted++
}

func (c *consent) idle() bool {
	for _, l := range c.lanes {
		if l.applied < l.wanted || l.unsettled {
			return false
		}
	}
	return true
}

// wait answers true once an opt-in has been quiet for long enough.
func (c *consent) wait(ctx workflow.Context) (done bool, err error) {
	wasIdle := c.idle()
	something := func() bool { return c.changes.Len() > 0 || c.contacts.Len() > 0 || c.idle() != wasIdle }
	if c.state.Consent.OptedOut || !wasIdle {
		return false, workflow.Await(ctx, something)
	}
	ok, err := workflow.AwaitWithTimeout(ctx, optInKept, something)
	return !ok, err
}

// drive applies what is wanted to one connector, for as long as the workflow
// runs.
func (c *consent) drive(ctx workflow.Context, l *consentLane) {
	for {
		if workflow.Await(ctx, func() bool { return l.applied < l.wanted }) != nil {
			return
		}
		version := l.wanted
		result, superseded, err := c.apply(ctx, l)
		switch {
		case ctx.Err() != nil:
			return
		case superseded:
			l.unsettled = true
			continue
		case err != nil:
			c.parked(ctx, l, version, err)
			continue
		}
		l.applied, l.ended = version, string(result.State)
		l.result = fmt.Sprintf("%s (%d contacts)", result.State, result.Contacts)
		c.settle(ctx, l, result.Settle)
		c.publish(ctx)
	}
}

// apply writes the state, and gives up on it as soon as there is a newer one.
func (c *consent) apply(ctx workflow.Context, l *consentLane) (result activities.ConsentResult, superseded bool, err error) {
	var a *activities.Activities
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	now := c.state.Consent
	in := activities.ConsentInput{Connector: l.name, Account: c.in.Account, Consent: now, Known: c.state.Known[l.name]}
	queue := activities.ConsentQueue(deployment(ctx), l.name)
	written := workflow.ExecuteActivity(atConnector(ctx, queue, word(now)+" → "+l.name), a.SetConsent, in)
	changed := func() bool { return c.state.Consent.OptedOut != now.OptedOut }
	if err := workflow.Await(ctx, func() bool { return written.IsReady() || changed() }); err != nil {
		return result, false, err
	}
	if !written.IsReady() {
		return result, true, nil
	}
	err = written.Get(ctx, &result)
	return result, false, err
}

func (c *consent) parked(ctx workflow.Context, l *consentLane, version int, err error) {
	moot := func() bool { return l.wanted != version }
	repair := c.yard.park(ctx, l.lot, refusalOf(err), moot)
	if repair != nil && repair.verb == UpdateSkip {
		l.applied, l.ended, l.unsettled = version, string(StateSkipped), false
		l.result = l.ended
		c.publish(ctx)
	}
}

// settle writes once more, after an older write that was given up can no longer
// land. A newer state need not wait for that.
func (c *consent) settle(ctx workflow.Context, l *consentLane, after time.Duration) {
	if !l.unsettled {
		return
	}
	wanted := l.wanted
	overtaken, err := workflow.AwaitWithTimeout(ctx, after, func() bool { return l.wanted != wanted })
	if err != nil || overtaken {
		return
	}
	l.unsettled = false
	l.wanted++
}

func (c *consent) publish(ctx workflow.Context) {
	state := StateOptedIn
	switch {
	case len(c.yard.parked()) > 0:
		state = StateParked
	case !c.idle():
		state = StateSyncing
	case c.state.Consent.OptedOut:
		state = StateOptedOut
	}
	lines := []string{"**" + word(c.state.Consent) + "** as of " + c.state.Consent.At.Format(time.RFC3339)}
	for _, l := range c.lanes {
		lines = append(lines, "- "+l.name+": "+l.result)
	}
	workflow.SetCurrentDetails(ctx, c.yard.details(strings.Join(lines, "\n\n")))
	show(ctx, c.in.Plain, state, c.yard.values(c.ended))
}

// ended answers how the consent was last applied to a connector that needs
// nothing now.
func (c *consent) ended(of *lot) (state, record string) {
	l := c.lane(of.name)
	if l.applied < l.wanted || l.unsettled {
		return "", ""
	}
	return l.ended, ""
}

func word(c sms.Consent) string {
	if c.OptedOut {
		return "opted out"
	}
	return "opted in"
}
