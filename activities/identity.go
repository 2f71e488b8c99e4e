package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"crmsync/connectors"
	"crmsync/internal/ledger"
	"crmsync/sms"
)

// Match is the contact that a number belongs to at one connector, and why. A
// zero Contact means that the text stays unlinked.
type Match struct {
	Contact connectors.Ref `json:"contact,omitzero"`
	OwnerID string         `json:"owner_id,omitempty"`
	How     string         `json:"how,omitempty"`

	cached bool     // read from Redis just now
	by     Decision // by which it was decided just now
}

// Ask asks EnsureContact for the contact of a number.
type Ask struct {
	Connector string    `json:"connector"`
	Phone     sms.Phone `json:"phone"`
	Name      string    `json:"name,omitempty"`
	Email     string    `json:"email,omitempty"`
	// Create: nobody having the number, a contact may be created, for OwnerID and
	// with Fields.
	Create  bool              `json:"create,omitempty"`
	OwnerID string            `json:"owner_id,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	// Gone is a contact that the CRM no longer has.
	Gone connectors.Ref `json:"gone,omitzero"`
	// Workflow waits for the Answer.
	Workflow string `json:"workflow,omitempty"`
}

// Answer is EnsureContact's answer to an Ask.
type Answer struct {
	Connector string   `json:"connector"`
	Match     Match    `json:"match"`
	Refused   *Refusal `json:"refused,omitempty"`
}

// Refusal is why something waits for a person.
type Refusal struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// handOver hands the question to the one EnsureContact workflow of the number,
// which answers the delivery's workflow by signal: asking again is harmless, and
// waiting for the answer costs no slot.
func (at *attempt) handOver(ctx context.Context, e sms.Event, ask Ask) (DeliverResult, error) {
	ask.Workflow = activity.GetInfo(ctx).WorkflowExecution.ID
	var err error
	if ask.Create {
		if ask.OwnerID, err = at.owner(ctx, e, ""); err != nil {
			return DeliverResult{}, err
		}
		var unfilled error
		ask.Fields, unfilled = at.inst.Templates.newFields(e)
		at.unfilled(unfilled)
	}
	err = at.signalContact(ctx, ask.Connector, ask.Phone, SignalAsk, ask)
	return DeliverResult{Asked: true, Gone: ask.Gone}, err
}

// Link is a person's decision that a number belongs to a contact.
type Link struct {
	Connector string    `json:"connector"`
	Phone     sms.Phone `json:"phone"`
	Match     Match     `json:"match"`
}

// LinkContact remembers a link for good.
func (a *Activities) LinkContact(ctx context.Context, link Link) error {
	hash := a.Hasher.Phone(link.Phone)
	a.Ledger.ForgetContact(ctx, link.Connector, hash)
	return a.signalContact(ctx, link.Connector, link.Phone, SignalLink, link.Match)
}

// ContactInput starts an EnsureContact workflow.
type ContactInput struct {
	Connector string    `json:"connector"`
	Phone     sms.Phone `json:"phone"`
	Memory    *Match    `json:"memory,omitempty"` // carried over by continue-as-new
	Linked    bool      `json:"linked,omitempty"` // Memory is a person's link
}

func (a *Activities) signalContact(ctx context.Context, connector string, phone sms.Phone, signal string, arg any) error {
	id := ContactID(connector, a.Hasher.Phone(phone))
	_, err := a.Temporal.SignalWithStartWorkflow(ctx, id, signal, arg, client.StartWorkflowOptions{
		TaskQueue:             Queue(a.Deployment),
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "contact of one number at " + connector,
	}, EnsureContact, ContactInput{Connector: connector, Phone: phone})
	if err != nil {
		return fmt.Errorf("signal %s to %s: %w", signal, id, err)
	}
	return nil
}

// resolve finds the contact of a message without creating one. It answers an
// Ask where that takes EnsureContact.
func (at *attempt) resolve(ctx context.Context, e sms.Event) (Match, *Ask, error) {
	m := e.Message
	if !m.Contact.E164() {
		return Match{How: "unlinked: not a full phone number"}, nil, nil
	}
	match, memory, err := at.recall(ctx, m.Contact)
	switch {
	case err != nil || memory == knows:
		match.by = MatchRemembered
		at.decided(match, err)
		return match, nil, err
	case memory == decides:
		return Match{}, at.ask(ctx, e), nil
	}
	if !at.caps.Find {
		return Match{How: "unlinked: this CRM offers no search for contacts"}, nil, nil
	}
	found, err := at.find(ctx, m.Contact)
	if err != nil {
		return Match{}, nil, err
	}
	match, ask, err := at.decide(ctx, e, found)
	if ask == nil {
		at.decided(match, err)
	}
	return match, ask, err
}

// memory is what is remembered of a number.
type memory int

const (
	nothing memory = iota
	knows          // the contact
	decides        // an EnsureContact workflow is about to
)

// recall asks the two memories: Redis, which is fast, and the number's
// EnsureContact workflow, which is right.
func (at *attempt) recall(ctx context.Context, phone sms.Phone) (match Match, m memory, err error) {
	hash := at.Hasher.Phone(phone)
	if c, ok := at.Ledger.Contact(ctx, at.inst.Name, hash); ok {
		return Match{Contact: c.Ref, OwnerID: c.OwnerID, How: c.How, cached: true}, knows, nil
	}
	id := ContactID(at.inst.Name, hash)
	info, err := at.describe(ctx, id)
	if err != nil || info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return Match{}, nothing, err
	}
	decided := info.GetMemo().GetFields()[MemoMatch]
	if decided == nil {
		return Match{}, decides, nil
	}
	if err := at.Converter.FromPayload(decided, &match); err != nil {
		return Match{}, nothing, fmt.Errorf("read memo of %s: %w", id, err)
	}
	if match.Contact.Zero() {
		return Match{}, decides, nil
	}
	return match, knows, nil
}

// ask is the question for EnsureContact about a message's contact.
func (at *attempt) ask(ctx context.Context, e sms.Event) *Ask {
	m := e.Message
	return &Ask{
		Connector: at.inst.Name, Phone: m.Contact, Name: m.ContactName, Email: m.ContactEmail,
		Create: at.inst.Contacts.None == "create" && at.caps.Create && at.mayCreate(ctx, e),
	}
}

// mayCreate reports whether a text may bring a contact into being. One between
// two of the company's own lines never does.
func (at *attempt) mayCreate(ctx context.Context, e sms.Event) bool {
	return at.inst.Contacts.creates(e.Message) && !at.Ledger.Line(ctx, e.Account, at.Hasher.Phone(e.Message.Contact))
}

func (at *attempt) find(ctx context.Context, phone sms.Phone) ([]connectors.Contact, error) {
	found, err := at.inst.Lane().FindContacts(ctx, phone)
	if err != nil {
		return nil, at.failed("find contacts", err)
	}
	return found, nil
}

// decide applies the policy to what the search found.
func (at *attempt) decide(ctx context.Context, e sms.Event, found []connectors.Contact) (Match, *Ask, error) {
	policy := at.inst.Contacts
	switch {
	case len(found) == 1:
		return matched(found[0], MatchOnly, "only match"), nil, nil
	case len(found) > 1 && policy.Several == "sticky":
		return Match{}, at.ask(ctx, e), nil
	case len(found) > 1:
		match, err := policy.choose(found)
		return match, nil, err
	case policy.None == "park":
		return Match{}, nil, errNoContact()
	case policy.None == "unlinked":
		return Match{How: "unlinked: no contact has this number"}, nil, nil
	case !at.caps.Create:
		return Match{How: "unlinked: no contact has this number, and this CRM offers no way to create one"}, nil, nil
	case !at.mayCreate(ctx, e) && at.mayAppear(ctx, e):
		return Match{}, nil, again(Waiting, "an answer may have overtaken the text that creates the contact", replyGrace)
	case !at.mayCreate(ctx, e):
		return Match{How: "unlinked: no contact has this number, and create_when does not allow to create one"}, nil, nil
	}
	return Match{}, at.ask(ctx, e), nil
}

// replyGrace is how long an outbound text to an unknown number waits, once, for
// the inbound text that it may be an automatic answer to.
const replyGrace = 10 * time.Second

// mayAppear reports whether the contact may be about to be created by a text of
// the other direction.
func (at *attempt) mayAppear(ctx context.Context, e sms.Event) bool {
	m := e.Message
	return at.inst.Contacts.CreateWhen == "inbound" && m.Direction == sms.Outbound && m.Contact != m.Line &&
		activity.GetInfo(ctx).Attempt == 1
}

// creates reports whether a message may bring a contact into being, as far as
// the message tells.
func (p ContactPolicy) creates(m sms.Message) bool {
	if m.Contact == m.Line {
		return false
	}
	switch p.CreateWhen {
	case "always":
		return true
	case "outbound":
		return m.Direction == sms.Outbound
	case "never":
		return false
	}
	return m.Direction == sms.Inbound
}

// choose picks one of several contacts. Sticky begins with the most recent one;
// EnsureContact remembers it.
func (p ContactPolicy) choose(found []connectors.Contact) (Match, error) {
	switch p.Several {
	case "park":
		return Match{}, park(SeveralContacts, fmt.Sprintf("%d contacts have this number, and the configuration says to wait for a person: link one", len(found)))
	case "first":
		return matched(found[0], MatchFirst, fmt.Sprintf("first of %d", len(found))), nil
	}
	latest := slices.MaxFunc(found, func(a, b connectors.Contact) int { return a.Updated.Compare(b.Updated) })
	return matched(latest, MatchMostRecent, fmt.Sprintf("most recently updated of %d", len(found))), nil
}

func matched(c connectors.Contact, by Decision, how string) Match {
	return Match{Contact: c.Ref, OwnerID: c.OwnerID, How: how, by: by}
}

// remember caches a match, and tells the number's consent, if there is any,
// that a record has appeared. Only then is it cached, so that a crash between
// the two repeats both.
func (at *attempt) remember(ctx context.Context, e sms.Event, match Match) error {
	if match.Contact.Zero() || match.cached {
		return nil
	}
	hash := at.Hasher.Phone(e.Message.Contact)
	if at.caps.Consent {
		appeared := Appeared{Connector: at.inst.Name, Contact: match.Contact}
		err := at.Temporal.SignalWorkflow(ctx, ConsentID(e.Account, hash), "", SignalContact, appeared)
		if err != nil && !notFound(err) {
			return fmt.Errorf("tell consent of a contact: %w", err)
		}
	}
	at.Ledger.RememberContact(ctx, at.inst.Name, hash, ledger.Contact{Ref: match.Contact, OwnerID: match.OwnerID, How: match.How})
	return nil
}

// FindInput asks for the contact of a number.
type FindInput struct {
	Connector string         `json:"connector"`
	Phone     sms.Phone      `json:"phone"`
	Gone      connectors.Ref `json:"gone,omitzero"` // not this one
	Create    bool           `json:"create,omitempty"`
}

// Found is the result of FindContact. A zero Match means that nobody has the
// number.
type Found struct {
	Match Match `json:"match,omitzero"`
	// Settle and SearchLag are the connector's, for whoever creates next.
	Settle    time.Duration `json:"settle"`
	SearchLag time.Duration `json:"search_lag"`
}

// FindContact searches for a number and applies the policy for none and for
// several matches. It is EnsureContact's.
func (a *Activities) FindContact(ctx context.Context, in FindInput) (Found, error) {
	at, done, err := a.begin(ctx, in.Connector, "")
	if err != nil {
		return Found{}, err
	}
	defer done()
	if !at.caps.Find {
		return Found{}, park(string(connectors.Unsupported), "this CRM offers no search for contacts: link one")
	}
	contacts, err := at.find(ctx, in.Phone)
	if err != nil {
		return Found{}, err
	}
	contacts = slices.DeleteFunc(contacts, func(c connectors.Contact) bool { return !in.Gone.Zero() && c.Same(in.Gone) })
	found := Found{Settle: at.inst.Definition.Settle, SearchLag: at.inst.Definition.SearchLag}
	switch {
	case len(contacts) == 1:
		found.Match = matched(contacts[0], MatchOnly, "only match")
	case len(contacts) > 1:
		found.Match, err = at.inst.Contacts.choose(contacts)
	case !in.Create && at.inst.Contacts.None == "park":
		err = errNoContact()
	}
	if err != nil || !found.Match.Contact.Zero() || !in.Create { // else it is about to be created
		at.decided(found.Match, err)
	}
	return found, err
}

func errNoContact() error {
	return park(NoContact, "no contact has this number, and the configuration says to wait for a person: link one")
}

// Created is the result of CreateContact.
type Created struct {
	Match Match `json:"match"`
}

// CreateContact creates the contact of a number, once. It is EnsureContact's,
// which decides what a failure means.
func (a *Activities) CreateContact(ctx context.Context, ask Ask) (Created, error) {
	at, done, err := a.begin(ctx, ask.Connector, "")
	if err != nil {
		return Created{}, err
	}
	defer done()
	if !at.caps.Create {
		return Created{}, park(string(connectors.Unsupported), "this CRM offers no way to create a contact")
	}
	contact, err := at.create(ctx, connectors.NewContact{
		Key: at.Hasher.Phone(ask.Phone), Phone: ask.Phone, Name: ask.Name, Email: ask.Email, OwnerID: ask.OwnerID,
		Type: at.inst.Contacts.CreateAs, Fields: ask.Fields,
	})
	if err != nil {
		return Created{}, at.failed("create contact", err)
	}
	match := matched(contact, MatchCreated, "created")
	at.decided(match, nil)
	return Created{Match: match}, nil
}

// create creates the contact, and without an owner where the CRM refuses it with
// one.
func (at *attempt) create(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	contact, err := at.inst.Lane().CreateContact(ctx, n)
	if n.OwnerID != "" && refusesOwner(err) {
		n.OwnerID = ""
		return at.inst.Lane().CreateContact(ctx, n)
	}
	return contact, err
}

func notFound(err error) bool {
	_, ok := errors.AsType[*serviceerror.NotFound](err)
	return ok
}
