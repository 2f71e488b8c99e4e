package pipedrive

import (
	"context"
	"strings"
)

// FindOwners implements connectors.OwnerFinder in one request: the list of all
// users costs 20 tokens, a search for one of them 40.
func (c *Connector) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	if len(emails) == 0 {
		return nil, nil
	}
	users, err := c.api.users(ctx, "find owners")
	if err != nil {
		return nil, err
	}
	byEmail := map[string]string{}
	for _, u := range users {
		if u.Active && !u.IsDeleted {
			byEmail[strings.ToLower(u.Email)] = u.ID.String()
		}
	}
	ids := make([]string, len(emails))
	for i, email := range emails {
		ids[i] = byEmail[strings.ToLower(email)]
	}
	return ids, nil
}
