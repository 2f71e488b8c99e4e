package connectortest

import (
	"context"
	"net/http"
	"slices"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// ownFields are the custom fields that connector testcrm needs, the key's above
// all. A new CRM has them.
var ownFields = []string{keyField, "message_status"}

const keyField = "message_key"

// apiFields are names of custom fields.
type apiFields struct {
	Fields []string `json:"fields"`
}

// TextField implements fakes.FieldNamer. This CRM takes any name.
func (c *CRM) TextField() string { return "city" }

// RemoveFields implements fakes.FieldRemover. Without the key's field texts are
// refused.
func (c *CRM) RemoveFields() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fields = nil
}

func (c *CRM) createFields(names []string) apiFields {
	for _, name := range names {
		if !slices.Contains(c.fields, name) {
			c.fields = append(c.fields, name)
		}
	}
	return apiFields{slices.Clone(c.fields)}
}

// Provision implements connectors.Provisioner in two requests at most.
func (c *testcrm) Provision(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
	var there apiFields
	if _, err := c.api.Do(ctx, rest.Request{Op: "provision", Path: "fields", Into: &there}); err != nil {
		return nil, err
	}
	var missing []string
	var changes []connectors.Change
	for _, field := range ownFields {
		if !slices.Contains(there.Fields, field) {
			missing = append(missing, field)
			changes = append(changes, connectors.Change{What: "create field " + field, Done: !dryRun})
		}
	}
	if dryRun || len(missing) == 0 {
		return changes, nil
	}
	_, err := c.api.Do(ctx, rest.Request{Op: "provision", Method: http.MethodPost, Path: "fields", Body: apiFields{missing}})
	if err != nil {
		return nil, err
	}
	return changes, nil
}
