// Package connectors is the contract between crmsync and a CRM.
//
// A connector maps a few verbs to one vendor's API and nothing else: no
// policy, no retry, no sleep, no goroutine, no cache. It is given its
// *http.Client, which carries authentication, tracing and faults under test,
// and makes one attempt per call. All methods are safe for concurrent use.
//
// To write one: implement [Connector] and those optional interfaces that the
// vendor's API allows, describe it in a [Definition], run the conformance suite
// of package connectortest against a fake of the vendor, and add the definition
// to the list in package all, or to the main function of a build of your own.
// Package sandbox is the reference to mirror.
package connectors

import (
	"context"
	"net/http"
	"time"

	"crmsync/sms"
)

// Connector is what every CRM must offer.
type Connector interface {
	// Check makes the cheapest authenticated call and says what this instance
	// can do. It changes nothing.
	Check(ctx context.Context) (Capabilities, error)

	// PutMessages creates the timeline record of each text and answers one
	// outcome for each, in order. A record that is there already is left as it
	// is (Existed), since a person may have edited it; the status is never
	// touched.
	PutMessages(ctx context.Context, records []Record) []Outcome
}

// ContactFinder looks contacts up by number. It never creates one.
type ContactFinder interface {
	// FindContacts answers, for each phone in order, every contact that carries
	// that number, after a local comparison in E.164.
	FindContacts(ctx context.Context, phones []sms.Phone) ([][]Contact, error)
}

// ContactCreator creates a contact.
type ContactCreator interface {
	// CreateContact creates a contact, idempotently by NewContact.Key where the
	// CRM allows. Where the CRM says that it exists, the existing one is
	// returned.
	CreateContact(ctx context.Context, c NewContact) (Contact, error)
}

// StatusUpdater moves the status of texts that are on the timeline.
type StatusUpdater interface {
	// UpdateStatus sets statuses and never creates a record: a text that is not
	// there fails with NOT_FOUND. The caller serialises the changes of one text
	// and brings them in order.
	UpdateStatus(ctx context.Context, changes []StatusChange) []Outcome
}

// ConsentSetter writes what a number agreed to on a contact.
type ConsentSetter interface {
	// SetConsent sets the state on each contact, idempotently. The caller
	// serialises the changes of one number. Where the CRM tells it with the
	// contact, FindContacts answers it (Contact.OptedOut), so that it can be read
	// back.
	SetConsent(ctx context.Context, changes []ConsentChange) []Outcome
}

// MessageFinder reads back what was written, and audits it.
type MessageFinder interface {
	// FindMessages answers, for each record in order, all that carry its key in
	// the CRM, the oldest first: none where it is not there (or, within SearchLag,
	// not yet), several where somebody doubled it. Where the CRM can be asked for
	// a contact's texts only, it looks on Record.Contact, and at Record.Known.
	FindMessages(ctx context.Context, records []Record) ([][]Found, error)
}

// Found is a text's record as it was found.
type Found struct {
	Ref
	// Contacts are those on whose timelines it stands; none where it stands on
	// nobody's, or where the CRM does not say.
	Contacts []Ref
}

// Oldest answers the first of the records that were found, the zero Ref for none.
func Oldest(found []Found) Ref {
	if len(found) == 0 {
		return Ref{}
	}
	return found[0].Ref
}

// Adopter takes over what another integration put on the timeline for the same
// texts, such as JustCall's built-in sync.
type Adopter interface {
	// AdoptMessages looks, for each record, for one on the same contact without
	// a key of ours, with the same text and direction, at most 60 s from
	// Message.At, and writes the key onto it. The outcome is Written with its Ref,
	// Existed where one has the key already, and NotApplicable where there is
	// none: then the text is put. It creates nothing.
	AdoptMessages(ctx context.Context, records []Record) []Outcome
}

// OwnerFinder looks CRM users up by e-mail address.
type OwnerFinder interface {
	// FindOwners answers the user id for each address, "" for none.
	FindOwners(ctx context.Context, emails []string) ([]string, error)
}

// Provisioner creates the custom fields that a connector needs.
type Provisioner interface {
	// Provision says what is missing and, unless dryRun, creates it. Repeating
	// it changes nothing.
	Provision(ctx context.Context, dryRun bool) ([]Change, error)
}

// Definer is a connector whose settings change what its definition says, such
// as one that speaks to any API.
type Definer interface {
	// Define answers d as it is for this instance. It does no I/O.
	Define(d Definition) Definition
}

// Class says what makes a repeated write harmless.
type Class string

// The idempotency classes.
const (
	ClassA Class = "A" // the client chooses the record's id
	ClassB Class = "B" // upsert by an external key
	ClassC Class = "C" // the server rejects duplicates
	ClassD Class = "D" // nothing: a marker in the record is searched for
)

// Capabilities is what one instance can do. [CapabilitiesOf] derives them from
// the methods; Check may narrow that, never widen it.
type Capabilities struct {
	Class    Class `json:"class"`
	Find     bool  `json:"find"`
	Create   bool  `json:"create"`
	Status   bool  `json:"status"`
	Consent  bool  `json:"consent"`
	ReadBack bool  `json:"read_back"`
	Adopt    bool  `json:"adopt,omitempty"`
	// Repeat says of an instance of class D that a write whose end nobody knows
	// is repeated all the same: a person has decided that a text may stand
	// twice rather than wait.
	Repeat bool `json:"repeat,omitempty"`
}

// CapabilitiesOf answers what the methods of c allow.
func CapabilitiesOf(c Connector, class Class) Capabilities {
	caps := Capabilities{Class: class}
	_, caps.Find = c.(ContactFinder)
	_, caps.Create = c.(ContactCreator)
	_, caps.Status = c.(StatusUpdater)
	_, caps.Consent = c.(ConsentSetter)
	_, caps.ReadBack = c.(MessageFinder)
	_, caps.Adopt = c.(Adopter)
	return caps
}

// Narrow keeps of caps what limit has too, and takes limit's class and Repeat,
// which no method shows.
func (caps Capabilities) Narrow(limit Capabilities) Capabilities {
	return Capabilities{
		Class:    limit.Class,
		Find:     caps.Find && limit.Find,
		Create:   caps.Create && limit.Create,
		Status:   caps.Status && limit.Status,
		Consent:  caps.Consent && limit.Consent,
		ReadBack: caps.ReadBack && limit.ReadBack,
		Adopt:    caps.Adopt && limit.Adopt,
		Repeat:   limit.Repeat,
	}
}

// Ref names a record in the CRM. The zero Ref means none.
type Ref struct {
	// Type is the vendor's record type where contacts are of several (contact,
	// lead).
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	// Parent is the record above, where the vendor has one (Close's lead).
	Parent string `json:"parent,omitempty"`
	// URL opens the record in the CRM's pages.
	URL string `json:"url,omitempty"`
}

// Zero reports whether r names nothing.
func (r Ref) Zero() bool { return r.ID == "" }

// Same reports whether r and other name the same record.
func (r Ref) Same(other Ref) bool { return r.ID == other.ID && r.Type == other.Type }

// Contact is a person (or lead) in the CRM.
type Contact struct {
	Ref
	Name    string      `json:"name,omitempty"`
	Phones  []sms.Phone `json:"phones,omitempty"`
	OwnerID string      `json:"owner_id,omitempty"`
	Updated time.Time   `json:"updated,omitzero"`
	// OptedOut is whether the contact wants no texts, as SetConsent has set it or
	// anybody else; nil where the CRM does not tell that with the contact.
	OptedOut *bool `json:"opted_out,omitempty"`
}

// NewContact is a contact to be created.
type NewContact struct {
	// Key is the same for every attempt to create the same contact.
	Key     string    `json:"key"`
	Phone   sms.Phone `json:"phone"`
	Name    string    `json:"name,omitempty"` // empty where nobody knows it
	Email   string    `json:"email,omitempty"`
	OwnerID string    `json:"owner_id,omitempty"`
	// Type is the record type where contacts are of several (Ref.Type); empty is
	// the vendor's usual one.
	Type string `json:"type,omitempty"`
	// Fields are set on the new contact, by the vendor's own names.
	Fields map[string]string `json:"fields,omitempty"`
}

// Record is a text to be put on a timeline.
type Record struct {
	// Key is {account}/{message id}, the idempotency key in the CRM; the
	// connector encodes it as the vendor allows.
	Key     string
	Message sms.Message
	// Contact is whose timeline it is; the zero Ref leaves it unlinked.
	Contact Ref
	// Known is the record itself, where an earlier write is remembered.
	Known   Ref
	OwnerID string
	// Subject and Body are rendered plain text; the connector escapes them for
	// the vendor's markup.
	Subject, Body string
}

// StatusChange moves the status of a text.
type StatusChange struct {
	Key     string // as in Record
	Record  Ref    // the text's record, where it is remembered
	Contact Ref
	Message sms.Message
	Status  sms.Status
	Reason  string    // why it failed, where known
	At      time.Time // when the status was reached
}

// ConsentChange sets a number's consent on one contact.
type ConsentChange struct {
	Contact Ref
	sms.Consent
}

// Change is one thing that Provision did or would do.
type Change struct {
	What string `json:"what"` // such as: create property justcall_message_id on communications
	Done bool   `json:"done"`
}

// State is how one item of a batch ended.
type State string

// The states of an outcome.
const (
	Written       State = "written"        // the write happened just now
	Existed       State = "existed"        // it was there already
	NotApplicable State = "not_applicable" // this CRM has no place for it
	NotAttempted  State = "not_attempted"  // nothing was sent for this item
	Failed        State = "failed"         // see Err
)

// Outcome is the verdict on one item of a batch.
type Outcome struct {
	Ref   Ref
	State State
	Err   *Error // set if and only if State is Failed
}

// Definition describes a connector to the daemon.
type Definition struct {
	Name  string // as in the configuration's type, and the package's name
	Title string // for people
	// Example is a configuration that works once its values are filled in: the
	// lines below an instance's name, type first.
	Example string
	// MaxBatch is the largest number of items in a call; 0 means 1.
	MaxBatch int
	// CallTimeout bounds one request, from when the budget lets it go; 0 means
	// DefaultCallTimeout.
	CallTimeout time.Duration
	// Settle is how long a write whose answer was lost may still take effect.
	Settle time.Duration
	// SearchLag is how late a search may see what was created.
	SearchLag time.Duration
	// Limits are the vendor's request limits, which the daemon's client keeps
	// for the connector.
	Limits []Limit
	// SignIn is how the vendor is signed in to with OAuth; nil: it is not.
	SignIn *SignIn
	// Usage reads from an answer's headers what is left of them; nil where the
	// vendor does not say. It only ever makes the daemon more careful.
	Usage func(http.Header) []Usage
	// Open builds an instance from its configuration. It does no I/O.
	Open func(Config, Env) (Connector, error)
}

// DefaultCallTimeout is the time that one call to a CRM may take.
const DefaultCallTimeout = 30 * time.Second

// Config is an instance's part of the configuration.
type Config interface {
	// Name is the instance's name, the key under connectors.
	Name() string
	// Decode reads the vendor's settings into a struct with yaml tags, over the
	// values that it already holds. Unknown keys are errors; all problems are
	// reported at once, with file, line and key.
	Decode(into any) error
}

// Env is what the daemon gives to an instance.
type Env struct {
	// Client is the only way out. It never follows a redirect to another host.
	// A transport in it that refuses to send (no budget in time, sign-in ended)
	// returns a *Error, which then is the call's error.
	Client *http.Client
	// Grant answers the current OAuth grant; nil where the instance has none.
	Grant func(ctx context.Context) (Grant, error)
}

// Grant is what a CRM gave on sign-in.
type Grant struct {
	Token       string
	InstanceURL string
}
