package activities

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/templates"
	"crmsync/sms"
)

// Templates say what is written of a text, in plain text, which the connector
// escapes. Nil ones are the default.
type Templates struct {
	Subject, Body *templates.Template
	// Fields are those of new contacts, by the CRM's names.
	Fields map[string]*templates.Template
}

// The templates that are used where none is configured.
const (
	DefaultSubject = `SMS {{if eq .Direction "inbound"}}received{{with .Line}} on {{.}}{{end}}{{with .Agent.Name}} for {{.}}{{end}}` +
		`{{else}}sent{{with .Agent.Name}} by {{.}}{{end}}{{with .Line}} from {{.}}{{end}}{{end}}`
	DefaultBody = `{{.Body}}{{range $i, $m := .Media}}{{if or $i $.Body}}{{"\n"}}{{end}}{{$m.URL}}{{end}}`
)

// text is what templates see. Its names stand in people's configurations: they
// are append-only, and those of connector http.
type text struct {
	Key, Account, ID string
	Body             string
	Direction        string
	Phone, Line      templates.Phone
	At               time.Time
	Agent            sms.Agent
	Media            []sms.Media
	ContactName      string
	ContactEmail     string
	Medium           string
}

func newText(e sms.Event) text {
	m := e.Message
	return text{
		Key: e.MessageKey(), Account: e.Account, ID: m.ID, Body: m.Body, Direction: string(m.Direction),
		Phone: templates.Phone(m.Contact), Line: templates.Phone(m.Line), At: m.At, Agent: m.Agent, Media: m.Media,
		ContactName: m.ContactName, ContactEmail: m.ContactEmail, Medium: m.Medium,
	}
}

const (
	maxTemplate  = 4 << 10         // bytes of a template
	maxRendered  = 256 << 10       // bytes of what it becomes; a text has up to some 40 kB
	renderWithin = 2 * time.Second // it takes microseconds, also on a machine that does much else
)

// ParseTemplate reads a template, and tries it with a text that has everything
// and with one that has the least.
func ParseTemplate(source string) (*templates.Template, error) {
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("is longer than %d bytes", maxTemplate)
	}
	t, err := templates.Parse(strings.TrimRight(source, "\n"), templates.Text, text{})
	if err != nil {
		return nil, err
	}
	for _, sample := range samples() {
		if _, err := t.Try(sample); err != nil {
			return nil, templates.Explain(err)
		}
		if _, err := t.FillWithin(maxRendered, renderWithin, sample); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func samples() []text {
	e := sms.Event{Account: "main", Message: sms.Message{
		ID: "msg_1", Direction: sms.Inbound, Contact: "+15125550143", At: time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC),
	}}
	least := newText(e)
	e.Message.Direction, e.Message.Line, e.Message.Body, e.Message.Medium = sms.Outbound, "+15125550100", "Your table is ready", "api"
	e.Message.Media = []sms.Media{{URL: "https://example.com/1.jpg", ContentType: "image/jpeg"}, {URL: "https://example.com/2.jpg"}}
	e.Message.Agent = sms.Agent{ID: "7", Name: "Sam", Email: "sam@example.com"}
	e.Message.ContactName, e.Message.ContactEmail = "Ann Lee", "ann@example.com"
	return []text{newText(e), least}
}

var defaults = Templates{Subject: must(DefaultSubject), Body: must(DefaultBody)}

func must(source string) *templates.Template {
	t, err := ParseTemplate(source)
	if err != nil {
		panic(err)
	}
	return t
}

// Render answers a text's subject and body. Where a template fails on this very
// text, or gives no subject, the default takes its place: that must keep no text
// from its timeline. The error, which holds nothing of the text, says so.
func (t Templates) Render(e sms.Event) (subject, body string, err error) {
	seen := newText(e)
	subject, subjectErr := fill(t.Subject, defaults.Subject, seen)
	if subject = line(subject); subject == "" {
		subject, _ = fill(nil, defaults.Subject, seen)
		subject = line(subject)
	}
	body, bodyErr := fill(t.Body, defaults.Body, seen)
	return subject, body, errors.Join(about("subject", subjectErr), about("body", bodyErr))
}

// fill fills in the template, or instead of it the default.
func fill(t, instead *templates.Template, seen text) (s string, err error) {
	if t != nil {
		if s, err = t.FillWithin(maxRendered, renderWithin, seen); err == nil {
			return s, nil
		}
	}
	s, _ = instead.Fill(seen)
	return s, err
}

func line(s string) string { return strings.TrimSpace(templates.OneLine(s)) }

func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// newFields answers the fields of a contact that a text brings into being. Those
// that would be empty, or fail on this text, are left out.
func (t Templates) newFields(e sms.Event) (fields map[string]string, err error) {
	seen := newText(e)
	for name, field := range t.Fields {
		value, failure := field.FillWithin(maxRendered, renderWithin, seen)
		err = errors.Join(err, about("contacts.fields."+name, failure))
		if failure == nil && value != "" {
			if fields == nil {
				fields = map[string]string{}
			}
			fields[name] = value
		}
	}
	return fields, err
}

// render writes the record's plain text; the connector escapes it.
func (at *attempt) render(e sms.Event, match Match) connectors.Record {
	subject, body, err := at.inst.Templates.Render(e)
	at.unfilled(err)
	return connectors.Record{Key: e.MessageKey(), Message: e.Message, Contact: match.Contact, Subject: subject, Body: body}
}

func (at *attempt) unfilled(err error) {
	if err != nil {
		at.log.Warn("a template cannot be filled in with this text, and is left out", "error", err)
	}
}
