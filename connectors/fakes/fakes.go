// Package fakes says what a fake of a vendor is: a small server of those of the
// vendor's endpoints that a connector uses, as strict as the vendor, which counts
// what was really written. Each connector has one in its folder fake; the
// conformance suite runs the connector against it, and a person tries the
// connector with it, without an account at the vendor (crmsync dev --crm).
package fakes

import (
	"net/http"
	"time"

	"crmsync/connectors"
)

// Message is a text's record as the vendor stores it.
type Message struct {
	ID string `json:"id"`
	// Key is [connectors.Record].Key, decoded from whatever the connector made
	// of it: an external id, a derived id or a marker in the text. Empty where
	// the record holds none.
	Key string `json:"key,omitempty"`
	// Contact is the id of the contact on whose timeline the record stands.
	Contact string `json:"contact,omitempty"`
	// Subject and Body are what is stored, with the vendor's escapes.
	Subject string `json:"subject,omitempty"`
	Body    string `json:"body"`
	// Status is in our words: sent, delivered, failed, or empty.
	Status string `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
	// OwnerID is the user whose record it is, where the vendor has that.
	OwnerID   string    `json:"owner_id,omitempty"`
	Direction string    `json:"direction,omitempty"`
	At        time.Time `json:"at,omitzero"`
}

// Contact is a contact as the vendor stores it.
type Contact struct {
	connectors.Ref
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"`
	OwnerID string `json:"owner_id,omitempty"`
	// Phones are in the spelling that somebody typed.
	Phones []string `json:"phones,omitempty"`
	// OptedOut is the consent as last written, ConsentAt its instant where the
	// vendor has a place for it.
	OptedOut  bool      `json:"opted_out,omitempty"`
	ConsentAt time.Time `json:"consent_at,omitzero"`
	Updated   time.Time `json:"updated,omitzero"`
	// Fields are those of NewContact.Fields, by the vendor's names.
	Fields map[string]string `json:"fields,omitempty"`
}

// Store looks into a vendor's fake behind the connector's back, and does there
// what people do in a CRM. Its methods are called while the connector is at work.
type Store interface {
	// Messages answers every record of a text, in the order of creation.
	Messages() []Message
	// Contacts answers every contact that is not deleted, in the order of
	// creation.
	Contacts() []Contact
	// AddContact creates a contact, ignoring its id, that searches see at once. Its
	// Type counts where the vendor's contacts are of several; empty is the usual
	// one.
	AddContact(Contact) connectors.Ref
	// DeleteContact deletes a contact; writes to it fail from then on.
	DeleteContact(id string)
	// EditMessage changes a record's text and status, as a person would.
	EditMessage(id, body, status string)
}

// Fake is a running fake of a vendor. It is safe for concurrent use.
type Fake interface {
	// ServeHTTP is the vendor's API. What is not part of it is refused in the
	// vendor's words: an unlisted endpoint, an unknown field, a wrong type.
	http.Handler
	Store
	// Poison makes the vendor refuse the text with that key for its content.
	Poison(key string)
	// Config answers settings, in YAML, for the connector's instance that speaks
	// to the fake at the address base, such as http://127.0.0.1:8090.
	Config(base string) string
	// Secrets are the credentials in Config.
	Secrets() []string
}

// The interfaces below are what only some fakes can have. A connector that
// implements the interface of package connectors that each names needs the fake
// to have it, too: without it, the conformance suite could prove nothing.

// MessageAdder goes with [connectors.Adopter].
type MessageAdder interface {
	// AddMessage puts a text on a contact's timeline in the way in which another
	// integration does, JustCall's own where it has one for the vendor. ID and Key
	// of the message are ignored; searches see it at once.
	AddMessage(Message) connectors.Ref
}

// Meddler goes with [connectors.MessageFinder]: what people do to the records of
// texts.
type Meddler interface {
	// DeleteMessage deletes a record.
	DeleteMessage(id string)
	// MoveMessage takes a record from the timelines where it stands to that of one
	// contact.
	MoveMessage(id, contact string)
	// CopyMessage makes a second record of the same text on the same timeline, with
	// the same key. It answers its id, empty where the vendor keeps a key to one
	// record.
	CopyMessage(id string) string
}

// OwnerAdder goes with [connectors.OwnerFinder].
type OwnerAdder interface {
	// AddOwner creates an active user and answers the id that a record's owner
	// is told by.
	AddOwner(email string) (id string)
}

// FieldRemover goes with [connectors.Provisioner].
type FieldRemover interface {
	// RemoveFields makes the fake an account in which nobody has set anything up:
	// what Provision creates is not there. A new fake may have it.
	RemoveFields()
}

// FieldNamer goes with [connectors.NewContact].Fields.
type FieldNamer interface {
	// TextField names a text field that contacts of the usual type have besides
	// those in [Contact], in the vendor's words, such as city. Contact.Fields
	// tells what it holds.
	TextField() string
}
