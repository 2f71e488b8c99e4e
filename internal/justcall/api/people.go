package api

import (
	"context"
	"encoding/json"
	"net/url"

	"crmsync/internal/justcall"
	"crmsync/sms"
)

// User is somebody who works with the account: an agent.
type User struct {
	ID, Name, Email string
	// Lines are the company's numbers that are this user's alone.
	Lines []sms.Phone
}

// Users answers one page of the account's users
// (https://developer.justcall.io/reference/users_list_v21); UNSUPPORTED in v2.
func (c *Client) Users(ctx context.Context, from Cursor) (users []User, next Cursor, err error) {
	rows, next, err := c.rows(ctx, "list users", "v2.1/users", nil, from)
	for _, row := range rows {
		u := User{ID: number(row["id"]), Name: scalar(row["name"]), Email: scalar(row["email"])}
		var lines []json.RawMessage
		_ = json.Unmarshal(row["owned_numbers"], &lines) // none otherwise
		for _, line := range lines {
			if p := c.phone(line); p != "" {
				u.Lines = append(u.Lines, p)
			}
		}
		users = append(users, u)
	}
	return users, next, err
}

// Number is one of the company's numbers.
type Number struct {
	ID, Name string
	Line     sms.Phone
	// Owner is whose it is; the zero User where it is nobody's alone.
	Owner User
}

// Numbers answers one page of the company's numbers
// (https://developer.justcall.io/reference/phone_number_list_v21); UNSUPPORTED in
// v2. A number that cannot be read is left out.
func (c *Client) Numbers(ctx context.Context, from Cursor) (numbers []Number, next Cursor, err error) {
	rows, next, err := c.rows(ctx, "list numbers", "v2.1/phone-numbers", nil, from)
	for _, row := range rows {
		n := Number{ID: number(row["id"]), Name: scalar(row["justcall_line_name"]), Line: c.phone(row["justcall_number"])}
		// The form of an owner is not documented but that it is an object.
		var owner map[string]json.RawMessage
		_ = json.Unmarshal(row["number_owner"], &owner)
		n.Owner = User{ID: firstOf(owner, "id", "agent_id", "user_id"), Name: firstOf(owner, "name", "agent_name"), Email: firstOf(owner, "email", "agent_email")}
		if n.Line != "" {
			numbers = append(numbers, n)
		}
	}
	return numbers, next, err
}

func firstOf(row map[string]json.RawMessage, names ...string) string {
	for _, name := range names {
		if s := number(row[name]); s != "" {
			return s
		}
	}
	return ""
}

// Suppressed answers one page of the do-not-message list of all agents
// (https://developer.justcall.io/reference/list_blacklist_contacts_v21);
// UNSUPPORTED in v2. A number that cannot be read is left out: nobody can write to
// it, either.
func (c *Client) Suppressed(ctx context.Context, from Cursor) (phones []sms.Phone, next Cursor, err error) {
	query := url.Values{"status": {dnm}, "across_team": {flag(true)}}
	rows, next, err := c.rows(ctx, "list suppressed", "v2.1/contacts/blacklist", query, from)
	for _, row := range rows {
		// The same list has those who may not be called.
		if !statusOf(row, true).DNM {
			continue
		}
		if p := c.phone(row["contact_number"]); p != "" {
			phones = append(phones, p)
		}
	}
	return phones, next, err
}

// rows answers one page of a list of 2.1 as objects. What is none is left out.
func (c *Client) rows(ctx context.Context, op, path string, query url.Values, from Cursor) ([]map[string]json.RawMessage, Cursor, error) {
	if err := c.newer(op); err != nil {
		return nil, "", err
	}
	if query == nil {
		query = url.Values{}
	}
	// The newest have the highest ids: in this order, none moves to a page that was read.
	query.Set("per_page", perPage)
	query.Set("order", "asc")
	s, err := c.step(ctx, op, path, query, from)
	if err != nil {
		return nil, "", err
	}
	var rows []map[string]json.RawMessage
	for _, raw := range s.rows {
		var row map[string]json.RawMessage
		if json.Unmarshal(raw, &row) == nil && row != nil {
			rows = append(rows, row)
		}
	}
	if s.last {
		return rows, "", nil
	}
	return rows, s.next.cursor(), nil
}

func (c *Client) phone(raw json.RawMessage) sms.Phone {
	return justcall.ParseNumber(scalar(raw), c.settings.Region)
}
