package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/workflows"
)

const (
	// scheduleRetry is how often schedules are tried again that could not be set.
	scheduleRetry = time.Minute
	// catchUp is how late a run may begin once Temporal is back: the next one does
	// the same.
	catchUp = time.Minute
)

// schedule starts a workflow for an account now and then.
type schedule struct {
	id       string
	account  string
	every    time.Duration
	workflow string
	input    any
	summary  string
}

// reconciliation answers the schedules of the accounts that are reconciled.
func reconciliation(c *config.Config) (wanted []schedule) {
	for _, name := range slices.Sorted(maps.Keys(c.JustCall)) {
		account := c.JustCall[name]
		if !account.API.Configured() || account.Reconcile.Every == 0 || len(c.AccountConnectors(name)) == 0 {
			continue
		}
		wanted = append(wanted, schedule{
			id: activities.ReconcileID(c.Name, name), account: name, every: account.Reconcile.Every, workflow: activities.Reconcile,
			input:   workflows.ReconcileInput{Account: name, NotBefore: notBefore(c, name)},
			summary: "what JustCall lists and no webhook brought",
		})
	}
	return wanted
}

// comparison answers the schedules of the accounts whose opt-outs are compared with
// JustCall's do-not-message list, which takes the newer API.
func comparison(c *config.Config) (wanted []schedule) {
	for _, name := range slices.Sorted(maps.Keys(c.JustCall)) {
		account := c.JustCall[name]
		newer := account.API.Configured() && account.API.Version == config.V21
		if !newer || account.Consent.Compare == 0 || len(c.AccountConnectors(name)) == 0 {
			continue
		}
		wanted = append(wanted, schedule{
			id: activities.CompareConsentID(c.Name, name), account: name, every: account.Consent.Compare, workflow: activities.CompareConsent,
			input: workflows.CompareInput{Account: name}, summary: "opt-outs that came by no webhook",
		})
	}
	return wanted
}

// notBefore is the earliest `since` of an account's connectors, zero where one
// has none.
func notBefore(c *config.Config, account string) time.Time {
	names := c.AccountConnectors(account)
	earliest := c.Connectors[names[0]].Since
	for _, name := range names[1:] {
		if since := c.Connectors[name].Since; since.Before(earliest) {
			earliest = since
		}
	}
	return earliest
}

// keepSchedules makes Temporal's schedules those of the configuration, trying
// until that has worked. What an operator has paused stays paused.
func (d *daemon) keepSchedules(ctx context.Context) {
	for {
		err := setSchedules(ctx, d.temporal, d.config)
		if err == nil || ctx.Err() != nil {
			return
		}
		d.log.Warn("schedules could not be set: texts whose webhook was lost are not looked for yet", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(scheduleRetry):
		}
	}
}

func setSchedules(ctx context.Context, temporal client.Client, c *config.Config) error {
	wanted, queue, schedules := append(reconciliation(c), comparison(c)...), activities.Queue(c.Name), temporal.ScheduleClient()
	keep := map[string]bool{}
	for _, s := range wanted {
		keep[s.id] = true
		if err := s.set(ctx, schedules, queue); err != nil {
			return fmt.Errorf("set schedule %s: %w", s.id, err)
		}
	}
	ids, err := scheduled(ctx, schedules, activities.ReconcileID(c.Name, ""), activities.CompareConsentID(c.Name, ""))
	if err != nil {
		return fmt.Errorf("list schedules: %w", err)
	}
	for _, id := range ids {
		if keep[id] {
			continue
		}
		if err := remove(ctx, schedules.GetHandle(ctx, id), queue); err != nil {
			return fmt.Errorf("remove schedule %s: %w", id, err)
		}
	}
	return nil
}

// scheduled answers the ids of the schedules that begin with one of these. One that was just
// made may be missing.
func scheduled(ctx context.Context, schedules client.ScheduleClient, prefixes ...string) (ids []string, err error) {
	listed, err := schedules.List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return nil, err
	}
	for listed.HasNext() {
		entry, err := listed.Next()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(entry.ID, prefix) }) {
			ids = append(ids, entry.ID)
		}
	}
	return ids, nil
}

// set creates the schedule, which begins at once, or brings it up to date.
func (s schedule) set(ctx context.Context, schedules client.ScheduleClient, queue string) error {
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: s.every}}, Jitter: s.every / 5}
	action := &client.ScheduleWorkflowAction{
		ID: s.id, Workflow: s.workflow, Args: []any{s.input}, TaskQueue: queue, StaticSummary: s.summary,
	}
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: s.id, Spec: spec, Action: action, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp, TriggerImmediately: true,
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return schedules.GetHandle(ctx, s.id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			updated := in.Description.Schedule // with its state: an operator may have paused it
			updated.Spec, updated.Action = &spec, action
			return &client.ScheduleUpdate{Schedule: &updated}, nil
		},
	})
}

// remove removes a schedule that is this deployment's: another one's name
// may begin as this one's schedules do.
func remove(ctx context.Context, handle client.ScheduleHandle, queue string) error {
	described, err := handle.Describe(ctx)
	if err != nil {
		return err
	}
	if action, ok := described.Schedule.Action.(*client.ScheduleWorkflowAction); !ok || action.TaskQueue != queue {
		return nil
	}
	return handle.Delete(ctx)
}
