package odoo

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors"
)

// user is one who can sign in.
type user struct {
	ID      int              `json:"id"`
	Login   string           `json:"login"`
	Email   optional[string] `json:"email"`
	Partner link             `json:"partner_id"`
}

// FindOwners implements connectors.OwnerFinder in one request. The login counts
// more than the address, which several users may have.
func (c *Connector) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	if len(emails) == 0 {
		return nil, nil
	}
	var terms []term
	for _, email := range emails {
		terms = append(terms, term{"login", "=ilike", email}, term{"email", "=ilike", email})
	}
	users, err := search[user](ctx, c.api, query{op: "find owners", model: "res.users", domain: anyOf(terms), fields: []string{"login", "email", "partner_id"}})
	if err != nil {
		return nil, err
	}
	owners := make([]string, len(emails))
	for i, email := range emails {
		owners[i] = ownerWith(users, email)
	}
	return owners, nil
}

// ownerWith compares anew: to =ilike an underscore is any character.
func ownerWith(users []user, email string) string {
	for _, of := range []func(user) string{
		func(u user) string { return u.Login },
		func(u user) string { return u.Email.Value },
	} {
		at := slices.IndexFunc(users, func(u user) bool { return strings.EqualFold(of(u), email) })
		if email != "" && at >= 0 {
			return strconv.Itoa(users[at].ID)
		}
	}
	return ""
}

// agents answers the partner id of each owner of some records: users write as
// their partners.
func (c *Connector) agents(ctx context.Context, op string, records []connectors.Record, items []int) (map[string]string, error) {
	var ids []int
	for _, i := range items {
		if id, err := strconv.Atoi(records[i].OwnerID); err == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	agents := map[string]string{}
	if len(ids) == 0 {
		return agents, nil
	}
	users, err := search[user](ctx, c.api, query{op: op, model: "res.users", domain: allOf(term{"id", "in", ids}), fields: []string{"login", "partner_id"}, archived: true})
	for _, u := range users {
		agents[strconv.Itoa(u.ID)] = u.Partner.String()
	}
	return agents, err
}
