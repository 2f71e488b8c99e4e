package worker

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/metrics"
	"crmsync/workflows"
)

const (
	// healthTimeout is how long Temporal may take to say that it is there.
	healthTimeout = 2 * time.Second
	// halvings narrow the age of the oldest delivery down to 2 %, between a
	// second and maxAge.
	halvings = 10
	maxAge   = 365 * 24 * time.Hour
)

// survey asks Temporal what waits there, for all processes together: with two
// calls for each connector on which nothing waits, and twelve for another, and
// one for each queue.
type survey struct {
	temporal client.Client
	config   *config.Config
}

// take answers what could be found out before ctx ends.
func (s survey) take(ctx context.Context) metrics.Survey {
	healthy, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := s.temporal.CheckHealth(healthy, &client.CheckHealthRequest{}); err != nil {
		return metrics.Survey{}
	}
	n := &notes{Survey: metrics.Survey{
		Up: true, Waiting: map[string]int64{}, Parked: map[string]int64{}, Oldest: map[string]time.Duration{},
		ParkedWorkflows: map[string]int64{}, Reconciled: map[string]time.Duration{}, Queues: map[metrics.Queue]metrics.QueueState{},
	}}
	var wg sync.WaitGroup
	for connector := range s.config.Connectors {
		wg.Go(func() { s.deliveries(ctx, n, connector) })
	}
	wg.Go(func() { s.parked(ctx, n) })
	wg.Go(func() { s.reconciled(ctx, n) })
	wg.Go(func() { s.queues(ctx, n) })
	wg.Wait()
	return n.Survey
}

// notes is a survey that several take at once.
type notes struct {
	mu sync.Mutex
	metrics.Survey
}

func (n *notes) add(note func(*metrics.Survey)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	note(&n.Survey)
}

func (s survey) deliveries(ctx context.Context, n *notes, connector string) {
	if parked, err := s.count(ctx, s.standing(connector, workflows.StateParked)); err == nil {
		n.add(func(s *metrics.Survey) { s.Parked[connector] = parked })
	}
	query := s.standing(connector, workflows.StateSyncing)
	waiting, err := s.count(ctx, query)
	if err != nil {
		return
	}
	n.add(func(s *metrics.Survey) { s.Waiting[connector] = waiting })
	var age time.Duration
	if waiting > 0 {
		age, err = s.oldest(ctx, query, time.Now())
	}
	if err == nil {
		n.add(func(s *metrics.Survey) { s.Oldest[connector] = age })
	}
}

// oldest answers the age of the oldest workflow of a query. Temporal's stores
// can count, and most of them cannot sort: so it is looked for by halving, on a
// logarithmic scale.
func (s survey) oldest(ctx context.Context, query string, now time.Time) (time.Duration, error) {
	low, high := time.Second, maxAge
	for range halvings {
		middle := time.Duration(math.Sqrt(low.Seconds()*high.Seconds()) * float64(time.Second))
		older, err := s.count(ctx, fmt.Sprintf("%s AND StartTime < '%s'", query, now.Add(-middle).UTC().Format(time.RFC3339Nano)))
		if err != nil {
			return 0, err
		}
		if older > 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// parked counts everything that waits for a person, by type: also what belongs
// to no connector, such as a quarantined body.
func (s survey) parked(ctx context.Context, n *notes) {
	state := workflows.AttributesOf(s.config.Name).State.GetName()
	for _, workflow := range []string{activities.SyncEvent, activities.SyncConsent, activities.Quarantine} {
		query := fmt.Sprintf("ExecutionStatus = 'Running' AND %s = '%s' AND WorkflowType = '%s'", state, workflows.StateParked, workflow)
		if parked, err := s.count(ctx, query); err == nil {
			n.add(func(s *metrics.Survey) { s.ParkedWorkflows[workflow] = parked })
		}
	}
}

// reconciled asks for each account that has a schedule.
func (s survey) reconciled(ctx context.Context, n *notes) {
	for _, schedule := range reconciliation(s.config) {
		if last, err := s.lastRun(ctx, schedule.id); err == nil {
			n.add(func(s *metrics.Survey) { s.Reconciled[schedule.account] = time.Since(last) })
		}
	}
}

// lastRun answers when a schedule's last run that completed began, or else when
// the schedule was made.
func (s survey) lastRun(ctx context.Context, id string) (time.Time, error) {
	listed, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: s.config.Temporal.Namespace, PageSize: 1,
		Query: fmt.Sprintf("TemporalScheduledById = '%s' AND ExecutionStatus = 'Completed'", id),
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("list runs: %w", err)
	}
	for _, run := range listed.GetExecutions() {
		return run.GetStartTime().AsTime(), nil
	}
	described, err := s.temporal.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("describe schedule: %w", err)
	}
	return described.Info.CreatedAt, nil
}

func (s survey) queues(ctx context.Context, n *notes) {
	for _, queue := range queuesOf(s.config) {
		if state, err := describeQueue(ctx, s.temporal, s.config.Temporal.Namespace, queue); err == nil {
			n.add(func(s *metrics.Survey) { s.Queues[queue] = state.QueueState })
		}
	}
}

// standing is the query for the deliveries to a connector that stand so.
func (s survey) standing(connector, state string) string {
	deliveries := workflows.AttributesOf(s.config.Name).Deliveries.GetName()
	return fmt.Sprintf("ExecutionStatus = 'Running' AND %s = '%s'", deliveries, workflows.StateValue(connector, state))
}

func (s survey) count(ctx context.Context, query string) (int64, error) {
	counted, err := s.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: s.config.Temporal.Namespace, Query: query,
	})
	if err != nil {
		return 0, fmt.Errorf("count workflows: %w", err)
	}
	return counted.GetCount(), nil
}
