// Package justcall speaks JustCall's wire formats: it turns a webhook of either
// dialect, or a row of the API ([DecodeRow]), into canonical [sms.Event]s, and
// checks the webhook's signature. Package api, below it, is the API's client.
//
// Two dialects are in use. The classic one names the event in "event" and its
// instant in "timestamp"; the one of API 2.1 (developer.justcall.io) names it in
// "type" and signs its requests. Nobody has to say which one is coming: [Parse]
// tells them apart by the body.
//
// A request is handled in this order:
//
//	env, err := justcall.Parse(body)       // not JSON: quarantine it, if it is authentic
//	env.Ping()                             // answer 200, before any check
//	justcall.Verify(secrets, url, env.Type(), header, now, 0)
//	env.Decode(justcall.Input{Account: "main", Region: "US"})
//
// The vendor is loose with types: ids come as numbers or strings, numbers
// without +, media as a list or as an object of lists, empty strings for
// nothing. All of that is read. What cannot be read without guessing is an
// [*Error] that names field and cause and never repeats a value, since it is
// logged: such a body is quarantined and waits for a person.
//
// All functions are pure and safe for concurrent use.
package justcall

import (
	"strings"
	"time"

	"crmsync/sms"
)

// Dialect is one of the two wire formats.
type Dialect string

// The dialects.
const (
	Classic Dialect = "classic"
	V21     Dialect = "2.1"
	// Row is no webhook: a row of the API, as [WrapRow] keeps it.
	Row Dialect = "row"
)

// Outcome says what a webhook asks for.
type Outcome string

// The outcomes.
const (
	IsEvent   Outcome = "event"   // Decoded.Event is to be delivered
	IsPing    Outcome = "ping"    // a test of the URL; nothing happened
	IsIgnored Outcome = "ignored" // authentic, and nothing to do; see Decoded.Reason
)

// Reason is why an authentic webhook is ignored. The values are labels of a
// counter.
type Reason string

// The reasons.
const (
	// ReasonOtherType: not one of the events of a text, such as a call.
	ReasonOtherType Reason = "other_type"
	// ReasonNotFinal: a status that comes before delivered and failed.
	ReasonNotFinal Reason = "status_not_final"
	// ReasonUnknownStatus: a status word that the vendor does not document.
	ReasonUnknownStatus Reason = "status_unknown"
	// ReasonNoConsent: a contact's status without a word on texts (dnm).
	ReasonNoConsent Reason = "no_consent_state"
)

// Input is what the body does not say.
type Input struct {
	// Account is the configured account's name, the first part of every key.
	Account string
	// Region is the ISO 3166-1 alpha-2 country of national numbers.
	Region string
	// Received is when the request came in. It takes the place of a missing or
	// unreadable instant where that harms nobody: in a status and in an opt-out.
	// Left zero, those are errors too.
	Received time.Time
}

// Decoded is what a webhook says.
type Decoded struct {
	Outcome Outcome
	Dialect Dialect // empty for a ping without content
	// Event is set where Outcome is IsEvent. It passes [sms.Event.Validate].
	Event sms.Event
	// Reason is set where Outcome is IsIgnored.
	Reason Reason
}

// Envelope is a webhook's body, parsed but not yet understood.
type Envelope struct {
	dialect Dialect
	top     fields
	empty   bool
}

// Parse reads the body's JSON and tells the dialect. An empty body, and an
// empty object, is a ping.
func Parse(body []byte) (Envelope, error) {
	body = trim(body)
	if len(body) == 0 {
		return Envelope{empty: true}, nil
	}
	top, err := parseObject(body)
	if err != nil {
		return Envelope{}, err
	}
	if len(top.values) == 0 {
		return Envelope{empty: true}, nil
	}
	dialect, err := dialectOf(top)
	return Envelope{dialect: dialect, top: top}, err
}

// dialectOf prefers the classic one only where its instant stands beside the
// event's name, or no type does.
func dialectOf(top fields) (Dialect, error) {
	for _, name := range []string{"event", "type"} {
		if _, ok := top.values[name].(string); !ok && top.has(name) {
			return "", &Error{Cause: CauseWrongType, Field: name}
		}
	}
	event, typ := top.has("event"), top.has("type")
	switch {
	case event && (!typ || top.has("timestamp")):
		return Classic, nil
	case typ:
		return V21, nil
	case top.has(rowField):
		return Row, nil
	case top.has("webhook_url") && !top.has("data"):
		return V21, nil // a ping that does not even name a type
	}
	return "", &Error{Cause: CauseMissing, Field: "type"}
}

// Type is the event's name as the wire gives it, which the signature covers;
// empty where there is none.
func (e Envelope) Type() string {
	name := "type"
	if e.dialect == Classic {
		name = "event"
	}
	s, _ := e.top.values[name].(string)
	return s
}

// Ping reports whether the body is a test of the URL: no body, or one that
// names the webhook and carries no data.
func (e Envelope) Ping() bool {
	if e.empty {
		return true
	}
	if e.top.has("data") {
		return false
	}
	if e.dialect == Classic {
		return !e.top.has("timestamp")
	}
	return e.top.has("webhook_url")
}

// Decode parses a body and decodes it: [Parse] and [Envelope.Decode] in one.
func Decode(body []byte, in Input) (Decoded, error) {
	env, err := Parse(body)
	if err != nil {
		return Decoded{}, err
	}
	return env.Decode(in)
}

// Decode says what the webhook asks for. An error is always an [*Error].
func (e Envelope) Decode(in Input) (Decoded, error) {
	if e.Ping() {
		return Decoded{Outcome: IsPing, Dialect: e.dialect}, nil
	}
	// A parsed envelope may be decoded more than once: problems start anew.
	top := e.top.fresh()
	if e.dialect == Row {
		return decodedRow(top, in)
	}
	text, reason := read(e.dialect, strings.ToLower(strings.TrimSpace(e.Type())), top, in)
	if reason != "" {
		return Decoded{Outcome: IsIgnored, Dialect: e.dialect, Reason: reason}, nil
	}
	if err := top.err(); err != nil {
		return Decoded{}, err
	}
	event, err := text.event(in)
	if err != nil {
		return Decoded{}, err
	}
	return Decoded{Outcome: IsEvent, Dialect: e.dialect, Event: event}, nil
}

func read(dialect Dialect, name string, top fields, in Input) (text, Reason) {
	if dialect == Classic {
		return readClassic(name, top, in)
	}
	return readV21(name, top, in)
}
