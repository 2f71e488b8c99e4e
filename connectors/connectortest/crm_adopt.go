package connectortest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"crmsync/connectors"
)

// near is how far the instants of two records of the same text may lie apart.
const near = time.Minute

// AddMessage puts a text on a contact's timeline as another integration does:
// without a key of ours, and with an id of the CRM's.
func (c *CRM) AddMessage(m Message) connectors.Ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.ID, m.Key = c.messageID(), ""
	c.keep(&stored{Message: m})
	return connectors.Ref{ID: m.ID}
}

// adopt writes a key onto a record that has none and is of the same text. It
// answers no id where there is none.
func (c *CRM) adopt(m apiMessage) apiResult {
	if there := c.byKey[m.Key]; len(there) > 0 {
		return apiResult{Status: http.StatusConflict, ID: there[0].ID}
	}
	i := slices.IndexFunc(c.messages, func(s *stored) bool {
		return s.Key == "" && s.Contact == m.Contact && s.Direction == m.Direction && s.Body == m.Body && s.At.Sub(m.At).Abs() <= near
	})
	if i < 0 {
		return apiResult{Status: http.StatusOK}
	}
	found := c.messages[i]
	found.Key = m.Key
	if c.options.Class == connectors.ClassD {
		found.Body += marker(m.Key)
	}
	c.byKey[m.Key] = append(c.byKey[m.Key], found)
	return apiResult{Status: http.StatusCreated, ID: found.ID}
}

// AdoptMessages implements connectors.Adopter. The CRM looks and writes in one
// request.
func (c *testcrm) AdoptMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	items := make([]apiMessage, len(records))
	for i, r := range records {
		items[i] = apiMessage{
			Key: r.Key, Contact: r.Contact.ID, Direction: string(r.Message.Direction), Body: r.Message.Body, At: r.Message.At,
		}
	}
	return send(ctx, c, "adopt messages", "POST", "messages/adopt", items)
}
