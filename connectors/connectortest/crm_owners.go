package connectortest

import (
	"context"
	"fmt"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// apiOwners are the ids of users, in the order of the question.
type apiOwners struct {
	Owners []string `json:"owners"`
}

// AddOwner creates a user and answers the id.
func (c *CRM) AddOwner(email string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprintf("u%d", len(c.owners)+1)
	c.owners[strings.ToLower(email)] = id
	return id
}

func (c *CRM) findOwners(emails []string) apiOwners {
	out := apiOwners{Owners: make([]string, len(emails))}
	for i, email := range emails {
		out.Owners[i] = c.owners[strings.ToLower(email)]
	}
	return out
}

// FindOwners implements connectors.OwnerFinder, for all addresses in one request.
func (c *testcrm) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	if len(emails) == 0 {
		return nil, nil
	}
	var out apiOwners
	_, err := c.api.Do(ctx, rest.Request{
		Op: "find owners", Method: "POST", Path: "owners/search", ReadOnly: true, Body: apiBatch[string]{emails}, Into: &out,
	})
	if err == nil && len(out.Owners) != len(emails) {
		err = &connectors.Error{Op: "find owners", Kind: connectors.Unknown, Err: errResults}
	}
	return out.Owners, err
}
