package justcall

import (
	"slices"
	"strings"
	"time"

	"crmsync/sms"
)

// DecodeRow reads one row of the API's list of texts as the events that webhooks
// tell of the same text, with the same keys: first the text itself, received or
// sent, and then its final status, delivered or failed, where it has one. A text
// that is only scheduled has no events yet. An error is always an [*Error].
//
// The rows of API 2.1 are documented
// (https://developer.justcall.io/docs/justcall-sms-object); what those of the
// classic API look like is not, so both forms are read, and mixtures: the fields
// of a classic webhook's data, those of 2.1 with or without sms_info, and an
// instant in timestamp, datetime or created_at. One without a zone is UTC, as all
// others of the API are. An instant never stands in for a missing one here: a
// row without is an error.
//
// A status has no instant of its own in a row, and gets that of its text.
func DecodeRow(row []byte, in Input) ([]sms.Event, error) {
	data, err := parseObject(trim(row))
	if err != nil {
		return nil, &Error{Cause: CauseNotJSON, Field: rowField, row: true}
	}
	data.path = rowField + "."
	return decodeRow(data, in)
}

// rowField holds the row in what WrapRow makes, and names it in errors.
const rowField = "row"

// WrapRow makes a body of a row that [Decode] reads as the text that it is, so that
// one in quarantine can be tried again. Its status is not part of that.
func WrapRow(row []byte) []byte {
	return slices.Concat([]byte(`{"`+rowField+`":`), trim(row), []byte("}"))
}

// decodedRow is what a wrapped row says.
func decodedRow(top fields, in Input) (Decoded, error) {
	data := top.object(rowField)
	if err := top.err(); err != nil {
		return Decoded{}, ofRow(err)
	}
	events, err := decodeRow(data, in)
	switch {
	case err != nil:
		return Decoded{}, err
	case len(events) == 0:
		return Decoded{Outcome: IsIgnored, Dialect: Row, Reason: ReasonNotFinal}, nil
	}
	return Decoded{Outcome: IsEvent, Dialect: Row, Event: events[0]}, nil
}

func decodeRow(data fields, in Input) ([]sms.Event, error) {
	in.Received = time.Time{}
	status := rowStatus(data)
	if status == "scheduled" {
		return nil, nil
	}
	t := readRow(data, in)
	if err := data.err(); err != nil {
		return nil, ofRow(err)
	}
	first, err := t.event(in)
	if err != nil {
		return nil, ofRow(err)
	}
	events := []sms.Event{first}
	if kind := finalKind(status); kind != "" && t.kind == sms.Sent {
		last := first
		last.Kind, last.Reason = kind, ""
		if t.id == "" {
			last.Message.ID = sms.DerivedID(in.Account, kind, last.Message.Contact, last.At)
		}
		if kind == sms.Failed {
			last.Reason = failureReason(data)
		}
		events = append(events, last)
	}
	return events, nil
}

// RowID answers the id of a row's text, "" where it has none that can be one.
func RowID(row []byte) string {
	data, err := parseObject(trim(row))
	if err != nil {
		return ""
	}
	id, _ := rowID(data)
	if sms.ValidateID(id) != nil {
		return ""
	}
	return id
}

func readRow(data fields, in Input) text {
	info := data
	if data.has("sms_info") {
		info = data.object("sms_info")
	}
	t := readParties(rowKind(data, in.Region), data)
	t.id, t.idField = rowID(data)
	if t.body = info.body(); t.body == "" {
		t.body = data.body()
	}
	for _, name := range []string{"mms", "mms_media", "media_urls"} {
		if len(t.media) == 0 {
			t.media = info.media(name)
		}
	}
	t.medium = data.line("medium")
	t.readPeople(data)
	name, at := rowInstant(data)
	t.at = t.instant(data, name, at, in)
	return t
}

// rowID prefers the name that a classic webhook has for it.
func rowID(data fields) (id, field string) {
	if id = data.id("message_id"); id != "" {
		return id, data.path + "message_id"
	}
	return data.id("id"), data.path + "id"
}

// rowKind goes by the direction and, where there is none, by who wrote from the
// company's line.
func rowKind(data fields, region string) sms.Kind {
	direction, given := readDirection(data)
	if !given {
		t := readParties(sms.Received, data)
		line, _ := parseNumber(t.line, "", region)
		from, _ := parseNumber(t.from, "", region)
		to, _ := parseNumber(t.to, "", region)
		switch {
		case line == "" || from == to || from != line && to != line:
			data.fail("direction", CauseMissing)
		case from == line:
			direction = sms.Outbound
		}
	}
	if direction == sms.Outbound {
		return sms.Sent
	}
	return sms.Received
}

func rowInstant(data fields) (field string, at time.Time) {
	if data.has("sms_date") {
		return "sms_date", parseV21(data.raw("sms_date"), data.raw("sms_time"))
	}
	for _, name := range []string{"timestamp", "datetime", "created_at"} {
		if !data.has(name) {
			continue
		}
		s := strings.TrimSpace(data.raw(name))
		if at = parseRFC3339(s); at.IsZero() {
			at = parseV21(s, "")
		}
		return name, at
	}
	return "sms_date", time.Time{}
}

// rowStatus answers the status in lower case. The one named status may be
// anything else, so that only a word of it counts.
func rowStatus(data fields) string {
	word := data.raw("delivery_status")
	if word == "" {
		word, _ = data.values["status"].(string)
	}
	return strings.ToLower(strings.TrimSpace(word))
}

// finalKind answers "" for a status after which another may come.
func finalKind(status string) sms.Kind {
	switch status {
	case "delivered":
		return sms.Delivered
	case "failed", "undelivered":
		return sms.Failed
	}
	return ""
}

func ofRow(err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // made here, never wrapped
		own := *e
		own.row = true
		own.Field = strings.Replace(own.Field, "data.", "row.", 1)
		return &own
	}
	return err
}
