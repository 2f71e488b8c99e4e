package messages

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// lookup is one question to Temporal's list. What it finds has to pass keep,
// which may be nil.
type lookup struct {
	query string
	keep  func(id string) bool
}

// lookups are the questions that find what the filter means. The filter has
// been checked.
func (m *Messages) lookups(f Filter) ([]lookup, error) {
	all, err := m.conditions(f)
	if err != nil {
		return nil, err
	}
	ask := func(keep func(string) bool, more ...string) lookup {
		return lookup{strings.Join(append(slices.Clip(all), more...), " AND "), keep}
	}
	if len(f.Keys) == 0 && f.Number == "" {
		return []lookup{ask(nil)}, nil
	}
	var asked []lookup
	for _, key := range f.Keys {
		if isNumber(key) {
			continue
		}
		asked = append(asked, ask(m.named(key), m.ids(key)))
		if f.Connector != "" {
			asked = append(asked, ask(nil, in(m.Attributes.Deliveries.GetName(), workflows.RecordValue(f.Connector, key))))
		}
	}
	for _, number := range f.numbers() {
		hashes, err := m.hashes(number)
		if err != nil {
			return nil, err
		}
		asked = append(asked, ask(nil, in(m.Attributes.Contact.GetName(), hashes...)))
	}
	return asked, nil
}

// conditions are what has to hold whatever the keys are.
func (m *Messages) conditions(f Filter) ([]string, error) {
	kind, err := m.kind(f.Kind)
	if err != nil {
		return nil, err
	}
	all := []string{in("TaskQueue", activities.Queue(m.Config.Name)), "ExecutionStatus != 'ContinuedAsNew'", kind}
	if state := m.state(f.State); state != "" {
		all = append(all, state)
	}
	if f.Account != "" {
		all = append(all, startsWith(f.Account+"/"))
	}
	if !f.Since.IsZero() {
		all = append(all, "StartTime >= "+quote(f.Since.UTC().Format(time.RFC3339Nano)))
	}
	if f.Connector != "" {
		all = append(all, in(m.Attributes.Deliveries.GetName(), standing(f.Connector, f.State)...))
	}
	if f.Error != "" {
		all = append(all, in(m.Attributes.Deliveries.GetName(), m.refusals(f.Connector, f.Error)...))
	}
	return all, nil
}

func (m *Messages) kind(kind string) (string, error) {
	name := m.Attributes.Kind.GetName()
	switch kind {
	case "":
		return in("WorkflowType", listed...), nil
	case "text":
		return in(name, string(sms.Received), string(sms.Sent)), nil
	case "status":
		return in(name, string(sms.Delivered), string(sms.Failed)), nil
	case KindConsent, string(sms.OptOut), string(sms.OptIn):
		return in("WorkflowType", activities.SyncConsent), nil
	case KindQuarantine:
		return in("WorkflowType", activities.Quarantine), nil
	}
	for _, k := range kinds {
		if kind == string(k) || "sms."+kind == string(k) {
			return in(name, string(k)), nil
		}
	}
	return "", fmt.Errorf("unknown kind %q: give text, status, received, sent, delivered, failed, consent or quarantine", kind)
}

func (m *Messages) state(state string) string {
	name := m.Attributes.State.GetName()
	const running = "ExecutionStatus = 'Running'"
	switch state {
	case "", StateAll:
		return ""
	case StateEnded:
		return in("ExecutionStatus", "Terminated", "Canceled", "Failed", "TimedOut")
	case StateOpen: // what was started without attributes has no state, and is shown
		return fmt.Sprintf("%s AND (%s OR %s IS NULL)", running, in(name, workflows.StateParked, workflows.StateSyncing), name)
	case StateWaiting, workflows.StateSyncing:
		return running + " AND " + in(name, workflows.StateSyncing)
	case workflows.StateDone:
		return "ExecutionStatus = 'Completed' AND " + in(name, workflows.StateDone)
	}
	return running + " AND " + in(name, state)
}

// ended are the states in which a delivery can end.
var ended = []connectors.State{
	connectors.Written, connectors.Existed, connectors.NotApplicable, workflows.StateSkipped, activities.Superseded, activities.Adopted,
}

// standing are the values that a connector's delivery has in a state.
func standing(connector, state string) []string {
	open := []string{workflows.StateValue(connector, workflows.StateParked), workflows.StateValue(connector, workflows.StateSyncing)}
	switch state {
	case workflows.StateParked:
		return open[:1]
	case workflows.StateSyncing, StateWaiting:
		return open[1:]
	case StateOpen:
		return open
	}
	for _, s := range ended {
		open = append(open, workflows.StateValue(connector, string(s)))
	}
	return open
}

// refusals are the values of deliveries that are parked with a kind of error, at
// one connector or at any.
func (m *Messages) refusals(connector, kind string) []string {
	if connector != "" {
		return []string{workflows.RefusalValue(connector, kind)}
	}
	values := []string{workflows.RefusalValue(workflows.LotText, kind)}
	for _, name := range m.connectors() {
		values = append(values, workflows.RefusalValue(name, kind))
	}
	return values
}

// ids asks for all that a key can name. It asks for a little more, and for a
// great deal more where the key has a character that cannot be asked for: see
// named.
func (m *Messages) ids(key string) string {
	if i := strings.IndexAny(key, workflows.Awkward); i >= 0 {
		return m.beginnings(key[:i])
	}
	asked := []string{in("WorkflowId", key), startsWith(key + "@")}
	for _, message := range m.readings(key) {
		asked = append(asked, startsWith(message+"/"+kindPrefix))
	}
	return either(asked)
}

func (m *Messages) beginnings(key string) string {
	asked := []string{}
	for _, message := range m.readings(key) {
		if message != "" { // every id begins with its account
			asked = append(asked, startsWith(message))
		}
	}
	return either(asked)
}

func either(asked []string) string { return "(" + strings.Join(asked, " OR ") + ")" }

const kindPrefix = "sms."

// readings are the message keys that a key may stand for. That of an event
// stands for nothing else.
func (m *Messages) readings(key string) []string {
	account, rest, _ := strings.Cut(key, "/")
	_, ours := m.Config.JustCall[account]
	if i := strings.LastIndex(rest, "/"); ours && i > 0 && isKind(rest[i+1:]) {
		return nil
	}
	readings := []string{key}
	for _, account := range m.accounts() {
		readings = append(readings, account+"/"+key)
	}
	return readings
}

// named reports whether a key names a workflow: itself, a text with its events,
// or these resynced. A message id may hold any character, so that another text's
// could begin in the same way.
func (m *Messages) named(key string) func(id string) bool {
	return func(id string) bool {
		if event, _ := cutResync(id); id == key || event == key {
			return true
		}
		for _, message := range m.readings(key) {
			event, _ := cutResync(id)
			if kind, ok := strings.CutPrefix(event, message+"/"); ok && isKind(kind) {
				return true
			}
		}
		return false
	}
}

// cutResync tells the id of a resync from that of the event's own workflow,
// whose connector is "".
func cutResync(id string) (event, connector string) {
	i := strings.LastIndex(id, "@")
	if i < 0 {
		return id, ""
	}
	event, connector = id[:i], id[i+1:]
	slash := strings.LastIndex(event, "/")
	if strings.Contains(connector, "/") || !isKind(event[slash+1:]) {
		return id, "" // an @ of the message id
	}
	return event, connector
}

func isKind(s string) bool {
	for _, k := range kinds {
		if s == string(k) {
			return true
		}
	}
	return false
}

// in asks for an attribute with one of these values.
func in(attribute string, values ...string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	if len(values) == 1 {
		return attribute + " = " + quoted[0]
	}
	return attribute + " IN (" + strings.Join(quoted, ", ") + ")"
}

func startsWith(prefix string) string { return "WorkflowId STARTS_WITH " + quote(prefix) }

// quote makes any text a literal of a query, out of which it cannot break: ids
// come from outside. https://docs.temporal.io/list-filter
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
