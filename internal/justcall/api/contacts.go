package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"crmsync/connectors/rest"
	"crmsync/sms"
)

// The lists that a contact may be on: nobody calls from (blacklist), to (dnd), or
// texts to (dnm) a number on them.
const (
	blacklist = "blacklist"
	dnd       = "dnd"
	dnm       = "dnm"
)

// Contact is somebody in JustCall's address book.
type Contact struct {
	ID, FirstName, LastName, Email, Company string
	Phone                                   sms.Phone
	Status                                  Status
}

// Status says which lists a contact is on.
type Status struct{ Blacklist, DND, DNM bool }

// Contacts answers one page of the contacts of all agents, those with a number
// where one is given (https://developer.justcall.io/reference/contacts_list_v21);
// UNSUPPORTED in v2, as all calls for contacts.
func (c *Client) Contacts(ctx context.Context, phone sms.Phone, from Cursor) (contacts []Contact, next Cursor, err error) {
	query := url.Values{"across_team": {flag(true)}}
	if phone != "" {
		query.Set("contact_number", string(phone))
	}
	rows, next, err := c.rows(ctx, "list contacts", "v2.1/contacts", query, from)
	for _, row := range rows {
		if contact := c.contact(row); phone == "" || contact.Phone == phone {
			contacts = append(contacts, contact)
		}
	}
	return contacts, next, err
}

// Contact answers one contact; NOT_FOUND where there is none.
func (c *Client) Contact(ctx context.Context, id string) (Contact, error) {
	const op = "get contact"
	if err := c.newer(op); err != nil {
		return Contact{}, err
	}
	raw, err := c.one(ctx, op, path("v2.1", "contacts", id))
	if err != nil {
		return Contact{}, err
	}
	var row map[string]json.RawMessage
	if json.Unmarshal(raw, &row) != nil || number(row["id"]) != id {
		return Contact{}, unknown(op, "the answer is no such contact")
	}
	return c.contact(row), nil
}

// CreateContact creates a contact for all agents and answers its id. Its own ID
// and Status are ignored.
func (c *Client) CreateContact(ctx context.Context, contact Contact) (id string, err error) {
	answer, err := c.write(ctx, "create contact", http.MethodPost, "v2.1/contacts", contact.fields())
	return newID(answer), err
}

// UpdateContact changes the contact with that ID: fields that are empty stay as
// they are. The id goes into the body, as the vendor's own client sends it.
func (c *Client) UpdateContact(ctx context.Context, contact Contact) error {
	fields := contact.fields()
	fields["id"] = json.Number(contact.ID)
	_, err := c.write(ctx, "update contact", http.MethodPut, "v2.1/contacts", fields)
	return err
}

// SetContactStatus puts a number on the lists that are true in add, and takes it
// from those that are true in remove, for all agents
// (https://developer.justcall.io/reference/update_contact_status_v21).
func (c *Client) SetContactStatus(ctx context.Context, phone sms.Phone, add, remove Status) error {
	fields := map[string]any{"contact_number": string(phone), "across_team": true}
	for name, s := range map[string]Status{"add_to": add, "remove_from": remove} {
		if lists := s.lists(); len(lists) > 0 {
			fields[name] = lists
		}
	}
	_, err := c.write(ctx, "set contact status", http.MethodPut, "v2.1/contacts/status", fields)
	return err
}

func (c *Client) write(ctx context.Context, op, method, path string, fields map[string]any) (answer map[string]json.RawMessage, err error) {
	if err := c.newer(op); err != nil {
		return nil, err
	}
	_, err = c.rest.Do(ctx, rest.Request{Op: op, Method: method, Path: path, Body: fields, Into: &answer})
	return answer, err
}

func (c Contact) fields() map[string]any {
	fields := map[string]any{"across_team": true}
	for name, value := range map[string]string{
		"first_name": c.FirstName, "last_name": c.LastName, "email": c.Email, "company": c.Company, "contact_number": string(c.Phone),
	} {
		if value != "" {
			fields[name] = value
		}
	}
	return fields
}

func (c *Client) contact(row map[string]json.RawMessage) Contact {
	return Contact{
		ID: number(row["id"]), FirstName: scalar(row["first_name"]), LastName: scalar(row["last_name"]),
		Email: scalar(row["email"]), Company: scalar(row["company"]), Phone: c.phone(row["contact_number"]),
		Status: statusOf(row, false),
	}
}

// statusOf reads a row's status; a list that it does not name has the default.
func statusOf(row map[string]json.RawMessage, byDefault bool) Status {
	var status map[string]json.RawMessage
	_ = json.Unmarshal(row["status"], &status) // none otherwise
	on := func(name string) bool {
		switch raw := string(status[name]); raw {
		case "true", "1", `"1"`, `"true"`:
			return true
		case "":
			return byDefault
		}
		return false
	}
	return Status{Blacklist: on(blacklist), DND: on(dnd), DNM: on(dnm)}
}

func (s Status) lists() (names []string) {
	for _, l := range []struct {
		name string
		on   bool
	}{{blacklist, s.Blacklist}, {dnd, s.DND}, {dnm, s.DNM}} {
		if l.on {
			names = append(names, l.name)
		}
	}
	return names
}
