package salesforce

import (
	"context"
	"strings"

	"crmsync/connectors"
)

var _ connectors.OwnerFinder = (*Connector)(nil)

// FindOwners implements connectors.OwnerFinder in one request for a few hundred
// addresses. It finds active users of the company itself, none of a portal; of
// several with one address the oldest.
func (c *Connector) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	if len(emails) == 0 {
		return nil, nil
	}
	found, err := c.api.where(ctx, "find owners",
		"SELECT Id, Email, CreatedDate FROM "+user+" WHERE IsActive = true AND UserType = 'Standard' AND Email IN", emails)
	if err != nil {
		return nil, err
	}
	oldest := map[string]record{}
	for _, r := range found {
		email := strings.ToLower(r.str("Email"))
		if old := oldest[email]; old == nil || r.str("CreatedDate") < old.str("CreatedDate") {
			oldest[email] = r
		}
	}
	ids := make([]string, len(emails))
	for i, email := range emails {
		ids[i] = oldest[strings.ToLower(email)].str("Id")
	}
	return ids, nil
}
