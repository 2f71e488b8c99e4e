package all

import (
	"crmsync/connectors/fakes"
	hubspot "crmsync/connectors/hubspot/fake"
	odoo "crmsync/connectors/odoo/fake"
	pipedrive "crmsync/connectors/pipedrive/fake"
	salesforce "crmsync/connectors/salesforce/fake"
)

// Fake is a vendor that can be tried without an account.
type Fake struct {
	// Name is that of the vendor's connector.
	Name string
	New  func() fakes.Fake
	// HTML says that the vendor keeps texts as HTML.
	HTML bool
}

// Fakes answers the vendors that can be tried, ordered by name. What a fake holds
// is in memory only.
func Fakes() []Fake {
	return []Fake{
		{"hubspot", func() fakes.Fake { return hubspot.New(hubspot.Options{}) }, true},
		{"odoo", func() fakes.Fake { return odoo.New(odoo.Options{}) }, true},
		{"pipedrive", func() fakes.Fake { return pipedrive.New(pipedrive.Options{}) }, true},
		{"salesforce", func() fakes.Fake { return salesforce.New(salesforce.Options{}) }, false},
	}
}
