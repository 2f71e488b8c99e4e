// Package sms is the domain: what a text message is, who wrote it to whom,
// what happened to it, and which key makes it the same message everywhere.
//
// It knows nothing of JustCall, Temporal, Redis or any CRM. All values are
// plain data, safe to copy and to share between goroutines, and marshal to JSON
// in the form that workflows keep in their histories: field names are
// append-only.
package sms

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what happened. The six values are canonical, whatever the wire
// called them, and the last part of every event key.
type Kind string

// The six kinds of event.
const (
	Received  Kind = "sms.received"
	Sent      Kind = "sms.sent"
	Delivered Kind = "sms.delivered"
	Failed    Kind = "sms.failed"
	OptOut    Kind = "sms.optout"
	OptIn     Kind = "sms.optin"
)

// Text reports whether the event brings a text, to be logged once.
func (k Kind) Text() bool { return k == Received || k == Sent }

// Status reports whether the event moves the status of a text.
func (k Kind) Status() bool { return k == Delivered || k == Failed }

// Consent reports whether the event changes what a number agreed to.
func (k Kind) Consent() bool { return k == OptOut || k == OptIn }

// Valid reports whether k is one of the six kinds.
func (k Kind) Valid() bool { return k.Text() || k.Status() || k.Consent() }

// Direction is seen from the company.
type Direction string

// The two directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status is how far an outbound text came, in the total order
// sent < delivered < failed. A later status never gives way to an earlier one.
type Status string

// The three statuses.
const (
	StatusSent      Status = "sent"
	StatusDelivered Status = "delivered"
	StatusFailed    Status = "failed"
)

// Rank is the place of s in the total order; an unknown status has rank 0.
func (s Status) Rank() int {
	switch s {
	case StatusSent:
		return 1
	case StatusDelivered:
		return 2
	case StatusFailed:
		return 3
	}
	return 0
}

// Media is a file that came with a text.
type Media struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitempty"`
}

// Agent is the person (or automation) of the company behind an outbound text,
// or the one an inbound text was given to. All fields may be empty.
type Agent struct {
	ID    string `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// Message is one text.
type Message struct {
	// ID is the sender's id of the text: 1 to 128 printable ASCII characters
	// without space.
	ID        string    `json:"id"`
	Direction Direction `json:"direction"`
	// Contact is the other party's number, Line the company's.
	Contact Phone `json:"contact"`
	Line    Phone `json:"line,omitempty"`
	// Body may be empty where there is media.
	Body  string  `json:"body,omitempty"`
	Media []Media `json:"media,omitempty"`
	Agent Agent   `json:"agent,omitzero"`
	// ContactName and ContactEmail are what the sender knows of the contact;
	// both may be empty.
	ContactName  string `json:"contact_name,omitempty"`
	ContactEmail string `json:"contact_email,omitempty"`
	// Medium tells which product wrote an outbound text, where it is known.
	Medium string `json:"medium,omitempty"`
	// At is when the text was received or sent, in UTC.
	At time.Time `json:"at"`
}

// Event is one thing that happened to one text or one number.
type Event struct {
	// Account is the configured JustCall account that the event belongs to.
	Account string `json:"account"`
	Kind    Kind   `json:"kind"`
	// At is when it happened, in UTC. For a text it equals Message.At.
	At time.Time `json:"at"`
	// Message is the text. Of a status or consent event it holds what the
	// sender repeated; Contact is always set.
	Message Message `json:"message"`
	// Reason is why a text failed, where the sender says so.
	Reason string `json:"reason,omitempty"`
	// Received is when a change of consent came in by webhook, in UTC; zero for
	// every other event.
	Received time.Time `json:"received,omitzero"`
}

// MaxIDLength is the longest message id that is accepted, in bytes.
const MaxIDLength = 128

// Key is the event key {account}/{message id}/{kind}: the dedupe key and the
// workflow id. It holds no phone number.
func (e Event) Key() string { return e.MessageKey() + "/" + string(e.Kind) }

// MessageKey is {account}/{message id}: the idempotency key of the text in
// every CRM.
func (e Event) MessageKey() string { return e.Account + "/" + e.Message.ID }

// Status is the status that a status event brings, else "".
func (e Event) Status() Status {
	switch e.Kind {
	case Delivered:
		return StatusDelivered
	case Failed:
		return StatusFailed
	}
	return ""
}

// DerivedID takes the place of a missing message id: the SHA-256 of account,
// kind, number and instant, in hex.
func DerivedID(account string, kind Kind, number Phone, at time.Time) string {
	parts := []string{account, string(kind), string(number), at.UTC().Format(time.RFC3339Nano)}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// Validate reports everything that keeps the event from being delivered. Its
// errors name fields, never values.
func (e Event) Validate() error {
	var errs []error
	if !e.Kind.Valid() {
		errs = append(errs, errors.New("kind is not one of the six"))
	}
	if err := ValidateID(e.Message.ID); err != nil {
		errs = append(errs, err)
	}
	if e.Message.Contact == "" {
		errs = append(errs, errors.New("the contact's number is missing"))
	}
	if e.At.IsZero() {
		errs = append(errs, errors.New("the instant is missing"))
	}
	return errors.Join(errs...)
}

// ValidateID reports why id cannot be a message id.
func ValidateID(id string) error {
	if id == "" {
		return errors.New("message id is empty")
	}
	if len(id) > MaxIDLength {
		return fmt.Errorf("message id is longer than %d characters", MaxIDLength)
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return errors.New("message id has a character that is not printable ASCII")
		}
	}
	return nil
}

// Consent is what a number agreed to, as of an instant.
type Consent struct {
	Phone    Phone     `json:"phone"`
	OptedOut bool      `json:"opted_out"`
	At       time.Time `json:"at"`
}

// Supersedes reports whether c replaces old. The later instant wins; of two at
// the same instant the opt-out does, so that doubt never lifts a STOP.
func (c Consent) Supersedes(old Consent) bool {
	if c.At.Equal(old.At) {
		return c.OptedOut && !old.OptedOut
	}
	return c.At.After(old.At)
}
