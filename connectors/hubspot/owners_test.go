package hubspot_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/hubspot/fake"
)

func TestOwnersCostFewRequests(t *testing.T) {
	t.Parallel()
	a := open(t, fake.Options{}, "")
	var ids, emails []string
	for i := range 1200 {
		email := fmt.Sprintf("user%d@example.com", i)
		ids, emails = append(ids, a.AddOwner(email)), append(emails, email)
	}
	var found []string
	find := func(emails ...string) func() {
		return func() {
			var err error
			found, err = a.FindOwners(t.Context(), emails)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 1, a.cost(find("User1100@example.com")), "one address is asked for by itself")
	require.Equal(t, []string{ids[1100]}, found)
	require.Equal(t, 1, a.cost(find("user3@example.com", "", "user3@example.com")))
	require.Equal(t, []string{ids[3], "", ids[3]}, found)
	require.Equal(t, 3, a.cost(find(emails...)), "500 on a page")
	require.Equal(t, ids, found)
}
