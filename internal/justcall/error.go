package justcall

// Cause is why a body cannot be decoded. The values are labels of a counter and
// part of quarantined events: append-only.
type Cause string

// The causes.
const (
	CauseNotJSON      Cause = "not_json"      // or not an object
	CauseMissing      Cause = "missing"       // a required field is not there
	CauseWrongType    Cause = "wrong_type"    // such as a list where a string belongs
	CauseBadNumber    Cause = "bad_number"    // not a phone number or sender
	CauseBadTime      Cause = "bad_time"      // not an instant, or none of this century
	CauseBadID        Cause = "bad_id"        // too long, not printable, or a phone number
	CauseBadDirection Cause = "bad_direction" // neither in nor out
	CauseInvalid      Cause = "invalid"       // the event as a whole
)

var causeText = map[Cause]string{
	CauseNotJSON:      "not a JSON object",
	CauseMissing:      "missing",
	CauseWrongType:    "has the wrong type",
	CauseBadNumber:    "is no phone number",
	CauseBadTime:      "is no usable instant",
	CauseBadID:        "cannot be a message id",
	CauseBadDirection: "is neither inbound nor outbound",
	CauseInvalid:      "is not valid",
}

// Error says why a body, or a row of the API, cannot be decoded. It names a field of the wire format
// and never repeats what the body holds.
type Error struct {
	Cause Cause
	Field string // such as data.contact_number; "body" or "row" for the whole

	row bool // of the API, and no webhook
}

// Error implements error.
func (e *Error) Error() string {
	of := "webhook: "
	if e.row {
		of = "text: "
	}
	return of + e.Field + ": " + causeText[e.Cause]
}
