package messages

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"crmsync/sms"
	"crmsync/workflows"
)

// States beside those of package workflows.
const (
	StateOpen    = "open"    // parked or waiting
	StateWaiting = "waiting" // another word for syncing
	StateEnded   = "ended"   // by hand: terminated or cancelled in Temporal
	StateAll     = "all"
)

// States are what [Filter.State] may be.
var States = []string{
	StateOpen, workflows.StateParked, StateWaiting, workflows.StateSyncing, workflows.StateDone, StateEnded,
	workflows.StateOptedOut, workflows.StateOptedIn, StateAll,
}

// Filter says which events are meant. All that is set has to hold, but of Keys
// and Number one is enough.
type Filter struct {
	// Keys name events: a key (main/msg_1/sms.received), a text with all its
	// events (main/msg_1 or msg_1), a number (+15125551234), or with Connector
	// the id of a record in that CRM.
	Keys []string
	// Number is the contact's, in any spelling that the accounts' regions allow.
	Number string
	State  string
	// Connector is that of a delivery, Error the kind of error it is parked with.
	Connector, Error string
	// Kind is sms.received (or received) and so on, text, status, consent or
	// quarantine.
	Kind    string
	Account string
	// Since is when the event came in, at the earliest.
	Since time.Time
	// Limit is how many are answered at most, the newest; 0 means all.
	Limit int
}

// Narrow reports whether the filter leaves anything out but by its state.
func (f Filter) Narrow() bool {
	return len(f.Keys) > 0 || f.Number != "" || f.Connector != "" || f.Error != "" || f.Kind != "" || f.Account != "" || !f.Since.IsZero()
}

// Check reports what makes no sense, before anything is asked.
func (m *Messages) Check(f Filter) error {
	if f.State != "" && !slices.Contains(States, f.State) {
		return fmt.Errorf("unknown state %q: give one of %s", f.State, strings.Join(States, ", "))
	}
	if slices.Contains(f.Keys, "") {
		return errors.New("an empty KEY names nothing")
	}
	_, err := m.lookups(f)
	return err
}

// CheckTo reports connectors that nothing can be delivered to.
func (m *Messages) CheckTo(connectors []string) error {
	for _, name := range connectors {
		if _, ok := m.Config.Connectors[name]; !ok {
			return fmt.Errorf("connector %q is not configured: there are %s", name, strings.Join(m.connectors(), ", "))
		}
	}
	return nil
}

// Strange says which names of the filter are not configured. It is no mistake:
// deliveries to a connector that was removed must be found, too.
func (m *Messages) Strange(f Filter) []string {
	var strange []string
	if _, ok := m.Config.Connectors[f.Connector]; f.Connector != "" && !ok {
		strange = append(strange, fmt.Sprintf("connector %q is not configured (any more): there are %s", f.Connector, strings.Join(m.connectors(), ", ")))
	}
	if _, ok := m.Config.JustCall[f.Account]; f.Account != "" && !ok {
		strange = append(strange, fmt.Sprintf("account %q is not configured (any more): there are %s", f.Account, strings.Join(m.accounts(), ", ")))
	}
	return strange
}

// numbers are the keys that are numbers, and the number.
func (f Filter) numbers() []string {
	numbers := slices.DeleteFunc(slices.Clone(f.Keys), func(key string) bool { return !isNumber(key) })
	if f.Number != "" {
		numbers = append(numbers, f.Number)
	}
	return numbers
}

// isNumber: a KEY with + is a number. One without could be a message id as well.
func isNumber(key string) bool { return strings.HasPrefix(key, "+") }

// hashes are those of a number, one for each way to read it.
func (m *Messages) hashes(number string) ([]string, error) {
	hashes := map[string]bool{}
	for _, account := range m.Config.JustCall {
		if phone, err := sms.ParsePhone(number, account.Region); err == nil {
			hashes[m.Hasher.Phone(phone)] = true
		}
	}
	if len(hashes) == 0 {
		return nil, errors.New("this is no phone number in the region of any account: write it with + and the country code")
	}
	return slices.Sorted(maps.Keys(hashes)), nil
}
