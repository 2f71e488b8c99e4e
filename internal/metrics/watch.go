package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"crmsync/internal/budget"
	"crmsync/internal/ledger"
)

// SurveyInterval is how old a survey may be: a scrape asks for a new one only
// after it, so that scraping often costs Temporal nothing.
const SurveyInterval = 25 * time.Second

// surveyTimeout bounds one survey, below the 10 s that Prometheus waits for a
// scrape by default.
const surveyTimeout = 5 * time.Second

// Survey is what stands in Temporal, for all processes together. What could not
// be found out is left out, and its gauges vanish: they never show what was.
type Survey struct {
	// Up: Temporal answers.
	Up bool
	// Waiting and Parked count deliveries, by connector.
	Waiting, Parked map[string]int64
	// Oldest is how long the oldest waiting delivery has waited, by connector.
	Oldest map[string]time.Duration
	// ParkedWorkflows counts everything that waits for a person, by workflow type.
	ParkedWorkflows map[string]int64
	// Reconciled is how long ago an account was reconciled successfully; of those
	// that never were, how long that has been waited for.
	Reconciled map[string]time.Duration
	Queues     map[Queue]QueueState
}

// Queue is a task queue of the deployment.
type Queue struct {
	Name string
	Type string // workflow or activity
}

// QueueState is how a queue does.
type QueueState struct {
	Backlog int64 // tasks that no worker has taken, about
	Pollers int64 // workers that asked for tasks in the last minutes
	Paused  bool  // by an operator
}

// Sources are what is asked at a scrape. All must be safe for concurrent use.
type Sources struct {
	// Redis reports whether Redis answered the last call.
	Redis func() bool
	// Spool answers how the spool does, in processes that look after it; nil in
	// others. False: nobody knows.
	Spool func() (ledger.SpoolState, bool)
	// Lanes answers how long each lane that this process drives has been paused,
	// by connector: 0 for one that flows.
	Lanes func() map[string]time.Duration
	// Budgets answers how the request limits of those lanes stand, by connector.
	Budgets func() map[string]budget.State
	// Survey is called at most every [SurveyInterval], and ends with its context.
	Survey func(context.Context) Survey
}

// watched is what is asked at a scrape.
type watched struct {
	Sources

	last atomic.Pointer[Survey]
	mu   sync.Mutex // held during a survey
	at   time.Time
}

// Watch adds the gauges that are asked for at a scrape: how Redis, the lanes and
// what Temporal holds do. It is called once, before the first scrape.
func (m *Metrics) Watch(from Sources) error {
	m.watched.Sources = from
	g := gauges{
		redis:   m.gauge("redis_up", "", "Whether Redis answered the last call: 1 or 0."),
		spooled: m.gauge("spool_depth", "", "Events that wait in the spool for Temporal."),
		spoolAt: m.gauge("spool_oldest_age", "s", "How long the oldest of them has waited; 0 if none waits."),
		spoolBy: m.gauge("spool_size", "By", "What the spool holds, dead letters among it."),
		dead:    m.gauge("spool_dead_letters", "", "Events that Temporal refused for good."),
		held:    m.gauge("lane_paused", "", "Whether the connector's lane is paused, since its CRM is away: 1 or 0."),
		since:   m.gauge("lane_paused_age", "s", "How long the connector's lane has been paused; 0 while it flows."),
		used:    m.gauge("budget_used", "", "Requests (or tokens) that all processes have spent in the limit's current window."),
		share:   m.gauge("budget_share", "", "How many of them crmsync may spend; the rest is for the customer's other applications."),
		up:      m.gauge("temporal_up", "", "Whether Temporal answered the last survey: 1 or 0."),
		waiting: m.gauge("waiting_deliveries", "", "Deliveries under way, or waiting for the connector's CRM."),
		parked:  m.gauge("parked_deliveries", "", "Deliveries that wait for a person."),
		oldest:  m.gauge("oldest_waiting_age", "s", "Age of the connector's oldest waiting delivery, 2 % more or less; 0 if none waits."),
		open:    m.gauge("parked_workflows", "", "Workflows that wait for a person, by type."),
		last:    m.gauge("reconcile_age", "s", "Time since the account was last reconciled with JustCall's list."),
		backlog: m.gauge("queue_backlog", "", "Tasks that no worker has taken yet."),
		pollers: m.gauge("queue_pollers", "", "Workers that asked for tasks within the last minutes."),
		stopped: m.gauge("queue_paused", "", "Whether an operator paused the queue: 1 or 0."),
	}
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g.observe(o, &m.watched)
		return nil
	}, g.redis, g.spooled, g.spoolAt, g.spoolBy, g.dead, g.held, g.since, g.used, g.share, g.up, g.waiting, g.parked, g.oldest, g.open, g.last, g.backlog, g.pollers, g.stopped)
	return err
}

func (m *Metrics) gauge(name, unit, help string) metric.Float64ObservableGauge {
	g, err := m.meter.Float64ObservableGauge("crmsync_"+name, metric.WithUnit(unit), metric.WithDescription(help))
	if err != nil {
		m.onError(err)
	}
	return g
}

// refresh makes a new survey where the last one is too old. It is no callback of
// the pipeline: that would hold up everybody who counts until Temporal has
// answered. A scraper that goes away does not spoil it for the next.
func (w *watched) refresh(ctx context.Context) {
	if w.Survey == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.at.IsZero() && time.Since(w.at) < SurveyInterval {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), surveyTimeout)
	defer cancel()
	survey := w.Survey(ctx)
	w.at = time.Now()
	w.last.Store(&survey)
}

// gauges are what is asked at a scrape.
type gauges struct {
	redis, spooled, spoolAt, spoolBy, dead, held, since, used, share   metric.Float64ObservableGauge
	up, waiting, parked, oldest, open, last, backlog, pollers, stopped metric.Float64ObservableGauge
}

func (g gauges) observe(o metric.Observer, w *watched) {
	o.ObserveFloat64(g.redis, truth(w.Redis()))
	if w.Spool != nil {
		g.spool(o, w.Spool)
	}
	for connector, paused := range w.Lanes() {
		label := metric.WithAttributes(attribute.String("connector", connector))
		o.ObserveFloat64(g.held, truth(paused > 0), label)
		o.ObserveFloat64(g.since, paused.Seconds(), label)
	}
	for connector, state := range w.Budgets() {
		for _, b := range state.Buckets {
			labels := metric.WithAttributes(attribute.String("connector", connector), attribute.String("limit", b.Limit))
			o.ObserveFloat64(g.used, float64(b.Used), labels)
			o.ObserveFloat64(g.share, float64(b.Share), labels)
		}
	}
	if s := w.last.Load(); s != nil {
		g.survey(o, s)
	}
}

func (g gauges) spool(o metric.Observer, ask func() (ledger.SpoolState, bool)) {
	state, known := ask()
	if !known {
		return
	}
	o.ObserveFloat64(g.spooled, float64(state.Waiting))
	o.ObserveFloat64(g.spoolAt, state.Oldest.Seconds())
	o.ObserveFloat64(g.spoolBy, float64(state.Bytes))
	o.ObserveFloat64(g.dead, float64(state.Dead))
}

func (g gauges) survey(o metric.Observer, s *Survey) {
	o.ObserveFloat64(g.up, truth(s.Up))
	each(o, g.waiting, "connector", s.Waiting)
	each(o, g.parked, "connector", s.Parked)
	each(o, g.open, "workflow", s.ParkedWorkflows)
	ages(o, g.oldest, "connector", s.Oldest)
	ages(o, g.last, "account", s.Reconciled)
	for queue, state := range s.Queues {
		labels := metric.WithAttributes(attribute.String("queue", queue.Name), attribute.String("type", queue.Type))
		o.ObserveFloat64(g.backlog, float64(state.Backlog), labels)
		o.ObserveFloat64(g.pollers, float64(state.Pollers), labels)
		o.ObserveFloat64(g.stopped, truth(state.Paused), labels)
	}
}

func each(o metric.Observer, g metric.Float64ObservableGauge, label string, values map[string]int64) {
	for name, n := range values {
		o.ObserveFloat64(g, float64(n), metric.WithAttributes(attribute.String(label, name)))
	}
}

func ages(o metric.Observer, g metric.Float64ObservableGauge, label string, values map[string]time.Duration) {
	for name, age := range values {
		o.ObserveFloat64(g, age.Seconds(), metric.WithAttributes(attribute.String(label, name)))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
