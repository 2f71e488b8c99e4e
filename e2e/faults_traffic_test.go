package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/connectors/connectortest"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

// perNumber is how many events each contact has.
const perNumber = 10

// event is something that happens at JustCall.
type event struct {
	kind sms.Kind
	text justcalltest.Text // what it is about
}

// newTraffic is n events of many conversations: texts in both directions, statuses
// of those that went out, and an opt-out in every other conversation.
func newTraffic(n int) []event {
	// Reconciliation leaves alone what is younger than five minutes.
	at := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second)
	events := make([]event, n)
	for i := range events {
		events[i] = eventOf(i, at)
	}
	return events
}

func eventOf(i int, at time.Time) event {
	e := event{kind: sms.Received, text: justcalltest.Text{Message: sms.Message{
		ID: fmt.Sprintf("msg_%05d", i), Direction: sms.Inbound, Line: justcalltest.Line, At: at,
		Contact: numberOf(i / perNumber), Body: fmt.Sprintf("text number %d", i),
	}}}
	switch {
	case i%perNumber == 5 || i%perNumber == 7:
		e.kind, e.text.Direction = sms.Sent, sms.Outbound
	case i%perNumber == 6 || i%perNumber == 8:
		e = eventOf(i-1, at)
		e.kind = sms.Delivered
	case i%(2*perNumber) == 2*perNumber-1:
		e.kind = sms.OptOut
	}
	return e
}

func numberOf(conversation int) sms.Phone {
	return sms.Phone(fmt.Sprintf("+1512%07d", 5560000+conversation))
}

// addContacts gives both CRMs the contacts of half of the conversations, with an
// opt-out and without; those of the others are created on the way.
func (r *rig) addContacts() {
	for i := range len(r.traffic) / perNumber {
		if i%4 < 2 {
			for _, crm := range []*connectortest.CRM{r.crm, r.search} {
				crm.AddContact(connectortest.Contact{Name: "known before", Phones: []string{string(numberOf(i))}})
			}
		}
	}
}

// happen makes an event happen: JustCall keeps it, and posts it.
func happen(j *justcalltest.Server, e event) {
	switch {
	case e.kind == sms.OptOut:
		j.Consent(e.text.Contact, true, time.Now())
	case e.kind.Status():
		j.Deliver(e.text.ID, sms.StatusDelivered, "")
	default:
		j.Post(e.text)
	}
}

// post has events happen, one every so often, whatever becomes of those before;
// it answers what waits until the last one has.
func (r *rig) post(events []event, every time.Duration) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		due := time.NewTicker(every)
		defer due.Stop()
		for _, e := range events {
			happen(r.justcall, e)
			<-due.C
		}
	}()
	return func() { <-done }
}

// fill has events happen a few at a time, each after the ones before were taken.
func (r *rig) fill(events []event) {
	const few = 8
	for from := 0; from < len(events); from += few {
		for _, e := range events[from:min(from+few, len(events))] {
			happen(r.justcall, e)
		}
		r.justcall.Idle(r.t.Context())
	}
}

// keep has texts and statuses happen that JustCall posts nothing of. An opt-out is
// no text, and is posted as ever.
func (r *rig) keep(events []event) {
	for _, e := range events {
		switch {
		case e.kind == sms.OptOut:
			happen(r.justcall, e)
			continue
		case e.kind.Status():
			e.text.Status = sms.StatusDelivered
		}
		r.justcall.Put(e.text)
		r.kept = append(r.kept, e)
	}
}

// reconcile has the account reconciled now and then, unless that is under way: the
// more texts there are to look at, the more seldom.
func (r *rig) reconcile() {
	if time.Since(r.reconciled) < 2*time.Second+time.Duration(len(r.traffic))*5*time.Millisecond {
		return
	}
	r.reconciled = time.Now()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	schedule := r.client.ScheduleClient().GetHandle(ctx, activities.ReconcileID("crmsync", "main"))
	_ = schedule.Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP})
}

// answered waits until so many webhooks were answered 2xx.
func (r *rig) answered(t *testing.T, n int) {
	t.Helper()
	eventually(t, patience, "webhooks are answered", func() bool { return r.posted().answered >= n })
}

// posted is how JustCall's webhooks fared.
type posted struct {
	answered, again int // events, and posts that were not answered 2xx
	slowest         time.Duration
}

func (r *rig) posted() (p posted) {
	for _, d := range r.justcall.Deliveries() {
		if !d.Answered {
			continue
		}
		p.answered++
		p.again += len(d.Attempts) - 1
		p.slowest = max(p.slowest, d.Attempts[len(d.Attempts)-1].Took)
	}
	return p
}

// view is what a CRM holds.
type view struct {
	status   map[string]string // of each text
	optedOut map[string]bool   // numbers
}

func viewOf(crm *connectortest.CRM) view {
	v := view{map[string]string{}, map[string]bool{}}
	for _, m := range crm.Messages() {
		v.status[m.Key] = m.Status
	}
	for _, c := range crm.Contacts() {
		for _, number := range c.Phones {
			v.optedOut[number] = c.OptedOut
		}
	}
	return v
}

// shows reports whether the event has become what it should.
func (v view) shows(e event) bool {
	if e.kind == sms.OptOut {
		return v.optedOut[string(e.text.Contact)]
	}
	status, there := v.status["main/"+e.text.ID]
	return there && (e.kind != sms.Delivered || status == "delivered")
}
