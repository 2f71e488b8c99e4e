package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"

	"crmsync/config"
)

// pauseReport is what pause and resume have to say to a program.
type pauseReport struct {
	Connector string `json:"connector"`
	Paused    bool   `json:"paused"`
	// Changed: it was not so before.
	Changed bool `json:"changed"`
}

func (a *app) connectorsPauseCommand() *cobra.Command {
	var reason string
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "pause NAME",
		Short: "Let nothing go to a configured connector's CRM until it is resumed",
		Long: `Pause stops all writing to one CRM, such as for its migration: texts, statuses,
and opt-outs too, so resume soon. What comes waits in Temporal, at no cost and
with nothing lost. It returns once every process knows, after ` + holdsLast.String() + `; a call to the
CRM that was under way may still end. Other connectors are untouched.

The pause is kept in Temporal, for all processes and whatever is restarted, with
who set it and why; 'crmsync connectors --status' and 'crmsync check' show it. It
replaces any other limit of the connector's task queues. It needs Temporal 1.29
or newer.`,
		Example: `  crmsync connectors pause hubspot --reason "field migration, until Monday"`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.steer(cmd.Context(), names[0], func(ctx context.Context, h holder) (pauseReport, error) {
				report, err := h.pause(ctx, reason)
				if err == nil {
					err = everywhere(ctx)
				}
				return report, err
			})
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (a *app) connectorsResumeCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "resume NAME",
		Short: "End a pause: what waits for the connector is delivered",
		Long: `Resume ends what 'crmsync connectors pause' began, whoever did that. It may be
repeated. A lane that is paused because its CRM is away resumes by itself.`,
		Example: `  crmsync connectors resume hubspot`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.steer(cmd.Context(), names[0], func(ctx context.Context, h holder) (pauseReport, error) { return h.resume(ctx) })
		},
	})
}

// holder pauses and resumes one connector: its queue and that of its consent.
type holder struct {
	temporal client.Client
	config   *config.Config
	name     string
}

// steer does something to a configured connector's queues, and reports.
func (a *app) steer(ctx context.Context, name string, do func(context.Context, holder) (pauseReport, error)) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	if _, ok := c.Connectors[name]; !ok {
		return fmt.Errorf("%s has no connector %q; it has %s", a.configFile, name, strings.Join(sortedNames(c), ", "))
	}
	temporal, _, err := dialTemporal(ctx, c)
	if err != nil {
		return err
	}
	defer temporal.Close()
	report, err := do(ctx, holder{temporal, c, name})
	if err != nil {
		return err
	}
	return a.reportPause(report)
}

func (a *app) reportPause(r pauseReport) error {
	switch {
	case a.json:
		return a.printJSON(r)
	case r.Paused:
		a.printf("%s is paused: what comes waits in Temporal until 'crmsync connectors resume %s'\n", r.Connector, r.Connector)
	case r.Changed:
		a.printf("%s is resumed\n", r.Connector)
	default:
		a.printf("%s was not paused by an operator; 'crmsync connectors --status' says how it does\n", r.Connector)
	}
	return nil
}

// pause may be repeated: the last reason holds.
func (h holder) pause(ctx context.Context, reason string) (pauseReport, error) {
	was, err := h.held(ctx)
	if err != nil {
		return pauseReport{}, err
	}
	for _, queue := range queuesOfConnector(h.config.Name, h.name) {
		none := &taskqueue.RateLimit{RequestsPerSecond: 0}
		if err := limitQueue(ctx, h.temporal, h.config.Temporal.Namespace, queue, none, operator(), reason); err != nil {
			return pauseReport{}, err
		}
	}
	return pauseReport{Connector: h.name, Paused: true, Changed: !was}, nil
}

// everywhere waits until every process knows of a pause.
func everywhere(ctx context.Context) error {
	select {
	case <-time.After(holdsLast):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it is paused, and processes may not know for %s: %w", holdsLast, ctx.Err())
	}
}

// resume leaves alone what is no pause, such as a limit that somebody set.
func (h holder) resume(ctx context.Context) (pauseReport, error) {
	report := pauseReport{Connector: h.name}
	var errs []error
	for _, queue := range queuesOfConnector(h.config.Name, h.name) {
		state, err := describeQueue(ctx, h.temporal, h.config.Temporal.Namespace, queue)
		if err == nil && state.hold != nil {
			report.Changed = true
			err = limitQueue(ctx, h.temporal, h.config.Temporal.Namespace, queue, nil, operator(), "")
		}
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

// held reports whether all queues are paused.
func (h holder) held(ctx context.Context) (bool, error) {
	for _, queue := range queuesOfConnector(h.config.Name, h.name) {
		state, err := describeQueue(ctx, h.temporal, h.config.Temporal.Namespace, queue)
		if err != nil || state.hold == nil {
			return false, err
		}
	}
	return true, nil
}
