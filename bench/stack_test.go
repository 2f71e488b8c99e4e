//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/internal/devstack"
	"crmsync/internal/devstack/devtest"
)

// The databases that Temporal keeps its state in.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

const (
	deployment = "crmsync"
	token      = "path-token-of-the-benchmark"
	// patience is how long a scenario may wait for one thing.
	patience = 30 * time.Minute
)

// stack is a deployment: Temporal, Redis, CRMs and daemons.
type stack struct {
	tb       testing.TB
	temporal *devstack.Temporal
	database int // PostgreSQL's process; 0: none
	client   client.Client
	redis    *devstack.Redis
	crms     map[string]*crm // by the connector's name
	vendors  []*vendor
	justcall string // the address of JustCall's API; empty: there is none
	daemons  []*daemon
}

// newStack starts the servers, on an empty database.
func newStack(tb testing.TB, database string, crms map[string]*crm) *stack {
	tb.Helper()
	st := &stack{tb: tb, crms: crms, redis: devtest.Redis(tb)}
	options := devstack.TemporalOptions{Progress: os.Stderr}
	if database == postgres {
		options.Postgres, st.database = startPostgres(tb)
	} else {
		options.DataFile = filepath.Join(tb.TempDir(), "temporal.sqlite")
	}
	var err error
	st.temporal, err = devstack.StartTemporal(tb.Context(), options)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = st.temporal.Stop() })
	results.about("Temporal: "+st.temporal.How, "Redis: "+st.redis.How)
	st.client = devtest.Dial(tb, st.temporal, st.temporal.Namespace)
	return st
}

// start starts so many daemons.
func (st *stack) start(daemons int) {
	st.tb.Helper()
	for i := range daemons {
		d := &daemon{address: freeAddress(st.tb), admin: freeAddress(st.tb)}
		file := filepath.Join(st.tb.TempDir(), "crmsync.yaml")
		require.NoError(st.tb, os.WriteFile(file, []byte(st.config(d)), 0o600))
		d.process = spawn(st.tb, fmt.Sprint("daemon-", i), roleDaemon, nil, nil, "run", "--config", file)
		d.ready(st.tb)
		st.daemons = append(st.daemons, d)
	}
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	address, err := devstack.FreeAddress()
	require.NoError(tb, err)
	return address
}

func (st *stack) config(d *daemon) string {
	var connectors strings.Builder
	for name, c := range st.crms {
		fmt.Fprintf(&connectors, "  %s: { type: %s, base_url: %q, class: %s, budget: { share: 100%% } }\n", name, c.kind, c.url, classOf(c.kind))
	}
	for _, v := range st.vendors {
		connectors.WriteString(v.settings())
	}
	return fmt.Sprintf(`
name: %s
temporal: { address: %q, namespace: %q }
redis: { url: %q }
server: { listen: %q, admin: %q }
justcall:
  main: { region: US, webhook: { token: %q }%s }
connectors:
%s`, deployment, st.temporal.Address, st.temporal.Namespace, st.redis.URL, d.address, d.admin, token, st.api(), &connectors)
}

// api are the settings of JustCall's API, where there is one.
func (st *stack) api() string {
	if st.justcall == "" {
		return ""
	}
	return fmt.Sprintf(", reconcile: { every: 0 }, api: { base_url: %q, version: v2.1, key: key, secret: secret, plan: business }", st.justcall)
}

// ours is the daemon's side of a comparison, as seen by one connector.
func (st *stack) ours(connector string) *side {
	c := st.crms[connector]
	s := &side{name: "crmsync", arrived: c.arrived, calls: c.calls, hold: c.hold}
	for _, d := range st.daemons {
		s.workers = append(s.workers, d.pid())
	}
	s.send = func(i int, id string) error {
		return st.daemons[i%len(st.daemons)].post(st.tb.Context(), webhook(id, phone(i%c.contacts)))
	}
	return s
}

// know sends a text of each contact, so that it is remembered.
func (st *stack) know(connector string) {
	st.tb.Helper()
	c := st.crms[connector]
	flood(st.tb, st.ours(connector), ids("know", c.contacts), closedLoop)
	st.settle()
}

// unspool waits until Temporal has all that was accepted: a burst is taken faster
// than Temporal starts workflows.
func (st *stack) unspool() {
	st.tb.Helper()
	require.Eventually(st.tb, func() bool {
		s := st.daemons[0].standing()
		return s.Temporal && s.Spool.Waiting == 0
	}, patience, 200*time.Millisecond, "the spool is empty")
}

// servers are the processes that count as Temporal.
func (st *stack) servers() []int {
	pids := []int{st.temporal.Pid()}
	if st.database != 0 {
		pids = append(pids, st.database)
	}
	return pids
}

// settle waits until no event's workflow runs any more, so that all CPU is
// accounted for.
func (st *stack) settle() {
	st.tb.Helper()
	query := fmt.Sprintf("WorkflowType IN ('%s', '%s') AND ExecutionStatus = 'Running'", activities.SyncEvent, bareWorkflow)
	require.Eventually(st.tb, func() bool {
		counted, err := st.client.CountWorkflow(st.tb.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		return err == nil && counted.GetCount() == 0
	}, patience, 200*time.Millisecond, "all workflows end")
}

// pause keeps Temporal from handing out the activities of a queue, until resume.
func (st *stack) pause(queue string) (resume func()) {
	st.tb.Helper()
	set := func(limit *taskqueue.RateLimit) {
		_, err := st.client.WorkflowService().UpdateTaskQueueConfig(st.tb.Context(), &workflowservice.UpdateTaskQueueConfigRequest{
			Namespace: st.temporal.Namespace, TaskQueue: queue, TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
			UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: limit},
		})
		require.NoError(st.tb, err)
	}
	set(&taskqueue.RateLimit{})
	return func() { set(nil) }
}

// webhook is the body of an inbound text.
func webhook(id, from string) []byte {
	return fmt.Appendf(nil, `{"event":"sms.received","timestamp":%q,"data":{"message_id":%q,"direction":"inbound","from":%q,`+
		`"to":"+15125550100","body":%q,"media_urls":[],"justcall_number":"+15125550100","contact_name":"Contact","agent_id":null}}`,
		time.Now().UTC().Format(time.RFC3339), id, from, text)
}

// text is as long as most are.
const text = "Hello, this is to confirm the appointment on Thursday at half past ten. Please bring the papers we spoke about. Thank you!"

// ids are those of n events.
func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("msg_%s_%06d", prefix, i)
	}
	return out
}
