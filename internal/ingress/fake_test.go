package ingress

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"crmsync/config"
	"crmsync/internal/ledger"
	"crmsync/sms"
	"crmsync/workflows"
)

// diary notes who was asked what, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}

// started is a start that reached Temporal.
type started struct {
	options client.StartWorkflowOptions
	input   any
	signal  any
}

// fakeTemporal takes starts. What the door does not use of the client panics.
type fakeTemporal struct {
	client.Client
	*diary

	// refuse answers the error of the nth start, counted from 0; nil takes all.
	refuse func(ctx context.Context, n int) error
	// status is that of every workflow; describing fails while it is unspecified.
	status enums.WorkflowExecutionStatus
	// state is what every workflow shows, unless empty.
	state string
	// away: it does not even say that it is well.
	away atomic.Bool

	mu     sync.Mutex
	starts []started
	wrong  map[string]error // by id: what is refused for what it is
}

// change replaces refuse while starts are under way.
func (f *fakeTemporal) change(refuse func(ctx context.Context, n int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

func (f *fakeTemporal) take(ctx context.Context, s started) error {
	f.note("start")
	f.mu.Lock()
	n := len(f.starts)
	f.starts = append(f.starts, s)
	refuse, wrong := f.refuse, f.wrong[s.options.ID]
	f.mu.Unlock()
	if refuse == nil || wrong != nil {
		return wrong
	}
	return refuse(ctx, n)
}

func (f *fakeTemporal) taken() []started {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.starts)
}

func (f *fakeTemporal) ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	return nil, f.take(ctx, started{options: o, input: args[0]})
}

func (f *fakeTemporal) SignalWithStartWorkflow(ctx context.Context, _, _ string, signal any, o client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	return nil, f.take(ctx, started{options: o, input: args[0], signal: signal})
}

func (f *fakeTemporal) DescribeWorkflowExecution(ctx context.Context, _, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	f.note("describe")
	if f.status == enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	info := &workflowpb.WorkflowExecutionInfo{Status: f.status}
	if f.state != "" {
		payload, err := converter.GetDefaultDataConverter().ToPayload(f.state)
		if err != nil {
			return nil, err
		}
		info.SearchAttributes = &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"crmsync_state": payload}}
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}, nil
}

func (f *fakeTemporal) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return &client.CheckHealthResponse{}, nil
}

// bench is a door with a fake Temporal behind it and a Redis in this process.
type bench struct {
	*diary
	door     *Door
	temporal *fakeTemporal
	redis    *miniredis.Miniredis
}

const twoCRMs = `
justcall:
  main: { region: US, webhook: { token: the-path-token } }
connectors:
  one: { type: sandbox, base_url: http://localhost:1 }
  two: { type: sandbox, base_url: http://localhost:2 }
`

func newBench(t *testing.T, text string) *bench {
	t.Helper()
	c, err := config.Parse("crmsync.yaml", []byte(text), config.System())
	require.NoError(t, err)
	d := &diary{}
	b := &bench{diary: d, temporal: &fakeTemporal{diary: d}, redis: miniredis.RunT(t)}
	memory, err := ledger.Open(ledger.Options{
		URL: "redis://" + b.redis.Addr() + "/0", Name: c.Name, Timeout: 5 * time.Second, OnOp: func(op string, _ error) { d.note(op) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, memory.Close()) })
	memory.Bind("namespace")
	b.door = NewDoor(Door{
		Config: c, Temporal: b.temporal, Ledger: memory, Hasher: sms.NewHasher(c.Privacy.HashKey()),
		Attributes: workflows.AttributesOf(c.Name), Log: hclog.NewNullLogger(),
	})
	return b
}

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

// event is one of a text from Sarah.
func event(kind sms.Kind) sms.Event {
	direction := sms.Outbound
	if kind == sms.Received || kind.Consent() {
		direction = sms.Inbound
	}
	return sms.Event{Account: "main", Kind: kind, At: noon, Message: sms.Message{
		ID: "msg_1", Direction: direction, Contact: "+15125551234", Line: "+15125550100", Body: "hello", At: noon,
	}}
}
