package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
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
	// Revision is what this run may do that older ones did not, as in SyncInput.
	// Whoever starts one gives [ConsentRevision].
	Revision int `json:"revision,omitempty"`
}

// The revisions of SyncConsent. They are recorded in histories: append-only.
const (
	// revisionReadBack reads back what was written.
	revisionReadBack = 1
	// revisionConsentNow tries what a webhook brought at once.
	revisionConsentNow = 2
	// ConsentRevision is the present one.
	ConsentRevision = revisionConsentNow
)

const (
	// optInKept is how long an opt-in is remembered, against an older opt-out
	// that comes late. An opt-out is kept for good.
	optInKept = 30 * 24 * time.Hour
	// maxKnown bounds the contacts remembered beside what a search finds.
	maxKnown = 50
	// maxReadBacks is how often a CRM may turn out not to have kept a consent
	// before that is parked.
	maxReadBacks = 3
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
	wanted, applied int       // versions
	tried           int       // the version that was tried at once
	unsettled       bool      // an earlier write may yet land
	received        time.Time // of the webhook that is to be applied
	readBacks       int       // since the consent last changed
	readBack        bool      // only what the CRM did not keep is to be written
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
			in.State, in.Revision = &c.state, ConsentRevision
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
	changed := c.state.take(change, workflow.Now(ctx))
	for _, name := range change.Connectors {
		l := c.lane(name)
		isNew := l == nil
		if isNew {
			c.state.Connectors = append(c.state.Connectors, name)
			l = c.open(ctx, name)
		}
		if isNew || changed {
			l.want(change.Received)
		}
	}
	c.publish(ctx)
}

// want has the consent applied anew. Received is when a webhook brought it, zero
// for none.
func (l *consentLane) want(received time.Time) {
	l.wanted++
	l.received, l.readBack, l.readBacks = received, false, 0
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
	l.want(time.Time{})
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
	if c.state.current().OptedOut || !wasIdle {
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
		l.end(version, result)
		c.settle(ctx, l, result.Settle)
		c.publish(ctx)
		c.awaitReadBack(ctx, l, result)
	}
}

// end keeps how the consent was applied.
func (l *consentLane) end(version int, result activities.ConsentResult) {
	l.applied, l.ended = version, string(result.State)
	if !l.readBack {
		l.result = fmt.Sprintf("%s (%d contacts)", result.State, result.Contacts)
	}
	l.received = time.Time{}
}

// apply writes the state, and gives up on it as soon as there is a newer one. What
// a webhook brought is tried at once and within this task, where that is likely to
// work, and else by the connector's queue.
func (c *consent) apply(ctx workflow.Context, l *consentLane) (result activities.ConsentResult, superseded bool, err error) {
	var a *activities.Activities
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	now := c.state.current()
	in := activities.ConsentInput{
		Connector: l.name, Account: c.in.Account, Consent: now, Known: c.state.Known[l.name],
		Received: l.received, ReadBack: l.readBack,
	}
	summary := word(now) + " → " + l.name
	if c.in.Revision >= revisionConsentNow && !l.received.IsZero() && l.tried < l.wanted {
		l.tried = l.wanted
		tried := workflow.ExecuteLocalActivity(atOnce(ctx, summary), a.SetConsentNow, in)
		result, superseded, err = c.unlessChanged(ctx, tried, now)
		if superseded || err == nil && result.State != "" || ctx.Err() != nil {
			return result, superseded, err
		}
		l.unsettled = l.unsettled || result.Unsure || err != nil
	}
	queue := activities.ConsentQueue(deployment(ctx), l.name)
	return c.unlessChanged(ctx, workflow.ExecuteActivity(atConnector(ctx, queue, summary), a.SetConsent, in), now)
}

// unlessChanged waits for a write, and no longer than there is nothing newer.
func (c *consent) unlessChanged(ctx workflow.Context, written workflow.Future, now sms.Consent) (result activities.ConsentResult, superseded bool, err error) {
	changed := func() bool { return c.state.current().OptedOut != now.OptedOut }
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

// awaitReadBack has the CRM asked, once its search must see what was written,
// whether it has kept that. What it did not keep was written again, which is read
// back in turn; after three times a person has to look.
func (c *consent) awaitReadBack(ctx workflow.Context, l *consentLane, result activities.ConsentResult) {
	kept := l.readBack && result.Contacts == 0
	if c.in.Revision < revisionReadBack || result.ReadBackAfter == 0 || kept || l.wanted != l.applied {
		return
	}
	if l.readBacks == maxReadBacks {
		c.parked(ctx, l, l.wanted, temporal.NewApplicationError("the CRM does not keep the consent that is written: something else there resets it", string(connectors.Conflict)))
		if l.wanted == l.applied && l.ended != string(StateSkipped) {
			l.want(time.Time{})
		}
		return
	}
	overtaken, err := workflow.AwaitWithTimeout(ctx, result.ReadBackAfter, func() bool { return l.wanted != l.applied })
	if err != nil || overtaken {
		return
	}
	l.wanted++
	l.readBack = true
	l.readBacks++
}

func (c *consent) publish(ctx workflow.Context) {
	state := StateOptedIn
	switch {
	case len(c.yard.parked()) > 0:
		state = StateParked
	case !c.idle():
		state = StateSyncing
	case c.state.current().OptedOut:
		state = StateOptedOut
	}
	now := c.state.current()
	lines := []string{"**" + word(now) + "** as of " + now.At.Format(time.RFC3339)}
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
