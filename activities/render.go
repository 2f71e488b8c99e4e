package activities

import (
	"strings"

	"crmsync/connectors"
	"crmsync/sms"
)

// render writes the record's plain text; the connector escapes it.
func render(e sms.Event, match Match) connectors.Record {
	m := e.Message
	return connectors.Record{
		Key:     e.MessageKey(),
		Message: m,
		Contact: match.Contact,
		Subject: subject(m),
		Body:    body(m),
	}
}

func subject(m sms.Message) string {
	switch {
	case m.Direction == sms.Inbound:
		return "SMS received"
	case m.Agent.Name != "":
		return "SMS sent by " + m.Agent.Name
	}
	return "SMS sent"
}

func body(m sms.Message) string {
	lines := make([]string, 0, 1+len(m.Media))
	if m.Body != "" {
		lines = append(lines, m.Body)
	}
	for _, media := range m.Media {
		lines = append(lines, media.URL)
	}
	return strings.Join(lines, "\n")
}
