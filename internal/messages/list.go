package messages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/workflows"
)

// pageSize is the most that Temporal's list answers at once.
const pageSize = 1000

// Item is one event, or one number's consent, or one quarantined webhook.
type Item struct {
	// Key is the event's key, which is the id of its workflow.
	Key   string `json:"key"`
	Kind  string `json:"kind"`
	State string `json:"state"`
	// Since is when it came in, Ended when it was finished; zero while it is not.
	Since      time.Time  `json:"since"`
	Ended      time.Time  `json:"ended,omitzero"`
	Deliveries []Delivery `json:"deliveries"`

	run string
}

// Delivery is how one delivery stands. A list has its connector and state, the
// id of its record, and the kind of its error; [Messages.Show] has all.
type Delivery struct {
	Connector string         `json:"connector"`
	State     string         `json:"state"`
	Record    connectors.Ref `json:"record,omitzero"`
	Contact   connectors.Ref `json:"contact,omitzero"`
	// How says why this contact was chosen.
	How      string   `json:"how,omitempty"`
	Attempts int      `json:"attempts,omitempty"`
	Error    *Failure `json:"error,omitempty"` // the last one
	// NextTry is when it will be tried again, where that is known.
	NextTry time.Time `json:"next_try,omitzero"`
	// Reason and By are those of the person who decided last about it.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// Failure is why a delivery did not succeed.
type Failure struct {
	Kind    string    `json:"kind"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// Found is the answer of [Messages.List].
type Found struct {
	Items []Item // newest first for each key
	// More: there are more than the limit.
	More bool
	// Unknown are keys and numbers that named nothing.
	Unknown []string
}

// ErrNotListed is returned where the server does not know the search attributes.
var ErrNotListed = errors.New("temporal does not list by crmsync's search attributes (yet): 'crmsync check' says which are missing")

// List finds what the filter means. An event that ran several times is answered
// once, as it stands now.
func (m *Messages) List(ctx context.Context, f Filter) (Found, error) {
	c := &collector{limit: f.Limit, known: map[string]bool{}, found: Found{Items: []Item{}}}
	for _, part := range f.parts() {
		before := c.seen
		if err := m.search(ctx, part, c); err != nil || c.found.More {
			return c.found, err
		}
		if name := part.name(); name != "" && c.seen == before {
			c.found.Unknown = append(c.found.Unknown, name)
		}
	}
	return c.found, nil
}

// parts are filters of at most one key or number each.
func (f Filter) parts() []Filter {
	var parts []Filter
	for _, key := range f.Keys {
		part := f
		part.Keys, part.Number = []string{key}, ""
		parts = append(parts, part)
	}
	if f.Number != "" || len(f.Keys) == 0 {
		part := f
		part.Keys = nil
		parts = append(parts, part)
	}
	return parts
}

// name is what a part names, if anything.
func (f Filter) name() string {
	if len(f.Keys) > 0 {
		return f.Keys[0]
	}
	return f.Number
}

// collector gathers what is found, each once.
type collector struct {
	limit, seen int
	known       map[string]bool
	found       Found
}

// add reports whether there is room for more.
func (c *collector) add(item Item) bool {
	c.seen++
	if c.known[item.Key] {
		return true
	}
	c.known[item.Key] = true
	if c.limit > 0 && len(c.found.Items) == c.limit {
		c.found.More = true
		return false
	}
	c.found.Items = append(c.found.Items, item)
	return true
}

func (m *Messages) search(ctx context.Context, part Filter, c *collector) error {
	lookups, err := m.lookups(part)
	if err != nil {
		return err
	}
	before := c.seen
	for _, l := range lookups {
		if err := m.pages(ctx, l, c.add); err != nil || c.found.More {
			return err
		}
	}
	if c.seen > before || len(part.numbers()) > 0 || !part.names() {
		return nil
	}
	return m.exactly(ctx, part.Keys[0], c)
}

// names reports whether the filter is nothing but a name (for a connector).
func (f Filter) names() bool {
	f.Connector, f.Limit = "", 0
	keys := len(f.Keys)
	f.Keys = nil
	return keys > 0 && (f.State == "" || f.State == StateAll) && !f.Narrow()
}

// exactly finds what Temporal's list does not show yet, by its whole key.
func (m *Messages) exactly(ctx context.Context, key string, c *collector) error {
	described, err := m.Temporal.DescribeWorkflowExecution(ctx, key, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe %s: %w", key, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetTaskQueue() == activities.Queue(m.Config.Name) && slices.Contains(listed, info.GetType().GetName()) {
		c.add(m.item(info))
	}
	return nil
}

// pages answers what one lookup finds, until add has enough.
func (m *Messages) pages(ctx context.Context, l lookup, add func(Item) bool) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{PageSize: pageSize, Query: l.query}
	for {
		page, err := m.Temporal.ListWorkflow(ctx, request)
		if err != nil {
			return listError(err)
		}
		for _, info := range page.GetExecutions() {
			id := info.GetExecution().GetWorkflowId()
			if l.keep != nil && !l.keep(id) {
				continue
			}
			if !add(m.item(info)) {
				return nil
			}
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

func listError(err error) error {
	invalid, ok := errors.AsType[*serviceerror.InvalidArgument](err)
	if ok && strings.Contains(strings.ToLower(invalid.Error()), "search attribute") {
		return fmt.Errorf("%w: %w", ErrNotListed, err)
	}
	return fmt.Errorf("list workflows: %w", err)
}

// item reads what Temporal lists of a workflow.
func (m *Messages) item(info *workflowpb.WorkflowExecutionInfo) Item {
	fields := info.GetSearchAttributes().GetIndexedFields()
	item := Item{
		Key:        info.GetExecution().GetWorkflowId(),
		Since:      info.GetStartTime().AsTime(),
		State:      stateOf(info.GetStatus(), word(fields[m.Attributes.State.GetName()])),
		Kind:       word(fields[m.Attributes.Kind.GetName()]),
		Deliveries: deliveriesOf(words(fields[m.Attributes.Deliveries.GetName()])),
		run:        info.GetExecution().GetRunId(),
	}
	if info.GetCloseTime() != nil {
		item.Ended = info.GetCloseTime().AsTime()
	}
	switch info.GetType().GetName() {
	case activities.SyncConsent:
		item.Kind = KindConsent
	case activities.Quarantine:
		item.Kind = KindQuarantine
	}
	return item
}

// stateOf is the attribute, unless somebody ended the workflow by hand or it was
// started without attributes.
func stateOf(status enums.WorkflowExecutionStatus, attribute string) string {
	switch {
	case status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return workflows.StateDone
	case status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return StateEnded
	case attribute == "":
		return workflows.StateSyncing
	}
	return attribute
}

// deliveriesOf reads what [workflows.Attributes] lists of the deliveries.
func deliveriesOf(values []string) []Delivery {
	deliveries := []Delivery{}
	at := func(connector string) *Delivery {
		i := slices.IndexFunc(deliveries, func(d Delivery) bool { return d.Connector == connector })
		if i < 0 {
			deliveries = append(deliveries, Delivery{Connector: connector})
			i = len(deliveries) - 1
		}
		return &deliveries[i]
	}
	for _, value := range values {
		i := strings.IndexAny(value, "=#!")
		if i < 0 {
			continue
		}
		switch d, rest := at(value[:i]), value[i+1:]; value[i] {
		case '=':
			d.State = rest
		case '#':
			d.Record.ID = rest
		case '!':
			d.Error = &Failure{Kind: rest}
		}
	}
	slices.SortFunc(deliveries, func(a, b Delivery) int { return strings.Compare(a.Connector, b.Connector) })
	return deliveries
}

// word and words read search attributes, which are never encrypted. A list of
// one may come as a single word.
func word(p *commonpb.Payload) (s string) {
	if p != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &s)
	}
	return s
}

func words(p *commonpb.Payload) (list []string) {
	if p == nil {
		return nil
	}
	if converter.GetDefaultDataConverter().FromPayload(p, &list) != nil {
		return []string{word(p)}
	}
	return list
}
