package connectors

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies what a CRM (or the way to it) answered. The values are
// persisted in workflow histories and append-only.
type Kind string

// The kinds of error.
const (
	// Unavailable: the CRM is down or out of reach. Retried.
	Unavailable Kind = "UNAVAILABLE"
	// RateLimited: too many requests. Retried after RetryAfter.
	RateLimited Kind = "RATE_LIMITED"
	// Unknown: anything not understood. Retried.
	Unknown Kind = "UNKNOWN"
	// Auth: credentials refused. Waits until a person reconnects.
	Auth Kind = "AUTH"
	// Invalid: the CRM refuses the content. Parked.
	Invalid Kind = "INVALID"
	// Forbidden: these credentials may not do that. Parked.
	Forbidden Kind = "FORBIDDEN"
	// NotFound: a record that the call names is not there. A remembered one is
	// dropped and resolved once more, else parked.
	NotFound Kind = "NOT_FOUND"
	// Conflict: the CRM's state contradicts the call. Parked.
	Conflict Kind = "CONFLICT"
	// Unsupported: the CRM cannot do that at all. Parked.
	Unsupported Kind = "UNSUPPORTED"
)

// Permanent reports whether repeating the same call cannot help.
func (k Kind) Permanent() bool {
	switch k {
	case Invalid, Forbidden, NotFound, Conflict, Unsupported:
		return true
	}
	return false
}

// Error is what every method of a connector returns. It holds no secret, no
// phone number and no text of a message.
type Error struct {
	Op     string // the verb that failed, such as "find contacts"
	Kind   Kind
	Status int // HTTP status, 0 for none
	// RetryAfter is how long the CRM asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Ambiguous: the write may have happened.
	Ambiguous bool
	// WholeBatch: the batch was refused as a whole, though perhaps for a single
	// item: split it and try again.
	WholeBatch bool
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op + ": " + string(e.Kind)
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the *Error in err. Anything else becomes one of kind Unknown
// that is ambiguous, since nobody knows what happened.
func AsError(op string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Op: op, Kind: Unknown, Ambiguous: true, Err: err}
}

// FailAll answers the same failure for each of n items.
func FailAll(n int, err *Error) []Outcome {
	out := make([]Outcome, n)
	for i := range out {
		out[i] = Outcome{State: Failed, Err: err}
	}
	return out
}
