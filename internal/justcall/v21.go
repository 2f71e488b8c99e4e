package justcall

import (
	"strings"
	"time"

	"crmsync/sms"
)

// readV21 reads an event of the 2.1 dialect.
func readV21(name string, top fields, in Input) (text, Reason) {
	switch name {
	case "sms.received":
		return readV21Message(sms.Received, top, in), ""
	case "sms.sent":
		return readV21Message(sms.Sent, top, in), ""
	case "sms.sent_received":
		return readV21Message(kindByDirection(requireData(top)), top, in), ""
	case "sms.status_updated":
		return readV21Status(top, in)
	case "jc.contact_status_updated":
		return readV21Consent(top, in)
	}
	return text{}, ReasonOtherType
}

func readV21Message(kind sms.Kind, top fields, in Input) text {
	data := requireData(top)
	t := readParties(kind, data)
	info := data.object("sms_info")
	t.id, t.idField = data.id("id"), "data.id"
	t.body = info.body()
	// is_mms is not looked at: it comes in three types, and the list says it.
	t.media = info.media("mms")
	t.medium = data.line("medium")
	t.readPeople(data)
	t.at = t.instant(data, "sms_date", parseV21(data.raw("sms_date"), data.raw("sms_time")), in)
	return t
}

// kindByDirection splits the one event that means both. Without a direction
// nobody can tell, and a wrong guess would log the text under the wrong party.
func kindByDirection(data fields) sms.Kind {
	direction, given := readDirection(data)
	if !given {
		data.fail("direction", CauseMissing)
	}
	if direction == sms.Outbound {
		return sms.Sent
	}
	return sms.Received
}

func readV21Status(top fields, in Input) (text, Reason) {
	data := requireData(top)
	status := strings.ToLower(strings.TrimSpace(data.raw("delivery_status")))
	if kind := finalKind(status); kind != "" {
		return readV21Message(kind, top, in), ""
	}
	switch status {
	case "", "sent", "received", "queued", "sending", "scheduled":
		// A value of the wrong type reads as "", and is still an error.
		return text{}, orError(data, ReasonNotFinal)
	}
	return text{}, ReasonUnknownStatus
}

// readV21Consent reads a contact's state. The event repeats a state and carries
// no message id; data.id would be the contact's, and as a message id it would
// make every later change a duplicate of the first.
//
// Only the date of the change is known. An opt-out counts as of the last second
// of that day (23:59:59Z) and an opt-in as of the first (00:00:00Z): whichever
// way the two followed each other within the day, the opt-out wins, so that a
// doubt never lifts a STOP.
func readV21Consent(top fields, in Input) (text, Reason) {
	data := requireData(top)
	status := data.object("status")
	optedOut, ok := status.truth("dnm")
	if !ok {
		return text{}, orError(data, ReasonNoConsent)
	}
	kind := sms.OptIn
	if optedOut {
		kind = sms.OptOut
	}
	t := readParties(kind, data)
	t.readPeople(data)
	holder := data
	if !data.has("status_updated_at") && status.has("status_updated_at") {
		holder = status
	}
	at := consentInstant(kind, strings.TrimSpace(holder.raw("status_updated_at")))
	t.at = t.instant(holder, "status_updated_at", at, in)
	return t, ""
}

// orError gives way to a problem that was found on the way.
func orError(f fields, reason Reason) Reason {
	if f.err() != nil {
		return ""
	}
	return reason
}

func consentInstant(kind sms.Kind, s string) time.Time {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return parseV21(s, "")
	}
	if kind == sms.OptOut {
		return day.Add(24*time.Hour - time.Second)
	}
	return day
}

// parseV21 reads a date and a time in UTC; the hour may be unpadded, which Go's
// "15" reads too. It answers the zero time for what is no instant.
func parseV21(date, clock string) time.Time {
	s := strings.TrimSpace(strings.TrimSpace(date) + " " + strings.TrimSpace(clock))
	at, err := time.Parse(time.DateTime, s)
	if err != nil {
		return time.Time{}
	}
	return at
}
