// Package messages finds events, shows what became of them, and repairs those
// that wait for a person.
//
// Temporal is the index: what can be found is in workflow ids (the event's key)
// and search attributes (package workflows). Temporal's list lags a little
// behind, so something listed as parked may have been repaired meanwhile; the
// workflow itself decides, and refuses a repair of what is not parked. So every
// repair may be repeated, and two people may repair at the same time.
//
// Showing needs no running worker: everything is read from the history.
package messages

import (
	"context"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/sms"
	"crmsync/workflows"
)

// Door delivers events once more; see ingress.Door.
type Door interface {
	Resync(ctx context.Context, e sms.Event, connector string, why workflows.Repair) (id string, err error)
}

// Linker remembers which contact a number belongs to; see activities.Activities.
type Linker interface {
	LinkContact(ctx context.Context, link activities.Link) error
}

// Messages finds and repairs the events of one deployment. It is safe for
// concurrent use.
type Messages struct {
	Config     *config.Config
	Temporal   client.Client
	Data       converter.DataConverter    // of Temporal
	Failures   converter.FailureConverter // of Temporal
	Attributes workflows.Attributes
	Hasher     sms.Hasher
	Door       Door
	Linker     Linker
	// By is who repairs. It is recorded.
	By string
}

// kinds are those of events that have a workflow of their own.
var kinds = []sms.Kind{sms.Received, sms.Sent, sms.Delivered, sms.Failed}

// What has no kind of event, and is listed beside.
const (
	KindConsent    = "consent"    // the opt-out or opt-in of one number
	KindQuarantine = "quarantine" // a webhook that could not be decoded
)

// listed are the types of workflow that are found: those that can be parked.
var listed = []string{activities.SyncEvent, activities.SyncConsent, activities.Quarantine}

func (m *Messages) accounts() []string {
	names := make([]string, 0, len(m.Config.JustCall))
	for name := range m.Config.JustCall {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (m *Messages) connectors() []string {
	names := make([]string, 0, len(m.Config.Connectors))
	for name := range m.Config.Connectors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
