package e2e

import (
	"fmt"
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
)

// What a cell of the fault matrix runs with.
const (
	// shortEvents are those of a cell in the short form.
	shortEvents = 60
	// hold is how long a fault lasts: longer than any timeout, and at the speed of
	// the fake JustCall's clock shorter than its second retry is away.
	hold = 3 * time.Second
	// patience is how long everything may take to be in place afterwards. A killed
	// worker's calls are given to another one after 15 s, and a lane whose
	// credentials were refused tries again every 15 s.
	patience = 3 * time.Minute

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
	search    *connectortest.CRM
	redisDir  string
	net       network
	ingress   *process
	worker    *process
	traffic   []posted
	sender    *sender
	healed    time.Time
	connector string // configuration of both connectors
}

// network is the ways that go through links.
type network struct{ webhook, temporal, redis, keyed, search *devtest.Link }

func newRig(t *testing.T) *rig {
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
	r.connect()
	r.crmsDo(func(f *connectortest.Faults) { *f = usual })
	r.traffic = newTraffic(max(*matrixFlag, shortEvents))
	return r
}

// connect puts a link before every server.
func (r *rig) connect() {
	r.net.temporal = devtest.NewLink(r.t, r.temporal.Address)
	r.net.redis = devtest.NewLink(r.t, r.redis.Address)
	r.net.keyed = devtest.NewLink(r.t, strings.TrimPrefix(r.crmURL, "http://"))
	r.net.search = devtest.NewLink(r.t, strings.TrimPrefix(r.search.Start(r.t), "http://"))
	r.temporalAddress, r.redisURL = r.net.temporal.Address, "redis://"+r.net.redis.Address+"/0"
	r.connector = fmt.Sprintf("{ type: testcrm, base_url: %q, class: B }\n  search: { type: testcrm, base_url: %q, class: D }",
		"http://"+r.net.keyed.Address, "http://"+r.net.search.Address)
}

func (r *rig) crmsDo(what func(*connectortest.Faults)) {
	r.crm.SetFaults(what)
	r.search.SetFaults(what)
}

// startIngress starts the process that takes webhooks in, or starts it again.
func (r *rig) startIngress() {
	if r.ingress == nil {
		r.ingress = r.does(r.connector, "--roles", "ingress")
		r.net.webhook = devtest.NewLink(r.t, r.ingress.address)
		r.sender = newSender("http://" + r.net.webhook.Address + withToken)
		return
	}
	r.ingress.start()
	r.ingress.ready()
}

func (r *rig) killIngress() { r.ingress.kill() }

// startWorker starts the process that delivers, or starts it again.
func (r *rig) startWorker() {
	if r.worker == nil {
		r.worker = r.does(r.connector, "--roles", "workflows,lanes")
		return
	}
	r.worker.start()
	r.worker.ready()
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
