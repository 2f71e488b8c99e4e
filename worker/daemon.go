package worker

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/codec"
	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
	"crmsync/internal/metrics"
	"crmsync/sms"
	"crmsync/workflows"
)

const (
	// drainTimeout is how long webhooks under way may take after SIGTERM, and
	// stopTimeout how long calls to CRMs may; together they stay below the 30 s
	// that a supervisor grants.
	drainTimeout = 4 * time.Second
	stopTimeout  = 24 * time.Second
	// writeTimeout cuts a client off that does not read its answer.
	writeTimeout = 30 * time.Second
	// redisGrace is how long a start waits for Redis before it goes on without.
	redisGrace = 10 * time.Second
)

// daemon is the long-running process: webhooks in, deliveries out, or its part of
// that.
type daemon struct {
	config   *config.Config
	part     part
	log      hclog.Logger
	metrics  *metrics.Metrics
	temporal client.Client
	ledger   *ledger.Ledger
	spool    *ledger.Spool
	signIns  *signIns
	apis     map[string]justcallAPI
	acts     *activities.Activities
	door     *ingress.Door
	holds    *holds

	started atomic.Bool   // workers poll
	stopped atomic.Bool   // or about to
	up      chan struct{} // closed once they do
	fatal   chan error    // a worker that cannot go on
}

// newDaemon wires everything together, without any I/O.
func newDaemon(c *config.Config, does part, registry *connectors.Registry, log hclog.Logger) (*daemon, error) {
	measures, err := metrics.New(metrics.Options{
		Version: buildVersion(), Accounts: slices.Collect(maps.Keys(c.JustCall)), Connectors: called(c),
		OnError: func(err error) { log.Error("a metric is missing", "error", err) },
	})
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	ring, err := ringOf(c)
	if err != nil {
		return nil, err
	}
	redis := ledger.Options{
		URL: c.Redis.URL.Reveal(), Mode: string(c.Redis.Mode), Name: c.Name, Ring: ring, Log: log.Named("redis"),
		OnOp: measures.Redis,
	}
	memory, err := ledger.Open(redis)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	spool, err := ledger.OpenSpool(redis, spoolLimits(c))
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	signIns := newSignIns(c, log)
	out := way{metrics: measures, budgets: budget.New(memory), signIns: signIns}
	instances, err := openInstances(c, registry, out)
	if err != nil {
		return nil, err
	}
	temporal, err := newTemporalClient(c.Temporal, ring, log, measures.Temporal())
	if err != nil {
		return nil, err
	}
	apis := openJustCall(c, out, log.Named("justcall"))
	d := &daemon{
		config: c, apis: apis, part: does, log: log, metrics: measures, temporal: temporal, ledger: memory, spool: spool,
		signIns: signIns, up: make(chan struct{}), fatal: make(chan error, 1),
	}
	d.join(ring, instances)
	if err := d.watch(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return d, nil
}

// join makes the door and the activities of what they work with.
func (d *daemon) join(ring *codec.Ring, instances map[string]*activities.Instance) {
	c, hasher := d.config, sms.NewHasher(d.config.Privacy.HashKey())
	for _, instance := range instances {
		instance.Board, instance.Log = d.ledger, d.log.Named("lane")
	}
	d.door = ingress.NewDoor(ingress.Door{
		Config: c, Temporal: d.temporal, Ledger: d.ledger, Spool: d.spool, Hasher: hasher,
		Attributes: workflows.AttributesOf(c.Name), Log: d.log.Named("ingress"), Metrics: d.metrics,
	})
	data, _ := ring.Converters()
	seen, people := forActivities(d.apis)
	d.acts = &activities.Activities{
		Deployment: c.Name, Temporal: d.temporal, Converter: data, Ledger: d.ledger,
		Hasher: hasher, Instances: instances, Staff: staff(c), JustCall: seen, People: people, Door: d.door,
		Syncing: workflows.AttributesOf(c.Name).Syncing, Metrics: d.metrics, Log: d.log.Named("deliver"),
	}
	d.holds = &holds{temporal: d.temporal, namespace: c.Temporal.Namespace, deployment: c.Name, flows: map[string]time.Time{}}
}

// watch has metrics look at what is not counted as it happens.
func (d *daemon) watch() error {
	standing := survey{temporal: d.temporal, config: d.config}
	watched := metrics.Sources{Redis: func() bool { return d.ledger.State().Up }, Lanes: d.pauses, Budgets: d.budgets, Survey: standing.take}
	if d.part.does(roleIngress) {
		watched.Spool = d.door.SpoolState
	}
	return d.metrics.Watch(watched)
}

// run serves until ctx ends, and then stops gracefully.
func (d *daemon) run(ctx context.Context) error {
	defer d.temporal.Close()
	defer func() { _ = d.ledger.Close() }()
	defer func() { _ = d.spool.Close() }()
	defer func() { _ = d.signIns.close() }()
	d.door.Hold()
	servers, err := d.listen()
	if err != nil {
		return err
	}
	stopWorkers, err := d.start(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-d.fatal:
		}
	}
	d.stopped.Store(true)
	d.log.Info("stopping: finishing what is in flight, giving the rest back")
	shutdown(servers...)
	stopWorkers()
	d.log.Info("stopped")
	return err
}

// listen opens the addresses: that of webhooks only where they are taken in.
func (d *daemon) listen() (servers []*http.Server, err error) {
	if d.part.does(roleIngress) {
		public, err := listen(d.config.Server.Listen, d.publicHandler(), writeTimeout)
		if err != nil {
			return nil, fmt.Errorf("server.listen: %w", err)
		}
		servers = append(servers, public)
		d.log.Info("listening for webhooks", "address", d.config.Server.Listen)
	}
	admin, err := listen(d.config.Server.Admin, d.adminHandler(), writeTimeout)
	if err != nil {
		shutdown(servers...)
		return nil, fmt.Errorf("server.admin: %w", err)
	}
	d.log.Info("listening for operators", "address", d.config.Server.Admin)
	return append(servers, admin), nil
}

// start waits for Temporal and, a little, for Redis, and starts the workers.
// Webhooks are answered meanwhile: their events are spooled until workflows can be
// listed by their attributes.
func (d *daemon) start(ctx context.Context) (stop func(), err error) {
	stop = func() {}
	id, err := d.awaitTemporal(ctx)
	if err != nil {
		return stop, nil //nolint:nilerr // asked to stop before Temporal came: no failure
	}
	d.ledger.Bind(id)
	d.awaitRedis(ctx)
	d.doubtSpool(ctx)
	if risk := d.signIns.risk(ctx); risk != "" {
		d.log.Warn("Redis keeps the sign-ins of connectors, and " + risk)
	}
	if err := registerAttributes(ctx, d.temporal, d.config); err != nil {
		d.log.Warn("search attributes could not be registered: workflows go on without, and cannot be listed by state", "error", err)
	}
	d.door.Release()
	stopLanes := d.runLanes()
	workers := d.workers()
	for i, w := range workers {
		if err := w.Start(); err != nil {
			return func() { stopLanes(); stopAll(workers[:i]) }, fmt.Errorf("start worker: %w", err)
		}
	}
	stopDrain := d.drain()
	if d.part.does(roleWorkflows) {
		go d.keepSchedules(ctx)
	}
	d.started.Store(true)
	close(d.up)
	d.log.Info("ready", "roles", d.part.roles, "lanes", len(d.part.lanes), "accounts", len(d.config.JustCall))
	return func() { stopDrain(); stopLanes(); stopAll(workers) }, nil
}

// awaitTemporal answers the identity of the namespace, as soon as there is one.
func (d *daemon) awaitTemporal(ctx context.Context) (string, error) {
	said := time.Time{}
	for {
		described, err := namespace(ctx, d.temporal, d.config.Temporal.Namespace)
		if err == nil {
			return described.GetNamespaceInfo().GetId(), nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if time.Since(said) > 30*time.Second {
			said = time.Now()
			d.log.Warn("waiting for Temporal: webhooks are answered as long as Redis spools their events",
				"address", d.config.Temporal.Address, "namespace", d.config.Temporal.Namespace, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (d *daemon) awaitRedis(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, redisGrace)
	defer cancel()
	for said := false; d.ledger.Ping(ctx) != nil; said = true {
		if !said {
			d.log.Warn("waiting for Redis, and going on without it after a while", "for", redisGrace)
		}
		select {
		case <-ctx.Done():
			d.log.Warn("Redis is away: going on with Temporal alone, which is slower and costs more API calls")
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// listen serves until the server is shut down. A client that is slow to send is
// cut off.
func listen(address string, handler http.Handler, writeTimeout time.Duration) (*http.Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	go func() { _ = server.Serve(listener) }()
	return server, nil
}

func shutdown(servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if s.Shutdown(ctx) != nil {
				_ = s.Close()
			}
		})
	}
	wg.Wait()
}
