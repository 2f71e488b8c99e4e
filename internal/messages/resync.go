package messages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"crmsync/workflows"
)

// ErrRunning says that an event cannot be resynced while it is being delivered.
var ErrRunning = errors.New("it is still under way: wait, or retry it where it is parked")

// Events leaves the items that are events of one text, and what a key names
// itself.
func Events(items []Item, keys []string) []Item {
	return slices.DeleteFunc(slices.Clone(items), func(item Item) bool {
		other := item.Kind == KindConsent || item.Kind == KindQuarantine
		return other && !slices.Contains(keys, item.Key)
	})
}

// Resyncable leaves the items that a resync is meant for: events, each once. An
// earlier resync stands for its event only where a key names it.
func Resyncable(items []Item, keys []string) []Item {
	return slices.DeleteFunc(Events(items, keys), func(item Item) bool {
		_, connector := cutResync(item.Key)
		return connector != "" && !slices.Contains(keys, item.Key)
	})
}

// Resync has a finished event delivered once more: to the connectors named, or
// to all that it went to. It answers to which it was started; an error may leave
// some of them started, and repeating is harmless.
func (m *Messages) Resync(ctx context.Context, item Item, to []string, reason string) ([]string, error) {
	detail, err := m.Show(ctx, item)
	if err != nil {
		return nil, err
	}
	if detail.Event == nil {
		return nil, errors.New("only texts and their statuses can be resynced")
	}
	if detail.State != workflows.StateDone && detail.State != StateEnded {
		return nil, ErrRunning
	}
	if len(to) == 0 {
		for _, d := range detail.Deliveries {
			to = append(to, d.Connector)
		}
	}
	if err := m.mayGo(detail.Event.Account, to); err != nil {
		return nil, err
	}
	started := []string{}
	for _, connector := range to {
		why := workflows.Repair{Connector: connector, Reason: reason, By: m.By}
		if _, err := m.Door.Resync(ctx, *detail.Event, connector, why); err != nil {
			return started, fmt.Errorf("to %s: %w", connector, err)
		}
		started = append(started, connector)
	}
	return started, nil
}

func (m *Messages) mayGo(account string, to []string) error {
	if len(to) == 0 {
		return errors.New("it went to no connector: name one with --to")
	}
	serving := m.Config.AccountConnectors(account)
	for _, connector := range to {
		if !slices.Contains(serving, connector) {
			return fmt.Errorf("connector %q does not serve account %s: there are %s", connector, account, strings.Join(serving, ", "))
		}
	}
	return nil
}
