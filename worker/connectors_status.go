package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/client"

	"crmsync/config"
	"crmsync/internal/lane"
	"crmsync/internal/ledger"
	"crmsync/workflows"
)

// The states of a configured connector, beside those of a lane.
const (
	stateIdle    = "idle"    // no process drives it
	stateUnknown = "unknown" // nobody can tell
)

// connectorStatus is how a configured connector does.
type connectorStatus struct {
	Name   string    `json:"name"`
	Type   string    `json:"type"`
	State  string    `json:"state"`            // flowing, paused, idle, unknown
	Reason string    `json:"reason,omitempty"` // why it is not flowing
	Since  time.Time `json:"since,omitzero"`   // when it paused
	Until  time.Time `json:"until,omitzero"`   // before when the CRM asked not to be tried
	// Waiting and Parked count deliveries; null: Temporal cannot tell.
	Waiting *int64 `json:"waiting"`
	Parked  *int64 `json:"parked"`
	// Processes have asked for its tasks within the last 5 minutes.
	Processes int64 `json:"processes"`
	// Operator is who paused it by hand.
	Operator *hold `json:"operator,omitempty"`
}

// statusDesk asks Temporal and Redis how connectors do.
type statusDesk struct {
	survey
	board *ledger.Ledger // bound; its calls are misses while Redis is away
}

func (a *app) connectorsStatus(ctx context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	temporal, id, err := dialTemporal(ctx, c)
	if err != nil {
		return err
	}
	defer temporal.Close()
	board, err := ledger.Open(ledger.Options{
		URL: c.Redis.URL.Reveal(), Mode: string(c.Redis.Mode), Name: c.Name, Timeout: patience, Log: hclog.NewNullLogger(),
	})
	if err != nil {
		return fmt.Errorf("redis.url: %w", err)
	}
	defer func() { _ = board.Close() }()
	board.Bind(id)
	_ = board.Ping(ctx) // its state tells
	return a.printStatus(statusDesk{survey{temporal: temporal, config: c}, board}.all(ctx))
}

// dialTemporal connects as the operator, and answers the namespace's identity.
func dialTemporal(ctx context.Context, c *config.Config) (client.Client, string, error) {
	ring, err := ringOf(c)
	if err != nil {
		return nil, "", err
	}
	temporal, err := newTemporalClientAs(operator(), c.Temporal, ring, hclog.NewNullLogger(), nil)
	if err != nil {
		return nil, "", err
	}
	described, err := namespace(ctx, temporal, c.Temporal.Namespace)
	if err != nil {
		temporal.Close()
		return nil, "", fmt.Errorf("temporal cannot be reached at %s: %w; is it running, and is temporal.address right?", c.Temporal.Address, err)
	}
	return temporal, described.GetNamespaceInfo().GetId(), nil
}

// all answers the status of every configured connector, by name.
func (d statusDesk) all(ctx context.Context) []connectorStatus {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	names := sortedNames(d.config)
	statuses := make([]connectorStatus, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { statuses[i] = d.of(ctx, name) })
	}
	wg.Wait()
	return statuses
}

func (d statusDesk) of(ctx context.Context, name string) connectorStatus {
	s := connectorStatus{Name: name, Type: d.config.Connectors[name].Type, State: string(lane.Flowing)}
	s.Waiting = known(d.count(ctx, d.standing(name, workflows.StateSyncing)))
	s.Parked = known(d.count(ctx, d.standing(name, workflows.StateParked)))
	d.gate(ctx, &s)
	d.queues(ctx, &s)
	return s
}

func known(n int64, err error) *int64 {
	if err != nil {
		return nil
	}
	return &n
}

// gate reads the state of the lane as the processes that drive it post it. They
// post what does not flow, so that silence means that it does; unless Redis is
// away.
func (d statusDesk) gate(ctx context.Context, s *connectorStatus) {
	raw, posted := d.board.ReadGate(ctx, s.Name)
	if !d.board.State().Up {
		s.State, s.Reason = stateUnknown, "Redis cannot be reached, where processes say how their lanes do"
		return
	}
	var state lane.State
	if posted && json.Unmarshal(raw, &state) == nil && state.Phase != lane.Flowing {
		s.State, s.Reason, s.Since, s.Until = string(state.Phase), state.Reason, state.Since, state.Until
	}
}

// queues looks who works on the connector's queues, and whether an operator
// paused them.
func (d statusDesk) queues(ctx context.Context, s *connectorStatus) {
	for _, queue := range queuesOfConnector(d.config.Name, s.Name) {
		state, err := describeQueue(ctx, d.temporal, d.config.Temporal.Namespace, queue)
		if err != nil {
			s.State, s.Reason = stateUnknown, err.Error()
			return
		}
		s.Processes = max(s.Processes, state.Pollers)
		if s.Operator == nil {
			s.Operator = state.hold
		}
	}
	switch {
	case s.Operator != nil:
		s.held()
	case s.Processes == 0 && s.State == string(lane.Flowing):
		s.State, s.Reason = stateIdle, "no process has asked for its tasks lately: is 'crmsync run' running, with this connector?"
	}
}

// held adds an operator's pause to what else there is.
func (s *connectorStatus) held() {
	reasons := []string{s.Operator.String()}
	if s.Reason != "" {
		reasons = append(reasons, s.Reason)
	}
	s.State, s.Reason = string(lane.Paused), strings.Join(reasons, "; ")
	if s.Since.IsZero() || s.Operator.Since.Before(s.Since) {
		s.Since = s.Operator.Since
	}
}

func (a *app) printStatus(statuses []connectorStatus) error {
	if a.json {
		return a.printJSON(statuses)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONNECTOR\tSTATE\tSINCE\tWAITING\tPARKED\tREASON")
	for _, s := range statuses {
		since := ""
		if !s.Since.IsZero() {
			since = stamp(s.Since)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.State, since, number(s.Waiting), number(s.Parked), s.Reason)
	}
	return table.Flush()
}

func number(n *int64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatInt(*n, 10)
}
