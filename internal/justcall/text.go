package justcall

import (
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"crmsync/sms"
)

// text is what both dialects come to, with numbers still as written.
type text struct {
	kind        sms.Kind
	id, idField string
	direction   sms.Direction
	// contact and line are named outright by the wire, from and to by direction.
	contact, line, from, to string
	body, medium, reason    string
	media                   []sms.Media
	agent                   sms.Agent
	name, email             string
	at                      time.Time
}

func requireData(top fields) fields {
	if !top.has("data") {
		top.fail("data", CauseMissing)
	}
	return top.object("data")
}

// readParties reads who wrote to whom. The kind decides the direction of a
// text; a status is always that of an outbound one, and consent comes from the
// contact. The field is looked at only so that nonsense does not pass unseen.
func readParties(kind sms.Kind, data fields) text {
	readDirection(data)
	t := text{kind: kind, direction: sms.Inbound}
	if kind == sms.Sent || kind.Status() {
		t.direction = sms.Outbound
	}
	t.contact = data.number("contact_number")
	t.line = data.number("justcall_number")
	t.from = data.number("from")
	t.to = data.number("to")
	return t
}

// readDirection reads Incoming, Outgoing, Inbound and Outbound in any case.
func readDirection(data fields) (d sms.Direction, given bool) {
	switch strings.ToLower(strings.TrimSpace(data.raw("direction"))) {
	case "":
		return "", false
	case "inbound", "incoming":
		return sms.Inbound, true
	case "outbound", "outgoing":
		return sms.Outbound, true
	}
	data.fail("direction", CauseBadDirection)
	return "", false
}

func (t *text) readPeople(data fields) {
	t.name = data.line("contact_name")
	t.email = data.line("contact_email")
	t.agent = sms.Agent{ID: oneLine(data.id("agent_id")), Name: data.line("agent_name"), Email: data.line("agent_email")}
	if t.kind == sms.Failed {
		t.reason = failureReason(data)
	}
}

// failureReason looks where a reason could stand; neither dialect documents
// one, so anything but a word is passed over.
func failureReason(data fields) string {
	quiet := data.fresh()
	for _, name := range []string{"failure_reason", "reason", "error_message", "error", "error_code"} {
		if s := quiet.line(name); s != "" {
			return s
		}
	}
	return ""
}

// earliest and latest bound an instant that can be meant: JustCall is younger,
// and a year of five digits does not marshal.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// instant answers at if it can be meant. Else the time of receipt stands in for
// it where that harms nobody: a status keeps its order by rank, and a late
// opt-out is the safe side. A text would move on the timeline, and an opt-in
// could lift a later STOP: there it is an error.
func (t text) instant(f fields, name string, at time.Time, in Input) time.Time {
	if !at.Before(earliest) && at.Before(latest) {
		return at
	}
	if (t.kind.Status() || t.kind == sms.OptOut) && !in.Received.IsZero() {
		return in.Received.UTC()
	}
	cause := CauseBadTime
	if !f.has(name) {
		cause = CauseMissing
	}
	f.fail(name, cause)
	return time.Time{}
}

// event resolves the parties and the id.
func (t text) event(in Input) (sms.Event, error) {
	contact, line, err := t.parties(in.Region)
	if err != nil {
		return sms.Event{}, err
	}
	e := sms.Event{Account: in.Account, Kind: t.kind, At: t.at, Reason: t.reason, Message: sms.Message{
		ID: t.id, Direction: t.direction, Contact: contact, Line: line, Body: t.body, Media: t.media,
		Agent: t.agent, ContactName: t.name, ContactEmail: t.email, Medium: t.medium, At: t.at,
	}}
	if t.kind.Consent() {
		e.Received = in.Received
	}
	if t.id == "" {
		e.Message.ID = sms.DerivedID(in.Account, t.kind, contact, t.at)
	} else if sms.ValidateID(t.id) != nil || holdsNumber(t.id, contact) || holdsNumber(t.id, line) {
		return sms.Event{}, &Error{Cause: CauseBadID, Field: t.idField}
	}
	if e.Validate() != nil {
		return sms.Event{}, &Error{Cause: CauseInvalid, Field: "event"}
	}
	return e, nil
}

// holdsNumber reports whether an id shows a party's number. Ids stand in
// workflow ids, which must not; and an id made of a number is hardly unique.
func holdsNumber(id string, p sms.Phone) bool {
	return p.E164() && strings.Contains(id, string(p[1:]))
}

// parties tells the contact from the company's line. Where only from and to are
// given, the line that is named outright settles it, and else the direction:
// "direction" has been seen to be missing or wrong, a line never answers itself.
func (t text) parties(region string) (contact, line sms.Phone, err error) {
	line, err = parseNumber(t.line, "data.justcall_number", region)
	if err != nil {
		return "", "", err
	}
	if t.contact != "" {
		contact, err = parseNumber(t.contact, "data.contact_number", region)
		return contact, line, err
	}
	theirs, ours := party{t.from, "data.from"}, party{t.to, "data.to"}
	if t.contactIsTo(line, region) {
		theirs, ours = ours, theirs
	}
	if contact, err = theirs.parse(region); err != nil {
		return "", "", err
	}
	if contact == "" {
		return "", "", &Error{Cause: CauseMissing, Field: theirs.field}
	}
	if line == "" {
		line, err = ours.parse(region)
	}
	return contact, line, err
}

func (t text) contactIsTo(line sms.Phone, region string) bool {
	from, _ := parseNumber(t.from, "", region)
	to, _ := parseNumber(t.to, "", region)
	switch {
	case line == "" || from == to:
	case from == line:
		return true
	case to == line:
		return false
	}
	return t.direction == sms.Outbound
}

type party struct{ raw, field string }

func (p party) parse(region string) (sms.Phone, error) { return parseNumber(p.raw, p.field, region) }

// parseNumber answers "" for an empty number.
func parseNumber(raw, field, region string) (sms.Phone, error) {
	if raw == "" {
		return "", nil
	}
	p, err := sms.ParsePhone(withPlus(raw), region)
	if err != nil {
		return "", &Error{Cause: CauseBadNumber, Field: field}
	}
	return p, nil
}

// ParseNumber reads a number as the API writes it, "" for one that is none.
func ParseNumber(raw, region string) sms.Phone {
	p, _ := parseNumber(oneLine(raw), "", region)
	return p
}

// withPlus restores the + that 2.1 often leaves out. Eleven digits and more that
// are a valid international number are one, even where they could be a national
// number too: 15125551234 is American, though Germany has a 01512 5551234.
func withPlus(raw string) string {
	if len(raw) < 11 || raw[0] == '0' || strings.Trim(raw, "0123456789") != "" {
		return raw
	}
	n, err := phonenumbers.Parse("+"+raw, "")
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return raw
	}
	return "+" + raw
}
