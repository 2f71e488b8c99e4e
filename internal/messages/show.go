package messages

import (
	"context"
	"fmt"
	"time"

	"crmsync/activities"
	"crmsync/sms"
	"crmsync/workflows"
)

// Detail is all that is known of an item. It holds the number and the text.
type Detail struct {
	Item
	// Event is nil of consent and of a quarantined webhook.
	Event *sms.Event `json:"event,omitempty"`
	// Consent is the latest of a number.
	Consent *sms.Consent `json:"consent,omitempty"`
	// Quarantined is a webhook that could not be decoded.
	Quarantined *activities.Quarantined `json:"quarantined,omitempty"`
	// Resync is set where a person had the event delivered once more.
	Resync *workflows.Repair `json:"resync,omitempty"`
	// Repairs are what persons decided, the oldest first.
	Repairs []Repaired `json:"repairs,omitempty"`
}

// Repaired is one decision of a person.
type Repaired struct {
	At   time.Time `json:"at"`
	Verb string    `json:"verb"`
	workflows.Repair
	// Identity is that of Temporal's client, where By is not known.
	Identity string `json:"identity,omitempty"`
}

// Show answers all that Temporal knows of an item. No worker need be running.
func (m *Messages) Show(ctx context.Context, item Item) (Detail, error) {
	described, err := m.Temporal.DescribeWorkflowExecution(ctx, item.Key, item.run)
	if err != nil {
		return Detail{}, fmt.Errorf("describe %s: %w", item.Key, err)
	}
	s := newStory(m, m.item(described.GetWorkflowExecutionInfo()))
	events := m.Temporal.GetWorkflowHistory(ctx, item.Key, s.detail.run, false, 0)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return Detail{}, fmt.Errorf("read the history of %s: %w", item.Key, err)
		}
		if err := s.read(event); err != nil {
			return Detail{}, fmt.Errorf("read event %d of %s (is its key in privacy.keys?): %w", event.GetEventId(), item.Key, err)
		}
	}
	for _, p := range described.GetPendingActivities() {
		s.pending(p)
	}
	return s.end(), nil
}
