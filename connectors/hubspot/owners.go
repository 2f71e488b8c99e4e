package hubspot

import (
	"context"
	"strings"
)

const opOwners = "find owners"

// maxOwners is the largest page of owners.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/owners/guide
const maxOwners = 500

// FindOwners implements connectors.OwnerFinder: one address in one request,
// several in one for each 500 users of the account.
func (c *Connector) FindOwners(ctx context.Context, emails []string) ([]string, error) {
	ids := make([]string, len(emails))
	wanted := map[string]string{} // the id of each address, in small letters
	only := ""
	for _, e := range emails {
		if e != "" {
			only = strings.ToLower(e)
			wanted[only] = ""
		}
	}
	if len(wanted) > 1 {
		only = ""
	}
	if len(wanted) > 0 {
		if err := c.fillIn(ctx, wanted, only); err != nil {
			return nil, err
		}
	}
	for i, e := range emails {
		ids[i] = wanted[strings.ToLower(e)]
	}
	return ids, nil
}

// fillIn finds the ids of the wanted addresses, of which there may be only one.
func (c *Connector) fillIn(ctx context.Context, wanted map[string]string, only string) error {
	for after := ""; ; {
		page, err := c.api.owners(ctx, opOwners, only, after)
		if err != nil {
			return err
		}
		for _, o := range page.Results {
			if _, is := wanted[strings.ToLower(o.Email)]; is {
				wanted[strings.ToLower(o.Email)] = o.ID
			}
		}
		next := page.Paging.Next.After
		if next == "" || next == after {
			return nil
		}
		after = next
	}
}
