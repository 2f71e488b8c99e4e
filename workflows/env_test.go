package workflows_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

const deployment = "crmsync"

// acts names activities to mock; none of its methods is ever run here.
var acts *activities.Activities

// quiet drops what the SDK logs.
var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// env is the SDK's test environment, whose clock skips what nobody waits for.
// It records the search attributes as they are set.
type env struct {
	*testsuite.TestWorkflowEnvironment
	t     *testing.T
	run   *firstRun
	shown []temporal.SearchAttributes
}

func newEnv(t *testing.T) *env {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet)
	e := &env{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, run: &firstRun{}}
	e.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "the workflow", TaskQueue: deployment})
	e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{e.run}})
	e.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
		e.shown = append(e.shown, args.Get(0).(temporal.SearchAttributes))
	}).Maybe().Return(nil)
	return e
}

// after runs f once d has passed on the workflow's clock.
func (e *env) after(d time.Duration, f func()) { e.RegisterDelayedCallback(f, d) }

// state is the last one shown, "" where none was.
func (e *env) state() string {
	if len(e.shown) == 0 {
		return ""
	}
	state, _ := e.shown[len(e.shown)-1].GetKeyword(workflows.AttributesOf(deployment).State)
	return state
}

// listed are the deliveries last shown.
func (e *env) listed() []string {
	if len(e.shown) == 0 {
		return nil
	}
	list, _ := e.shown[len(e.shown)-1].GetKeywordList(workflows.AttributesOf(deployment).Deliveries)
	return list
}

// details is what the page of the workflow says.
func (e *env) details() string {
	e.t.Helper()
	value, err := e.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(e.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(e.t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// repair sends an update that has to be accepted.
func (e *env) repair(verb string, r workflows.Repair) {
	e.UpdateWorkflow(verb, "", &testsuite.TestUpdateCallback{
		OnReject:   func(err error) { e.t.Errorf("%s was rejected: %v", verb, err) },
		OnComplete: func(_ any, err error) { require.NoError(e.t, err) },
	}, r)
}

// rejected sends an update that has to be rejected with message.
func (e *env) rejected(verb string, r workflows.Repair, message string) {
	e.UpdateWorkflow(verb, "", &testsuite.TestUpdateCallback{
		OnAccept: func() { e.t.Errorf("%s was accepted instead of: %s", verb, message) },
		OnReject: func(err error) { require.ErrorContains(e.t, err, message) },
	}, r)
}

// result runs the workflow to its end, which has to be a good one.
func result[Out any](e *env, workflow any, in any) (out Out) {
	e.t.Helper()
	e.ExecuteWorkflow(workflow, in)
	require.True(e.t, e.IsWorkflowCompleted())
	require.NoError(e.t, e.GetWorkflowError())
	require.NoError(e.t, e.GetWorkflowResult(&out))
	return out
}

// runUntilCancelled runs a workflow that does not end by itself for d.
func (e *env) runUntilCancelled(d time.Duration, workflow any, in any) {
	e.t.Helper()
	e.after(d, e.CancelWorkflow)
	e.ExecuteWorkflow(workflow, in)
	require.True(e.t, e.IsWorkflowCompleted())
	require.True(e.t, temporal.IsCanceledError(e.GetWorkflowError()), "ended before it was cancelled: %v", e.GetWorkflowError())
}

// calls records what an activity was called with. Activities run on goroutines
// of their own.
type calls[In any] struct {
	mu   sync.Mutex
	list []In
}

func (c *calls[In]) add(in In) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, in)
	return len(c.list)
}

func (c *calls[In]) all() []In {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// on answers the calls of an activity, which are numbered from 1.
func on[In, Out any](e *env, activity any, answer func(n int, in In) (Out, error)) *calls[In] {
	c := &calls[In]{}
	e.OnActivity(activity, mock.Anything, mock.Anything).Return(func(_ context.Context, in In) (Out, error) {
		return answer(c.add(in), in)
	})
	return c
}

// told is on for an activity that answers nothing.
func told[In any](e *env, activity any, answer func(n int, in In) error) *calls[In] {
	c := &calls[In]{}
	e.OnActivity(activity, mock.Anything, mock.Anything).Return(func(_ context.Context, in In) error {
		return answer(c.add(in), in)
	})
	return c
}

// refused is a failure that repeating cannot help.
func refused(kind connectors.Kind, message string) error {
	return temporal.NewNonRetryableApplicationError(message, string(kind), nil)
}

// unavailable is a failure that Temporal retries after delay.
func unavailable(delay time.Duration, ambiguous bool) error {
	return temporal.NewApplicationErrorWithOptions("the CRM is away", string(connectors.Unavailable), temporal.ApplicationErrorOptions{
		NextRetryDelay: delay, Details: []any{activities.FailureDetail{Ambiguous: ambiguous, RetryAfter: delay}},
	})
}

// firstRun says that the run is the first of its workflow, which the test
// environment leaves open; or, with reset, that it was reset.
type firstRun struct {
	interceptor.WorkerInterceptorBase
	reset bool
}

func (f *firstRun) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &firstRunInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, f}
}

type firstRunInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	run *firstRun
}

func (f *firstRunInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return f.Next.Init(&firstRunOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: next}, f.run})
}

type firstRunOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	run *firstRun
}

func (f *firstRunOutbound) GetInfo(ctx workflow.Context) *workflow.Info {
	info := *f.Next.GetInfo(ctx)
	info.OriginalRunID = info.WorkflowExecution.RunID
	if f.run.reset {
		info.OriginalRunID = "the run before the reset"
	}
	return &info
}

var begin = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// received is a text that came in.
func received() sms.Event {
	return sms.Event{Account: "main", Kind: sms.Received, At: begin, Message: sms.Message{
		ID: "msg_1", Direction: sms.Inbound, Contact: "+15125551234", Line: "+15125550100", Body: "hello", At: begin,
	}}
}

// status is a status of a text that was sent.
func status(kind sms.Kind) sms.Event {
	e := received()
	e.Kind, e.Message.Direction, e.At = kind, sms.Outbound, begin.Add(time.Minute)
	return e
}

func ref(id string) connectors.Ref { return connectors.Ref{ID: id} }

func matchOf(id string) activities.Match {
	return activities.Match{Contact: ref(id), How: "only match"}
}

// written is a delivery that went well.
func written(record, contact string) activities.DeliverResult {
	return activities.DeliverResult{State: connectors.Written, Record: ref(record), Match: matchOf(contact)}
}

type workflowContinued = workflow.ContinueAsNewError

// inputOf is what the workflow goes on with.
func inputOf[In any](t *testing.T, again *workflowContinued) (in In) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	return in
}
