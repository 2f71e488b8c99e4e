package connectortest

import "crmsync/connectors/fakes"

// What the suite looks at is what every fake of a vendor has.
type (
	// Message is a text's record as the vendor stores it.
	Message = fakes.Message
	// Contact is a contact as the vendor stores it.
	Contact = fakes.Contact
	// Store looks into a vendor's fake. [CRM] is one.
	Store = fakes.Store

	messageAdder = fakes.MessageAdder
	meddler      = fakes.Meddler
	ownerAdder   = fakes.OwnerAdder
	fieldRemover = fakes.FieldRemover
	fieldNamer   = fakes.FieldNamer
)
