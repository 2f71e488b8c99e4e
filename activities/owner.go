package activities

import (
	"context"
	"errors"
	"strings"

	"crmsync/connectors"
	"crmsync/sms"
)

// OwnerPolicy says who owns what is written: the first whom one of the sources
// names and the CRM knows.
type OwnerPolicy struct {
	From []string // agent, line, contact: where to look, in order
	// Default is the e-mail address of the owner where none is found; empty
	// leaves it to the CRM.
	Default string
}

// Staff is who the agents and the lines of a JustCall account are: e-mail
// addresses of users of the CRMs.
type Staff struct {
	Agents map[string]string // by id, name or e-mail address, in lower case
	Lines  map[sms.Phone]string
}

// agent answers an agent's e-mail address: that of the table, else what the
// event says, else "".
func (s Staff) agent(a sms.Agent) string {
	for _, name := range []string{a.ID, a.Email, a.Name} {
		if email := s.Agents[strings.ToLower(name)]; email != "" {
			return email
		}
	}
	return a.Email
}

// owner answers the id of the user who owns what is written of an event, "" for
// none.
func (at *attempt) owner(ctx context.Context, e sms.Event, contactOwner string) (string, error) {
	for _, from := range at.inst.Owner.From {
		id, err := contactOwner, error(nil)
		switch from {
		case "agent":
			id, err = at.user(ctx, at.agent(ctx, e))
		case "line":
			id, err = at.user(ctx, at.line(ctx, e))
		}
		if err != nil || id != "" {
			return id, err
		}
	}
	return at.user(ctx, at.inst.Owner.Default)
}

// agent answers the e-mail address of an event's agent: what the configuration
// says, else the event, else JustCall.
func (at *attempt) agent(ctx context.Context, e sms.Event) string {
	email := at.Staff[e.Account].agent(e.Message.Agent)
	if people := at.People[e.Account]; email == "" && e.Message.Agent.ID != "" && people != nil && at.findsOwners() {
		email = people.Agent(ctx, e.Message.Agent.ID)
	}
	return email
}

// line answers the e-mail address of whom an event's line belongs to: what the
// configuration says, else JustCall.
func (at *attempt) line(ctx context.Context, e sms.Event) string {
	email := at.Staff[e.Account].Lines[e.Message.Line]
	if people := at.People[e.Account]; email == "" && e.Message.Line != "" && people != nil && at.findsOwners() {
		email = people.Line(ctx, e.Message.Line)
	}
	return email
}

func (at *attempt) findsOwners() bool {
	_, ok := at.inst.Connector.(connectors.OwnerFinder)
	return ok
}

// user answers the id of the CRM's user with an e-mail address, "" for none, and
// remembers it. A CRM that lets nobody look that up keeps no text from its
// timeline.
func (at *attempt) user(ctx context.Context, email string) (string, error) {
	if !at.findsOwners() || email == "" {
		return "", nil
	}
	email = strings.ToLower(strings.TrimSpace(email))
	hash := at.Hasher.Email(email)
	if id, ok := at.Ledger.Owner(ctx, at.inst.Name, hash); ok {
		return id, nil
	}
	id, err := at.inst.Lane().FindOwner(ctx, email)
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Kind.Permanent() {
		at.inst.ownerless.Do(func() {
			at.log.Warn("owners cannot be looked up: what is written has none by e-mail address", "kind", e.Kind, "status", e.Status)
		})
		id, err = "", nil
	}
	if err != nil {
		return "", at.failed("find owners", err)
	}
	at.Ledger.RememberOwner(ctx, at.inst.Name, hash, id)
	return id, nil
}

// refusesOwner reports whether a write was refused for what it says, which may
// be its owner.
func refusesOwner(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Kind == connectors.Invalid && !e.Ambiguous
}
