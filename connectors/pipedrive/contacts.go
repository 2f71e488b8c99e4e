package pipedrive

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/phones"
	"crmsync/sms"
)

// contactType is the only kind of contact. Leads in Pipedrive are what a person may
// buy, and hold no number.
const contactType = "person"

// shortest is the shortest term of a search, in characters.
const shortest = 2

// FindContacts implements connectors.ContactFinder in one request for each number,
// since a search takes one term, and in one more where several persons have the
// number: a search does not tell when they were updated.
func (c *Connector) FindContacts(ctx context.Context, numbers []sms.Phone) ([][]connectors.Contact, error) {
	out := make([][]connectors.Contact, len(numbers))
	for i, p := range numbers {
		found, err := c.findContacts(ctx, p)
		if err != nil {
			return nil, err
		}
		out[i] = found
	}
	return out, nil
}

func (c *Connector) findContacts(ctx context.Context, p sms.Phone) ([]connectors.Contact, error) {
	const op = "find contacts"
	var found []connectors.Contact
	for _, term := range c.terms(p) {
		err := c.api.searchPersons(ctx, op, term, c.fields(), func(h hit) {
			known := slices.ContainsFunc(found, func(f connectors.Contact) bool { return f.ID == h.ID.String() })
			if raw := slices.Concat(h.Phones, h.CustomFields); !known && carries(p, raw) {
				found = append(found, c.contact(ctx, p, person{ID: h.ID, Name: h.Name, OwnerID: h.Owner.ID}, raw))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(found) < 2 {
		return found, nil
	}
	return c.dated(ctx, op, found)
}

// terms are what is searched for.
func (c *Connector) terms(p sms.Phone) []string {
	terms := []string{string(p)}
	switch {
	case c.cfg.PhoneSearch == Endings:
		terms = endings(p)
	case p.E164():
		terms = []string{p.National()}
	}
	return slices.DeleteFunc(terms, func(t string) bool { return len(t) < shortest })
}

// endings are the last four digits, as the usual spellings have them: in most
// countries in one piece, whatever stands between the others.
func endings(p sms.Phone) []string {
	var all []string
	for _, s := range phones.Spellings(p) {
		begin := len(s)
		for digits := 0; begin > 0 && digits < 4; {
			begin--
			if s[begin] >= '0' && s[begin] <= '9' {
				digits++
			}
		}
		if !slices.Contains(all, s[begin:]) {
			all = append(all, s[begin:])
		}
	}
	return all
}

func (c *Connector) fields() string {
	if c.cfg.CustomPhones {
		return "phone,custom_fields"
	}
	return "phone"
}

func carries(p sms.Phone, raw []string) bool {
	return slices.ContainsFunc(raw, func(r string) bool { return phones.Same(p, r) })
}

func (c *Connector) personRef(ctx context.Context, person id) connectors.Ref {
	return connectors.Ref{Type: contactType, ID: person.String(), URL: c.api.personURL(ctx, person.String())}
}

// contact answers a person in the words of the contract.
func (c *Connector) contact(ctx context.Context, p sms.Phone, who person, raw []string) connectors.Contact {
	out := connectors.Contact{
		Ref:  c.personRef(ctx, who.ID),
		Name: who.Name, Phones: numbers(p, raw), OwnerID: who.OwnerID.String(),
	}
	out.Updated, _ = time.Parse(time.RFC3339, who.UpdateTime)
	return out
}

// numbers answers those in raw, once each. One without a country is read as of p's.
func numbers(p sms.Phone, raw []string) []sms.Phone {
	var all []sms.Phone
	for _, r := range raw {
		number, err := sms.ParsePhone(r, phones.Region(p))
		if phones.Same(p, r) {
			number = p
		} else if err != nil || !number.E164() {
			continue
		}
		if !slices.Contains(all, number) {
			all = append(all, number)
		}
	}
	return all
}

// maxIDs is how many persons a list by id takes.
const maxIDs = 100

// dated adds when each was updated, and leaves out who was deleted: a search may
// not know yet.
func (c *Connector) dated(ctx context.Context, op string, found []connectors.Contact) ([]connectors.Contact, error) {
	updated := map[string]time.Time{}
	for part := range slices.Chunk(found, maxIDs) {
		ids := make([]string, len(part))
		for i, f := range part {
			ids[i] = f.ID
		}
		persons, err := c.api.persons(ctx, op, ids)
		if err != nil {
			return nil, err
		}
		for _, p := range persons {
			if !p.IsDeleted {
				updated[p.ID.String()], _ = time.Parse(time.RFC3339, p.UpdateTime)
			}
		}
	}
	for i, f := range found {
		found[i].Updated = updated[f.ID]
	}
	return slices.DeleteFunc(found, func(f connectors.Contact) bool { _, there := updated[f.ID]; return !there }), nil
}

// CreateContact implements connectors.ContactCreator. It is not idempotent:
// Pipedrive takes any number of persons with one number.
func (c *Connector) CreateContact(ctx context.Context, n connectors.NewContact) (connectors.Contact, error) {
	const op = "create contact"
	if !slices.Contains([]string{"", contactType, "contact"}, n.Type) {
		return connectors.Contact{}, &connectors.Error{Op: op, Kind: connectors.Unsupported, Err: errors.New("contacts in Pipedrive are persons")}
	}
	added, err := c.api.addPerson(ctx, op, newPerson(n))
	if err != nil {
		return connectors.Contact{}, err
	}
	return c.contact(ctx, n.Phone, added, []string{string(n.Phone)}), nil
}

// newPerson has the number for a name where nobody knows one: Pipedrive asks for a
// name.
func newPerson(n connectors.NewContact) map[string]any {
	body := extra(n.Fields)
	body["name"] = line(n.Name)
	if body["name"] == "" {
		body["name"] = string(n.Phone)
	}
	body["phones"] = []phone{{Value: string(n.Phone), Primary: true, Label: "mobile"}}
	if n.Email != "" {
		body["emails"] = []phone{{Value: n.Email, Primary: true, Label: "work"}}
	}
	if n.OwnerID != "" {
		body["owner_id"] = id(n.OwnerID)
	}
	return body
}

// extra are the fields that the configuration sets on new persons: custom ones by
// their keys, others by the API's names. A value that is JSON, such as a number or
// a list, is sent as that, any other as text.
func extra(fields map[string]string) map[string]any {
	body, custom := map[string]any{}, map[string]any{}
	for name, text := range fields {
		var value any = text
		if json.Valid([]byte(text)) {
			value = json.RawMessage(text)
		}
		if fieldKey.MatchString(name) {
			custom[name] = value
		} else {
			body[name] = value
		}
	}
	if len(custom) > 0 {
		body["custom_fields"] = custom
	}
	return body
}

// SetConsent implements connectors.ConsentSetter in one request for each person,
// after one that looks the field up where the settings do not hold its key.
func (c *Connector) SetConsent(ctx context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	const op = "set consent"
	if len(changes) == 0 {
		return nil
	}
	key := c.cfg.OptOutField
	if !fieldKey.MatchString(key) {
		var err error
		if key, err = c.optOutKey(ctx, op); err != nil {
			return connectors.FailAll(len(changes), connectors.AsError(op, err))
		}
	}
	return each(op, changes, func(s connectors.ConsentChange) (connectors.Ref, connectors.State, error) {
		if key == "" {
			return connectors.Ref{}, connectors.NotApplicable, nil
		}
		return s.Contact, connectors.Written, c.api.setField(ctx, op, s.Contact.ID, key, consentLine(s.Consent))
	})
}
