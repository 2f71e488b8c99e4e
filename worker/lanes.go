package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/lane"
	"crmsync/internal/metrics"
	"crmsync/workflows"
)

const (
	// minSlots keeps a connector without batches from working one by one.
	minSlots = 16
	maxSlots = 600
	// batchSlots are so many batches: those that a tight quota lets go at once, and
	// the next.
	batchSlots = 6
	// openWorkflows is how many are kept in memory, at some 100 kB each; others
	// are replayed when they go on, which short histories make cheap. A backlog
	// would otherwise take a gigabyte.
	openWorkflows = 2000
	// consentSlots are apart from the others, so that no backlog stands before
	// an opt-out.
	consentSlots = 4
	// pollers are few: they are the back-pressure valve, and what a paused queue
	// may leak.
	pollers = 2
	// maxPollers is how many ask for workflow tasks at most. A slow Temporal takes a
	// tenth of a second to hand one out, and what waits 5 s for a worker that knows
	// the workflow is given to any, at the cost of another round.
	maxPollers = 8
)

// way is what stands between connectors and their CRMs: requests are counted
// unless metrics is nil, and keep the CRM accounts' limits unless budgets is.
type way struct {
	metrics *metrics.Metrics
	budgets *budget.Budgets
	signIns *signIns
	// part is how much of each connector's share is spent, for what must not stand
	// in the daemon's way; 0: all of it.
	part float64
}

// openInstances builds the configured connectors. All problems are reported at
// once.
func openInstances(c *config.Config, registry *connectors.Registry, w way) (map[string]*activities.Instance, error) {
	instances := map[string]*activities.Instance{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(c.Connectors)) {
		instance, err := openInstance(c.Connectors[name], registry, w)
		problems = append(problems, err)
		instances[name] = instance
	}
	return instances, errors.Join(problems...)
}

func openInstance(c *config.Connector, registry *connectors.Registry, w way) (*activities.Instance, error) {
	definition, ok := registry.Get(c.Type)
	if !ok {
		return nil, c.Errorf("type", "this build has no connector %q; see 'crmsync connectors'", c.Type)
	}
	env, limited, err := w.env(c, definition)
	if err != nil {
		return nil, err
	}
	templates, wrong := templatesOf(c)
	connector, err := definition.Open(c, env)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connectors.%s: %w", c.Name(), err), wrong)
	}
	if wrong != nil {
		return nil, wrong
	}
	definition = definition.For(connector)
	if err := connectors.ValidateLimits(definition.Limits); err != nil {
		return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
	}
	instance := &activities.Instance{
		Name: c.Name(), Definition: definition, Connector: connector,
		Contacts: activities.ContactPolicy{
			Several: string(c.Contacts.Several), None: string(c.Contacts.None), CreateWhen: string(c.Contacts.CreateWhen),
			CreateAs: string(c.Contacts.CreateAs),
		},
		Templates: templates,
		Owner:     ownerPolicy(c.Owner),
		Adoption:  activities.Adoption{On: c.Adopt, Wait: c.AdoptWait},
	}
	if limited != nil {
		limited.Keep(definition)
		instance.Budget = limited
	}
	return instance, nil
}

// env is what an instance is given. A request waits for its budget first, so that
// its token is fresh when it is sent.
func (w way) env(c *config.Connector, definition connectors.Definition) (env connectors.Env, limited *budget.Transport, err error) {
	env.Client = newHTTPClient()
	if w.metrics != nil {
		env.Client.Transport = w.metrics.Transport(c.Name(), env.Client.Transport)
	}
	source, err := w.signIns.open(c, definition, env.Client.Transport)
	if err != nil {
		return env, nil, err
	}
	if source != nil {
		env.Client.Transport, env.Grant = source.Transport(env.Client.Transport), source.Grant
	}
	if w.budgets != nil {
		limited = w.budgets.Transport(c.Budget.Account, c.Budget.Share.Fraction()*cmp.Or(w.part, 1), env.Client.Transport)
		env.Client.Transport = limited
	}
	return env, limited, nil
}

// newHTTPClient is a connector's only way out. Its calls are bounded by their
// contexts and, with a budget, by CallTimeout.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = minSlots
	transport.IdleConnTimeout = time.Minute
	return &http.Client{Transport: transport, CheckRedirect: sameHost}
}

// sameHost keeps credentials from following a redirect to somebody else.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) >= 10 || next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// workers are one for the workflows, and two for each connector: one dead or
// slow CRM never delays another. Only those of this process's part are made.
func (d *daemon) workers() (all []worker.Worker) {
	worker.SetStickyWorkflowCacheSize(openWorkflows)
	name := d.config.Name
	if d.part.does(roleWorkflows) {
		all = append(all, d.homeWorker())
	}
	for _, instance := range d.part.lanes {
		slots := min(max(batchSlots*d.acts.Instances[instance].Definition.MaxBatch, minSlots), maxSlots)
		all = append(all,
			d.laneWorker(instance, activities.ConnectorQueue(name, instance), slots),
			d.laneWorker(instance, activities.ConsentQueue(name, instance), consentSlots))
	}
	return all
}

// homeWorker runs the workflows, and what they do without a CRM.
func (d *daemon) homeWorker() worker.Worker {
	home := worker.New(d.temporal, activities.Queue(d.config.Name), worker.Options{
		WorkflowTaskPollerBehavior:       workflowPollers(),
		MaxConcurrentActivityTaskPollers: pollers,
		WorkerStopTimeout:                stopTimeout,
		OnFatalError:                     d.giveUp,
		Interceptors:                     []interceptor.WorkerInterceptor{d.holds, &counting{metrics: d.metrics}},
	})
	register(home)
	home.RegisterActivity(d.acts)
	return home
}

// workflowPollers poll for new workflows and for those that go on apart: a poller
// of both prefers the latter while any wait, so that a backlog that is being
// delivered would keep every new text waiting, and every opt-out. There are more of
// them while Temporal says that tasks wait.
func workflowPollers() worker.PollerBehavior {
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: pollers, MinimumNumberOfPollers: pollers, MaximumNumberOfPollers: maxPollers,
	})
}

func register(w worker.WorkflowRegistry) {
	w.RegisterWorkflow(workflows.SyncEvent)
	w.RegisterWorkflow(workflows.SyncConsent)
	w.RegisterWorkflow(workflows.EnsureContact)
	w.RegisterWorkflow(workflows.Quarantine)
	w.RegisterWorkflow(workflows.CompareConsent)
	w.RegisterWorkflow(workflows.Reconcile)
	w.RegisterWorkflow(workflows.Backfill)
}

// laneWorker takes a connector's tasks from a queue, and none while its lane is
// paused.
func (d *daemon) laneWorker(connector, queue string, slots int) worker.Worker {
	w := worker.New(d.temporal, queue, worker.Options{
		DisableWorkflowWorker:            true,
		Tuner:                            d.acts.Instances[connector].Lane().Tuner(slots),
		MaxConcurrentActivityTaskPollers: pollers,
		WorkerStopTimeout:                stopTimeout,
		OnFatalError:                     d.giveUp,
		Interceptors:                     []interceptor.WorkerInterceptor{&counting{connector: connector, metrics: d.metrics}},
	})
	w.RegisterActivity(d.acts)
	return w
}

// runLanes keeps the gates of this process's lanes in step with the fleet's, and
// operators' pauses in mind. What stop finds unsent goes back to Temporal at once.
func (d *daemon) runLanes() (stop func()) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for _, name := range d.part.lanes {
		wg.Go(func() { d.acts.Instances[name].Lane().Run(ctx) })
	}
	wg.Go(func() { d.signIns.tend(ctx) })
	if d.part.does(roleWorkflows) {
		wg.Go(func() { d.holds.watch(ctx, d.part.lanes) })
	}
	return func() {
		for _, name := range d.part.lanes {
			d.acts.Instances[name].Lane().Stop()
		}
		cancel()
		wg.Wait()
	}
}

// lanes answers the states of the lanes that this process drives.
func (d *daemon) lanes() map[string]lane.State {
	states := map[string]lane.State{}
	for _, name := range d.part.lanes {
		states[name] = d.acts.Instances[name].Lane().State()
	}
	return states
}

// pauses answers how long each lane has been paused: 0 for one that flows.
func (d *daemon) pauses() map[string]time.Duration {
	pauses := map[string]time.Duration{}
	for name, state := range d.lanes() {
		pauses[name] = 0
		if state.Phase != lane.Flowing {
			pauses[name] = max(time.Since(state.Since), time.Nanosecond)
		}
	}
	return pauses
}

// budgets answers how much of their request limits the lanes that this process
// drives, and JustCall's APIs, have used.
func (d *daemon) budgets() map[string]budget.State {
	states := map[string]budget.State{}
	for _, name := range d.part.lanes {
		if b := d.acts.Instances[name].Budget; b != nil {
			states[name] = b.State()
		}
	}
	for account, api := range d.apis {
		states[justcallName(account)] = api.budget.State()
	}
	return states
}

// giveUp ends the process, so that its supervisor starts it anew: a worker that
// has stopped itself would leave a process that looks healthy and does nothing.
func (d *daemon) giveUp(err error) {
	select {
	case d.fatal <- fmt.Errorf("a worker cannot go on: %w", err):
	default:
	}
}

func stopAll(workers []worker.Worker) {
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(w.Stop)
	}
	wg.Wait()
}
