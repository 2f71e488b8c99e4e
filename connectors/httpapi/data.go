package httpapi

import (
	"maps"
	"net/url"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/templates"
	"crmsync/sms"
)

// What templates and expressions see, one struct for each operation. Their
// names stand in people's configurations: they are append-only.
type (
	nothing struct{}

	search struct {
		Phone phone
		// Number is Phone in the spelling whose turn it is.
		Number string
	}

	newContact struct {
		Key   string
		Phone phone
		Name  string
		Email string
		Owner string
		// Type and Fields are what the configuration wants of new contacts.
		Type   string
		Fields map[string]string
	}

	text struct {
		Key, Account, ID string
		Marker           string
		Subject, Body    string
		Direction        string
		Phone, Line      phone
		At               time.Time
		Agent            sms.Agent
		Media            []sms.Media
		Contact          connectors.Ref
		Owner            string
		ContactName      string
		ContactEmail     string
		Medium           string
	}

	// batch is what put_message sees in its batch form.
	batch struct{ Items []text }

	status struct {
		Key, Account, ID string
		Marker           string
		// Record is the text's record. Its contact may be forgotten by now; what
		// a request needs of it goes into Record.Parent.
		Record      connectors.Ref
		Status      string
		Reason      string
		At          time.Time
		Direction   string
		Phone, Line phone
	}

	consent struct {
		Contact  connectors.Ref
		Phone    phone
		OptedOut bool
		At       time.Time
	}
)

// phone is a number as templates see it.
type phone = templates.Phone

// marker is what a text of class D carries, so that it can be found again. One
// never stands within another.
func marker(key string) string {
	return "[crmsync " + strings.NewReplacer("%", "%25", "[", "%5B", "]", "%5D").Replace(key) + "]"
}

func newText(r connectors.Record) text {
	m := r.Message
	return text{
		Key: r.Key, Account: account(r.Key), ID: m.ID, Marker: marker(r.Key), Subject: r.Subject, Body: r.Body,
		Direction: string(m.Direction), Phone: phone(m.Contact), Line: phone(m.Line), At: m.At, Agent: m.Agent,
		Media:   append([]sms.Media{}, m.Media...), // never null in JSON
		Contact: r.Contact, Owner: r.OwnerID, ContactName: m.ContactName, ContactEmail: m.ContactEmail, Medium: m.Medium,
	}
}

func newStatus(c connectors.StatusChange) status {
	m := c.Message
	return status{
		Key: c.Key, Account: account(c.Key), ID: m.ID, Marker: marker(c.Key), Record: c.Record,
		Status: string(c.Status), Reason: c.Reason, At: c.At,
		Direction: string(m.Direction), Phone: phone(m.Contact), Line: phone(m.Line),
	}
}

func newContactOf(n connectors.NewContact) newContact {
	fields := map[string]string{} // never null in JSON
	maps.Copy(fields, n.Fields)
	return newContact{
		Key: n.Key, Phone: phone(n.Phone), Name: n.Name, Email: n.Email, Owner: n.OwnerID, Type: n.Type, Fields: fields,
	}
}

func account(key string) string {
	name, _, _ := strings.Cut(key, "/")
	return name
}

// Samples are what templates are tried with at start-up: everything there is,
// and the least that there may be.
var (
	sampleAt      = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	sampleContact = connectors.Ref{Type: "contact", ID: "1001", Parent: "77", URL: "https://crm.example.com/contacts/1001"}
	sampleURL     = url.URL{Scheme: "https", Host: "example.com", Path: "/picture.jpg"}
)

func fullText() text {
	return newText(connectors.Record{
		Key: "main/msg_1", Contact: sampleContact, OwnerID: "42", Subject: "SMS sent by Sam", Body: "Your table is ready",
		Message: sms.Message{
			ID: "msg_1", Direction: sms.Outbound, Contact: "+15125550143", Line: "+15125550100", Body: "Your table is ready",
			Media: []sms.Media{{URL: sampleURL.String(), ContentType: "image/jpeg"}},
			Agent: sms.Agent{ID: "7", Name: "Sam", Email: "sam@example.com"}, ContactName: "Ann Lee", ContactEmail: "ann@example.com",
			Medium: "api", At: sampleAt,
		},
	})
}

// leastText has no contact, for which [operation.needsContact] cares where a
// path demands one.
func leastText() text {
	return newText(connectors.Record{
		Key: "main/msg_1", Subject: "SMS received",
		Message: sms.Message{ID: "msg_1", Direction: sms.Inbound, Contact: "+15125550143", At: sampleAt},
	})
}

func fullStatus(s sms.Status) status {
	t := fullText()
	return status{
		Key: t.Key, Account: t.Account, ID: t.ID, Marker: t.Marker, Record: connectors.Ref{ID: "9001", Parent: "1001"},
		Status: string(s), Reason: "unreachable", At: sampleAt, Direction: t.Direction, Phone: t.Phone, Line: t.Line,
	}
}

func leastStatus() status {
	s := fullStatus(sms.StatusSent)
	s.Reason, s.Line = "", ""
	return s
}
