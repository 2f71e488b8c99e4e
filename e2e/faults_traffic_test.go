package e2e

import (
	"fmt"
	"time"

	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

// perNumber is how many events each contact has.
const perNumber = 10

// posted is an event that JustCall posts, and what it has to lead to.
type posted struct {
	body   []byte
	kind   sms.Kind
	key    string // of the text that it is about
	number string // of the contact
}

// newTraffic is n events of many conversations: texts in both directions, statuses
// of those that went out, and an opt-out in every other conversation.
func newTraffic(n int) []posted {
	events := make([]posted, n)
	for i := range events {
		events[i] = eventOf(i)
	}
	return events
}

func eventOf(i int) posted {
	number := fmt.Sprintf("+1512%07d", 5560000+i/perNumber)
	id := fmt.Sprintf("msg_%05d", i)
	e := posted{kind: sms.Received, key: "main/" + id, number: number}
	m := inbound(id, number, "text number "+id)
	switch {
	case i%perNumber == 5 || i%perNumber == 7:
		e.kind, m = sms.Sent, outbound(id, number, "text number "+id)
	case i%perNumber == 6 || i%perNumber == 8:
		sent := fmt.Sprintf("msg_%05d", i-1)
		e.kind, e.key, m = sms.Delivered, "main/"+sent, outbound(sent, number, "text number "+sent).as("sms.delivered")
	case i%(2*perNumber) == 2*perNumber-1:
		e.kind, m = sms.OptOut, inbound(id, number, "STOP").as("sms.optout")
	}
	m.at = time.Now()
	e.body = m.json()
	return e
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
func (v view) shows(e posted) bool {
	if e.kind == sms.OptOut {
		return v.optedOut[e.number]
	}
	status, there := v.status[e.key]
	return there && (e.kind != sms.Delivered || status == "delivered")
}
