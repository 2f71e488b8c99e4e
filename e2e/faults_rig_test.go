package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/justcall/justcalltest"
)

// What a cell of the fault matrix runs with.
const (
	// shortEvents are those of a cell in the short form.
	shortEvents = 60
	// hold is how long a fault lasts, and longHold one whose victims are patient:
	// longer than any call waits. On the fake JustCall's clock both end before its
	// second retry.
	hold     = 3 * time.Second
	longHold = 12 * time.Second
	// patience is how long everything may take to be in place afterwards. A killed
	// worker's calls are given to another one after 15 s, and a lane whose
	// credentials were refused tries again every 15 s.
	patience = 5 * time.Minute

	// haste is the fake JustCall's clock: a second of it is so many of ours.
	haste = 1. / 15

	callTimeout = time.Second
	crmSettle   = 500 * time.Millisecond
)

// usual is a CRM in good health: slow enough that a fault meets work under way.
var usual = connectortest.Faults{Latency: 30 * time.Millisecond}

// rig is a stack whose every part, and every way between them, can be broken. One
// process takes webhooks in, another one delivers; one CRM knows texts by their
// keys (class B), the other one has but a search (class D).
type rig struct {
	*stack
	search          *connectortest.CRM
	justcall        *justcalltest.Server
	redisDir        string
	net             network
	ingress, worker *process
	traffic         []event
	kept            []event // those that JustCall lists and did not post
	healed          time.Time
	reconciled      time.Time // when that was asked for last
}

// network is the ways that go through links.
type network struct{ webhook, api, temporal, redis, keyed, search *devtest.Link }

func newRig(t *testing.T, f fault) *rig {
	t.Helper()
	r := &rig{redisDir: t.TempDir()}
	redis, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{Dir: r.redisDir, AOF: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = redis.Kill() })
	options := connectortest.CRMOptions{Settle: crmSettle}
	r.stack = newStack(t, setup{
		crm: options, temporal: ownTemporal(t, ""), redis: redis,
		connector: connectortest.Options{Settle: 2 * crmSettle, CallTimeout: callTimeout, MaxBatch: 10},
	})
	options.Class = connectors.ClassD
	r.search = connectortest.NewCRM(options)
	r.crmsDo(func(f *connectortest.Faults) { *f = usual })
	r.connect(f)
	r.traffic = newTraffic(max(*matrixFlag, shortEvents))
	r.addContacts()
	return r
}

// connect puts a link before every server, and prepares the processes.
func (r *rig) connect(f fault) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.justcall.ServeHTTP(w, q) }))
	r.t.Cleanup(api.Close)
	r.net = network{
		temporal: devtest.NewLink(r.t, r.temporal.Address), redis: devtest.NewLink(r.t, r.redis.Address),
		keyed: linkTo(r.t, r.crmURL), search: linkTo(r.t, r.search.Start(r.t)), api: linkTo(r.t, api.URL),
	}
	r.temporalAddress, r.redisURL = r.net.temporal.Address, "redis://"+r.net.redis.Address+"/0"
	r.setup.justcall = fmt.Sprintf("{ region: US, webhook: { token: %q }, api: { base_url: %q, key: key, secret: secret } }",
		token, "http://"+r.net.api.Address)
	r.ingress, r.worker = r.prepared(f, "ingress"), r.prepared(f, "workflows,lanes")
	r.worker.address = r.worker.admin // it listens nowhere else
	r.net.webhook = devtest.NewLink(r.t, r.ingress.address)
	r.justcall = justcalltest.NewServer(justcalltest.Options{URL: "http://" + r.net.webhook.Address + withToken, Scale: haste, Parallel: 100})
	r.t.Cleanup(r.justcall.Close)
}

func linkTo(t *testing.T, url string) *devtest.Link {
	return devtest.NewLink(t, strings.TrimPrefix(url, "http://"))
}

// prepared is a process that does a part.
func (r *rig) prepared(f fault, roles string) *process {
	p := r.prepare()
	p.configure(r.t, fmt.Sprintf("{ type: testcrm, base_url: %q, class: B }\n  search: { type: testcrm, base_url: %q, class: D }\n%s",
		"http://"+r.net.keyed.Address, "http://"+r.net.search.Address, f.config))
	p.flags = []string{"--roles", roles}
	return p
}

func (r *rig) crmsDo(what func(*connectortest.Faults)) {
	r.crm.SetFaults(what)
	r.search.SetFaults(what)
}

func (r *rig) startIngress() {
	r.ingress.start()
	r.ingress.ready()
}

func (r *rig) killIngress() { r.ingress.kill() }

func (r *rig) startWorker() {
	r.worker.start()
	r.worker.ready()
}

// crmsAsked waits until each CRM was asked for something three times more, so that a
// fault meets what it is for; empty: for anything.
func (r *rig) crmsAsked(op string) {
	asked := func(crm *connectortest.CRM) (n int) {
		for name, times := range crm.Requests() {
			if op == "" || op == name {
				n += times
			}
		}
		return n
	}
	keyed, search := asked(r.crm), asked(r.search)
	eventually(r.t, patience, "the CRMs are asked", func() bool { return asked(r.crm) >= keyed+3 && asked(r.search) >= search+3 })
}

func (r *rig) killWorker() { r.worker.kill() }

func (r *rig) killRedis() { require.NoError(r.t, r.redis.Kill()) }

func (r *rig) startRedis() { require.NoError(r.t, r.redis.Start(r.t.Context())) }

// startRedisEmpty starts it without the file that it kept.
func (r *rig) startRedisEmpty() {
	files, err := filepath.Glob(filepath.Join(r.redisDir, "*"))
	require.NoError(r.t, err)
	require.NotEmpty(r.t, files)
	for _, file := range files {
		require.NoError(r.t, os.RemoveAll(file))
	}
	r.startRedis()
}

func (r *rig) killTemporal() { require.NoError(r.t, r.temporal.Kill()) }

// startTemporal starts it as a supervisor does: a server that finds much to do at
// its start may give up once.
func (r *rig) startTemporal() {
	err := r.temporal.Restart(r.t.Context())
	for tries := 0; err != nil && tries < 3; tries++ {
		err = r.temporal.Restart(r.t.Context())
	}
	require.NoError(r.t, err)
}

// killIngressDraining takes Temporal away for a while, and kills the process that
// then starts what has gathered, in the midst of that: what it has asked for does
// not arrive.
func (r *rig) killIngressDraining() {
	const started = "WorkflowType = 'SyncEvent'"
	r.net.temporal.Become(devtest.Refusing)
	<-time.After(hold)
	before := r.count(started)
	r.net.temporal.Become(devtest.Slow)
	eventually(r.t, patience, "the spool is drained", func() bool { return r.count(started) > before })
	r.net.temporal.Become(devtest.Hanging)
	<-time.After(time.Second)
	r.killIngress()
	r.net.temporal.Become(devtest.Refusing)
}

func (r *rig) startIngressDrained() {
	r.net.temporal.Become(devtest.Healthy)
	r.startIngress()
}

// spooled is how many events Redis holds for Temporal, as ingress knows it.
func (r *rig) spooled() float64 { return r.ingress.scrape().value(r.t, "crmsync_spool_depth") }

// killRedisHolding takes Temporal away, and Redis once it holds events for it.
func (r *rig) killRedisHolding() {
	r.net.temporal.Become(devtest.Refusing)
	eventually(r.t, patience, "Redis holds events", func() bool { return r.spooled() >= 5 })
	r.killRedis()
}

func (r *rig) startBoth() {
	r.startRedis()
	r.net.temporal.Become(devtest.Healthy)
}

func (r *rig) startBothEmpty() {
	r.startRedisEmpty()
	r.net.temporal.Become(devtest.Healthy)
}
