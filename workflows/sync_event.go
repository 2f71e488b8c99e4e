// Package workflows decides what happens to an event, and in which order. Its
// code is pure: no network, no clock but Temporal's, no randomness. Every
// workflow is one file.
//
//   - SyncEvent: one per event; delivers it to its connectors side by side.
//   - SyncConsent: one per number; the only writer of its opt-out or opt-in.
//   - EnsureContact: one per number and connector; the only creator of a contact.
//   - Quarantine: one per body that was authentic and could not be decoded.
//   - Reconcile: one per run of an account's schedule; starts what JustCall lists
//     and no webhook brought.
//   - Backfill: the same for history, when a person asks for it.
package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

// SyncInput starts SyncEvent.
type SyncInput struct {
	Event sms.Event `json:"event"`
	// Targets are the connectors that the text is routed to, decided when the
	// event was accepted. A status follows its text instead, unless a person
	// named the connector (see Resync).
	Targets []string `json:"targets,omitempty"`
	// Text is the workflow of a status's text, where whoever started it knows;
	// then Targets are the status's.
	Text string `json:"text,omitempty"`
	// Live: the event came from a webhook just now.
	Live bool `json:"live,omitempty"`
	// Plain: the server does not know the search attributes.
	Plain bool `json:"plain,omitempty"`
	// Resync: a person has an event that was finished delivered once more. What
	// is remembered of its record does not hold.
	Resync *Repair `json:"resync,omitempty"`
	// Revision is what this run may do that older ones did not: a run keeps the
	// one that it was started with, so that it can be replayed. Whoever starts one
	// gives [Revision].
	Revision int `json:"revision,omitempty"`
}

// The revisions of SyncEvent. They are recorded in histories: append-only.
const (
	// revisionEach shows each delivery that has ended while others still wait.
	revisionEach = 1
	// revisionNow tries to deliver a text in the workflow's own process first.
	revisionNow = 2
	// revisionFetch has JustCall asked for the text of a status that nobody has
	// seen.
	revisionFetch = 3
	// revisionSpare tries to deliver a text of history so, too, where nothing else
	// is under way.
	revisionSpare = 4
	// Revision is the present one.
	Revision = revisionSpare
)

const (
	// answerPatience is how long to wait for a contact before asking again, in
	// case somebody ended the workflow that was asked.
	answerPatience = 30 * time.Minute
	// maxGone bounds how often a contact may turn out to be gone in one attempt.
	maxGone = 3
)

// sync is a running SyncEvent.
type sync struct {
	in         SyncInput
	yard       yard
	deliveries map[string]activities.DeliveryResult
	open       int             // deliveries that have not ended
	queued     map[string]bool // connectors that are left to their queues
	answers    map[string]activities.Answer
	superseded bool
}

// SyncEvent delivers one event to its connectors, side by side. It ends when
// every delivery has: what a CRM refuses for good is parked until a person
// decides.
func SyncEvent(ctx workflow.Context, in SyncInput) (activities.SyncResult, error) {
	s := &sync{in: in, deliveries: map[string]activities.DeliveryResult{}, queued: map[string]bool{}, answers: map[string]activities.Answer{}}
	s.yard.changed = s.publish
	if err := s.yard.accept(ctx, UpdateRetry, UpdateSkip, UpdateLink); err != nil {
		return activities.SyncResult{}, err
	}
	ctx, cancel := workflow.WithCancel(ctx)
	s.listen(ctx, cancel)
	targets, text := in.Targets, in.Text
	if in.Event.Kind.Status() && in.Text == "" {
		went, found := s.awaitText(ctx)
		text = found
		if in.Resync == nil || text == "" {
			targets = went
		}
	}
	pending := workflow.NewWaitGroup(ctx)
	s.open = len(targets)
	for _, connector := range targets {
		l := s.yard.add(connector)
		pending.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer pending.Done()
			s.deliver(ctx, l, text)
			s.open--
			if in.Revision < revisionEach && len(s.yard.parked()) > 0 && ctx.Err() == nil {
				s.publish(ctx) // a person looks at the others
			}
		})
	}
	if in.Revision >= revisionEach {
		s.follow(ctx)
	}
	pending.Wait(ctx)
	return s.finish(ctx)
}

// follow shows what has ended while others still wait, such as for a CRM that is
// down: once for all that end at a time.
func (s *sync) follow(ctx workflow.Context) {
	for s.open > 0 {
		shown := s.open
		if err := workflow.Await(ctx, func() bool { return s.open < shown }); err != nil {
			return // superseded, or cancelled
		}
		if s.open > 0 {
			s.publish(ctx)
		}
	}
}

// listen takes the signals: contacts that were asked for, and a later status
// that overtakes this one.
func (s *sync) listen(ctx workflow.Context, cancel func()) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var answer activities.Answer
			workflow.GetSignalChannel(ctx, activities.SignalAnswer).Receive(ctx, &answer)
			s.answers[answer.Connector] = answer
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		workflow.GetSignalChannel(ctx, activities.SignalSuperseded).Receive(ctx, nil)
		s.superseded = true
		cancel()
	})
}

// deliver tries until the delivery has ended or is given up.
func (s *sync) deliver(ctx workflow.Context, l *lot, text string) {
	fresh := s.in.Live && workflow.GetInfo(ctx).OriginalRunID == workflow.GetInfo(ctx).WorkflowExecution.RunID
	in := activities.DeliverInput{Connector: l.name, Event: s.in.Event, Fresh: fresh, Again: s.in.Resync != nil}
	decided := Repair{}
	if s.in.Resync != nil {
		decided = *s.in.Resync
	}
	for {
		result, err := s.try(ctx, in, text)
		result.Reason, result.By = decided.Reason, decided.By
		if ctx.Err() != nil {
			s.deliveries[l.name] = activities.DeliveryResult{State: activities.Superseded}
			return
		}
		if err == nil {
			s.deliveries[l.name] = result
			return
		}
		repair := s.yard.park(ctx, l, refusalOf(err), nil)
		in.Fresh, in.Match = false, nil
		switch {
		case repair == nil:
			s.deliveries[l.name] = activities.DeliveryResult{State: activities.Superseded}
			return
		case repair.verb == UpdateSkip:
			s.deliveries[l.name] = activities.DeliveryResult{State: StateSkipped, Reason: repair.Reason, By: repair.By}
			return
		case repair.verb == UpdateLink:
			in.Match = Linked(repair.Repair)
		}
		decided = repair.Repair
	}
}

// StateSkipped is the state of a delivery that a person gave up.
const StateSkipped connectors.State = "skipped"

func (s *sync) try(ctx workflow.Context, in activities.DeliverInput, text string) (activities.DeliveryResult, error) {
	var a *activities.Activities
	if s.in.Event.Kind.Status() {
		var out activities.DeliverResult
		status := activities.StatusInput{Connector: in.Connector, Event: in.Event, Text: text}
		err := workflow.ExecuteActivity(s.at(ctx, in.Connector), a.UpdateStatus, status).Get(ctx, &out)
		return resultOf(out), err
	}
	byHand := in.Match
	for gone := 0; gone < maxGone; {
		delete(s.answers, in.Connector)
		out, err := s.send(ctx, in)
		switch {
		case err == nil && !out.Asked && byHand != nil:
			s.link(ctx, in.Connector, *byHand)
			return resultOf(out), nil
		case err != nil || !out.Asked:
			return resultOf(out), err
		case !out.Gone.Zero():
			in.Fresh = false
			gone++
		}
		if byHand != nil && out.Gone.Same(byHand.Contact) {
			break
		}
		if in.Match, err = s.await(ctx, in.Connector, out.Gone); err != nil {
			return activities.DeliveryResult{}, err
		}
	}
	return activities.DeliveryResult{}, temporal.NewApplicationError("the CRM does not have this contact", string(connectors.NotFound))
}

// send delivers a text: at once and within this task, where that is likely to
// work, else by the connector's queue, where it waits for as long as it takes.
func (s *sync) send(ctx workflow.Context, in activities.DeliverInput) (out activities.DeliverResult, err error) {
	var a *activities.Activities
	if s.triesAtOnce() && !s.queued[in.Connector] {
		in.Spare = !s.in.Live
		err = workflow.ExecuteLocalActivity(atOnce(ctx, s.summary(in.Connector)), a.DeliverNow, in).Get(ctx, &out)
		if err == nil && (out.Asked || out.State != "") {
			return out, nil
		}
		s.queued[in.Connector] = true
	}
	err = workflow.ExecuteActivity(s.at(ctx, in.Connector), a.Deliver, in).Get(ctx, &out)
	return out, err
}

func (s *sync) triesAtOnce() bool {
	return s.in.Revision >= revisionSpare || s.in.Revision >= revisionNow && s.in.Live
}

func (s *sync) summary(connector string) string { return string(s.in.Event.Kind) + " → " + connector }

func (s *sync) at(ctx workflow.Context, connector string) workflow.Context {
	queue := activities.ConnectorQueue(deployment(ctx), connector)
	return atConnector(ctx, queue, s.summary(connector))
}

func resultOf(out activities.DeliverResult) activities.DeliveryResult {
	return activities.DeliveryResult{State: out.State, Record: out.Record, Contact: out.Match.Contact, How: out.Match.How}
}

// await waits for the answer of the number's EnsureContact workflow. It answers
// nil where that takes too long: then the delivery asks again.
func (s *sync) await(ctx workflow.Context, connector string, gone connectors.Ref) (*activities.Match, error) {
	fits := func() bool {
		answer, ok := s.answers[connector]
		return ok && (gone.Zero() || !answer.Match.Contact.Same(gone))
	}
	if ok, err := workflow.AwaitWithTimeout(ctx, answerPatience, fits); err != nil || !ok {
		return nil, err
	}
	answer := s.answers[connector]
	if answer.Refused != nil {
		return nil, temporal.NewApplicationError(answer.Refused.Message, answer.Refused.Kind)
	}
	return &answer.Match, nil
}

// Linked is the match that a person decided.
func Linked(r Repair) *activities.Match {
	return &activities.Match{Contact: connectors.Ref{Type: r.ContactType, ID: r.Contact}, How: "linked by a person"}
}

// link remembers a person's decision, once a text has been delivered by it.
func (s *sync) link(ctx workflow.Context, connector string, match activities.Match) {
	var a *activities.Activities
	link := activities.Link{Connector: connector, Phone: s.in.Event.Message.Contact, Match: match}
	if err := workflow.ExecuteActivity(atHome(ctx, "remember the link → "+connector), a.LinkContact, link).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("link not remembered", "connector", connector, "error", err)
	}
}

// publish shows the state on the workflow's page and in the list.
func (s *sync) publish(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, s.yard.details(s.table()))
	state := StateSyncing
	if len(s.yard.parked()) > 0 {
		state = StateParked
	}
	show(ctx, s.in.Plain, state, s.yard.values(s.ended))
}

func (s *sync) finish(ctx workflow.Context) (activities.SyncResult, error) {
	if ctx.Err() != nil && !s.superseded {
		return activities.SyncResult{}, ctx.Err() // an operator cancelled the workflow
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.SetCurrentDetails(ctx, s.table())
	show(ctx, s.in.Plain, StateDone, s.yard.values(s.ended))
	return activities.SyncResult{Deliveries: s.deliveries}, nil
}

func (s *sync) ended(l *lot) (state, record string) {
	d := s.deliveries[l.name]
	return string(d.State), d.Record.ID
}

// table shows the deliveries in order.
func (s *sync) table() string {
	var b strings.Builder
	b.WriteString("| connector | state | contact | record |\n|---|---|---|---|")
	for _, l := range s.yard.sorted() {
		d := s.deliveries[l.name]
		fmt.Fprintf(&b, "\n| %s | %s | %s | %s |", l.name, l.state(string(d.State)), d.How, d.Record.ID)
	}
	return b.String()
}
