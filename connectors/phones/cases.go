package phones

import "crmsync/sms"

// Case is a number and how a contact's record may hold it.
type Case struct {
	Name   string
	Phone  sms.Phone // that is looked for
	Stored string
	Same   bool
}

// Cases are what every connector that searches by number gets right: the
// conformance suite tries each.
func Cases() []Case {
	return []Case{
		{"E.164", "+15125550100", "+15125550100", true},
		{"digits with country code", "+15125550100", "15125550100", true},
		{"national digits", "+15125550100", "5125550100", true},
		{"national, parentheses", "+15125550100", "(512) 555-0100", true},
		{"national, hyphens", "+15125550100", "512-555-0100", true},
		{"national, dots", "+15125550100", "512.555.0100", true},
		{"international, spaces", "+15125550100", "+1 512 555 0100", true},
		{"international, hyphens", "+15125550100", "+1 512-555-0100", true},
		{"with a trunk prefix", "+442079460958", "020 7946 0958", true},
		{"without a trunk prefix", "+442079460958", "+44 20 7946 0958", true},
		{"digits with country code that could be national ones", "+4915112345678", "4915112345678", true},
		{"double zero", "+4915112345678", "004915112345678", true},
		{"national, spaces", "+4915112345678", "01511 2345678", true},
		{"leading zero that stays", "+390612345678", "+39 06 1234 5678", true},
		{"eight digits", "+6561234567", "+65 6123 4567", true},
		{"with an extension", "+15125550100", "+1 512-555-0100 ext. 5", true},
		{"another area", "+15125550100", "(415) 555-0100", false},
		{"another country", "+15125550100", "+44 5125 550100", false},
		{"longer", "+15125550100", "+151255501001", false},
		{"the same ending", "+15125550100", "+17375550100", false},
	}
}
