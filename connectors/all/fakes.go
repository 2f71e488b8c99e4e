package all

import (
	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/connectors/hubspot"
	hubspotfake "crmsync/connectors/hubspot/fake"
	"crmsync/connectors/odoo"
	odoofake "crmsync/connectors/odoo/fake"
	"crmsync/connectors/pipedrive"
	pipedrivefake "crmsync/connectors/pipedrive/fake"
	"crmsync/connectors/salesforce"
	salesforcefake "crmsync/connectors/salesforce/fake"
)

// Fake is a vendor that can be tried without an account.
type Fake struct {
	Connector connectors.Definition
	New       func() fakes.Fake
	// HTML says that the vendor keeps texts as HTML.
	HTML bool
}

// Fakes answers the vendors that can be tried, ordered by name. What a fake holds
// is in memory only.
func Fakes() []Fake {
	return []Fake{
		{hubspot.Definition(), func() fakes.Fake { return hubspotfake.New(hubspotfake.Options{}) }, true},
		{odoo.Definition(), func() fakes.Fake { return odoofake.New(odoofake.Options{}) }, true},
		{pipedrive.Definition(), func() fakes.Fake { return pipedrivefake.New(pipedrivefake.Options{}) }, true},
		{salesforce.Definition(), func() fakes.Fake { return salesforcefake.New(salesforcefake.Options{}) }, false},
	}
}
