package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
)

const (
	// stickyFor is how long a choice among several contacts is remembered after
	// it was last asked for.
	stickyFor = 90 * 24 * time.Hour
	// lagMargin is added to the vendor's delays.
	lagMargin = time.Minute
)

// contact is a running EnsureContact.
type contact struct {
	in      activities.ContactInput
	memory  *activities.Match
	linked  bool
	keep    time.Duration // how long the memory is kept after the last answer
	asks    workflow.ReceiveChannel
	links   workflow.ReceiveChannel
	settled time.Duration // Settle + SearchLag of the connector
	unsent  int           // answers on their way
}

// EnsureContact decides which contact a number belongs to at one connector, and
// is the only one that creates it. Whoever asks while it runs gets the same
// answer, on any process, with or without Redis. It stays open until a search
// is sure to see what it created; a choice among several contacts is remembered
// for 90 days, and a person's link for good.
func EnsureContact(ctx workflow.Context, in activities.ContactInput) error {
	c := &contact{
		in: in, memory: in.Memory, linked: in.Linked, keep: stickyFor,
		asks:  workflow.GetSignalChannel(ctx, activities.SignalAsk),
		links: workflow.GetSignalChannel(ctx, activities.SignalLink),
	}
	if c.memory != nil {
		c.publish(ctx)
	}
	for {
		c.takeLinks(ctx)
		var ask activities.Ask
		switch {
		case c.asks.ReceiveAsync(&ask):
			c.reply(ctx, ask)
		case c.full(ctx):
			in.Memory, in.Linked = c.memory, c.linked
			return workflow.NewContinueAsNewError(ctx, EnsureContact, in)
		default:
			if more, err := c.wait(ctx); err != nil || !more {
				return err
			}
		}
	}
}

// wait answers false once the memory has served its time.
func (c *contact) wait(ctx workflow.Context) (bool, error) {
	asked := func() bool { return c.asks.Len() > 0 || c.links.Len() > 0 }
	something := func() bool { return asked() || c.full(ctx) }
	if c.linked {
		return true, workflow.Await(ctx, something)
	}
	if c.memory == nil {
		err := workflow.Await(ctx, func() bool { return asked() || c.unsent == 0 })
		return asked(), err
	}
	return workflow.AwaitWithTimeout(ctx, c.keep, something)
}

// full: the history has become long, and nothing is on its way.
func (c *contact) full(ctx workflow.Context) bool {
	return c.unsent == 0 && workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

func (c *contact) takeLinks(ctx workflow.Context) {
	var match activities.Match
	for c.links.ReceiveAsync(&match) {
		c.linked = true
		c.remember(ctx, &match)
	}
}

// reply answers one ask, and does not wait until the answer has arrived: many
// texts of one number may ask at once. Somebody who no longer waits needs no
// answer.
func (c *contact) reply(ctx workflow.Context, ask activities.Ask) {
	answer := activities.Answer{Connector: ask.Connector}
	match, err := c.decide(ctx, ask)
	if err != nil {
		refusal := refusalOf(err)
		answer.Refused = &refusal
	} else {
		answer.Match = match
	}
	sent := workflow.SignalExternalWorkflow(ctx, ask.Workflow, "", activities.SignalAnswer, answer)
	c.unsent++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { c.unsent-- }()
		if err := sent.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Info("nobody waits for the contact any more", "event", ask.Workflow)
		}
	})
}

func (c *contact) decide(ctx workflow.Context, ask activities.Ask) (activities.Match, error) {
	if c.memory != nil && !c.memory.Contact.Same(ask.Gone) {
		return *c.memory, nil
	}
	c.linked = false
	c.remember(ctx, nil)
	match, err := c.find(ctx, ask)
	switch {
	case err != nil:
		return match, err
	case !match.Contact.Zero():
		c.keep = stickyFor
	case ask.Create:
		if match, err = c.create(ctx, ask); err != nil {
			return match, err
		}
		c.keep = 2*c.settled + lagMargin
	default:
		match.How = "unlinked: no contact has this number"
		return match, nil
	}
	c.remember(ctx, &match)
	return match, nil
}

func (c *contact) find(ctx workflow.Context, ask activities.Ask) (activities.Match, error) {
	var a *activities.Activities
	var found activities.Found
	in := activities.FindInput{Connector: ask.Connector, Phone: ask.Phone, Gone: ask.Gone, Create: ask.Create}
	err := workflow.ExecuteActivity(forText(atConnector(ctx, c.queue(ctx), "find the contact")), a.FindContact, in).Get(ctx, &found)
	c.settled = found.Settle + found.SearchLag
	return found.Match, err
}

// create creates the contact, and after each failure searches before it tries
// again; after one that may have succeeded, only once a search would see it.
func (c *contact) create(ctx workflow.Context, ask activities.Ask) (activities.Match, error) {
	var a *activities.Activities
	for pause := retries.InitialInterval; ; pause = min(2*pause, retries.MaximumInterval) {
		var created activities.Created
		err := workflow.ExecuteActivity(forText(once(ctx, c.queue(ctx), "create the contact")), a.CreateContact, ask).Get(ctx, &created)
		if err == nil {
			return created.Match, nil
		}
		ambiguous, after := verdict(err)
		if connectors.Kind(refusalOf(err).Kind).Permanent() {
			return activities.Match{}, err
		}
		pause := max(pause, after)
		if ambiguous {
			pause = max(pause, c.settled)
		}
		if err := workflow.Sleep(ctx, pause); err != nil {
			return activities.Match{}, err
		}
		if match, err := c.find(ctx, ask); err != nil || !match.Contact.Zero() {
			return match, err
		}
	}
}

// verdict reads from a failure whether the write may have happened, and how
// long the CRM asks to wait. An attempt that just ended may have written.
func verdict(err error) (ambiguous bool, retryAfter time.Duration) {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return true, 0
	}
	var detail activities.FailureDetail
	if app.HasDetails() && app.Details(&detail) == nil {
		return detail.Ambiguous, detail.RetryAfter
	}
	return app.Type() != activities.GivenBack, 0
}

func (c *contact) queue(ctx workflow.Context) string {
	return activities.ConnectorQueue(deployment(ctx), c.in.Connector)
}

func (c *contact) remember(ctx workflow.Context, match *activities.Match) {
	if match == nil && c.memory == nil {
		return
	}
	c.memory = match
	c.publish(ctx)
}

// publish keeps the memory where activities read it: in the memo.
func (c *contact) publish(ctx workflow.Context) {
	memo := activities.Match{}
	if c.memory != nil {
		memo = *c.memory
	}
	if err := workflow.UpsertMemo(ctx, map[string]any{activities.MemoMatch: memo}); err != nil {
		workflow.GetLogger(ctx).Error("memo not set", "error", err)
	}
	workflow.SetCurrentDetails(ctx, "contact "+memo.Contact.ID+": "+memo.How)
}
