// Package all lists the connectors that crmsync comes with. A build of one's
// own appends its definitions to these.
package all

import (
	"crmsync/connectors"
	"crmsync/connectors/httpapi"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/odoo"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/salesforce"
	"crmsync/connectors/sandbox"
)

// Connectors answers the definition of every connector, ordered by name.
func Connectors() []connectors.Definition {
	return []connectors.Definition{
		httpapi.Definition(),
		hubspot.Definition(),
		odoo.Definition(),
		pipedrive.Definition(),
		salesforce.Definition(),
		sandbox.Definition(),
	}
}
