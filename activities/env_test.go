package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/ledger"
	"crmsync/sms"
)

const (
	running   = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	completed = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED

	// requester is the workflow in which the test environment runs activities.
	requester = "default-test-workflow-id"

	phone = sms.Phone("+15125551234")
	line  = sms.Phone("+15125550100")
)

var (
	start  = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	hasher = sms.NewHasher([]byte("a key of the test"))
	hash   = hasher.Phone(phone)

	contactID = activities.ContactID("crm", hash)
	consentID = activities.ConsentID("main", hash)

	errAway = errors.New("away")
)

// everything is what a CRM of the class can do at best.
func everything(class connectors.Class) connectors.Capabilities {
	return connectors.Capabilities{Class: class, Find: true, Create: true, Status: true, Consent: true, ReadBack: true}
}

// world is one process with one connector, named crm, over fakes of all that is
// outside.
type world struct {
	t        *testing.T
	acts     *activities.Activities
	inst     *activities.Instance
	crm      *crm
	temporal *cloud
	redis    *miniredis.Miniredis
	ledger   *ledger.Ledger

	attempt int32           // of the activities
	waited  any             // what the last heartbeat said; nil: nothing
	ctx     context.Context // the parent of the activities' contexts
	stop    chan struct{}   // closed: the worker stops
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, crm: &crm{caps: everything(connectors.ClassA)}, temporal: &cloud{t: t, workflows: map[string]*execution{}},
		redis: miniredis.RunT(t), attempt: 1, ctx: t.Context(), stop: make(chan struct{}),
	}
	w.crm.world, w.temporal.world = w, w
	var err error
	w.ledger, err = ledger.Open(ledger.Options{URL: "redis://" + w.redis.Addr(), Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.ledger.Close() })
	w.ledger.Bind("namespace")
	w.inst = &activities.Instance{
		Name: "crm", Connector: w.crm,
		Definition: connectors.Definition{
			Name: "crm", MaxBatch: 2, CallTimeout: time.Minute, Settle: 2 * time.Millisecond, SearchLag: 3 * time.Millisecond,
		},
		Contacts: activities.ContactPolicy{Several: "sticky", None: "create", CreateWhen: "inbound"},
		Owner:    activities.OwnerPolicy{From: []string{"agent", "line", "contact"}},
	}
	w.acts = &activities.Activities{
		Deployment: "crmsync", Temporal: w.temporal, Converter: converter.GetDefaultDataConverter(), Ledger: w.ledger,
		Hasher: hasher, Instances: map[string]*activities.Instance{"crm": w.inst}, Log: hclog.NewNullLogger(),
		Syncing: func(found *commonpb.SearchAttributes, connector string) bool {
			return slices.Contains(deliveriesIn(found), connector+"=syncing")
		},
	}
	return w
}

// bare leaves the connector nothing but what each must have.
func (w *world) bare() { w.inst.Connector = struct{ connectors.Connector }{w.crm} }

// knows puts a contact into Redis.
func (w *world) knows(id string) {
	w.ledger.RememberContact(w.t.Context(), "crm", hash, ledger.Contact{Ref: ref(id), OwnerID: "owner", How: "in Redis"})
}

// cached is the contact in Redis, "" for none.
func (w *world) cached() string {
	c, _ := w.ledger.Contact(w.t.Context(), "crm", hash)
	return c.Ref.ID
}

// record is the text's record in Redis, "" for none.
func (w *world) record() string {
	r, _ := w.ledger.Record(w.t.Context(), "crm", "main/msg_1")
	return r.ID
}

func (w *world) deliver(in activities.DeliverInput) (activities.DeliverResult, error) {
	w.t.Helper()
	return run[activities.DeliverResult](w, w.acts.Deliver, in)
}

// deliverLater is deliver where the first attempt only waits, and the next one does
// not have to.
func (w *world) deliverLater(in activities.DeliverInput) (activities.DeliverResult, error) {
	w.t.Helper()
	before := len(w.crm.calls)
	_, err := w.deliver(in)
	retried(w.t, activities.Waiting, err)
	require.Equal(w.t, w.inst.Definition.Settle+w.inst.Definition.SearchLag, delayOf(w.t, err), "an earlier write has to land and to be seen")
	require.Len(w.t, w.crm.calls, before)
	w.attempt++
	return w.deliver(in)
}

func delayOf(t *testing.T, err error) time.Duration {
	t.Helper()
	e, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok)
	return e.NextRetryDelay()
}

// run makes one attempt of an activity.
func run[Out any](w *world, f, in any) (out Out, err error) {
	w.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{
		BackgroundActivityContext: w.ctx, Interceptors: []interceptor.WorkerInterceptor{&attempts{n: w.attempt}},
	})
	env.SetWorkerStopChannel(w.stop)
	env.RegisterActivity(w.acts)
	env.SetHeartbeatDetails(w.waited)
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		said := map[string]any{}
		require.NoError(w.t, details.Get(&said))
		w.waited = said
	})
	value, err := env.ExecuteActivity(f, in)
	if err == nil && value.HasValue() {
		require.NoError(w.t, value.Get(&out))
	}
	return out, err
}

// attempts tells activities which attempt they are.
type attempts struct {
	interceptor.WorkerInterceptorBase
	n int32
}

func (a *attempts) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &attemptsInbound{interceptor.ActivityInboundInterceptorBase{Next: next}, a.n}
}

type attemptsInbound struct {
	interceptor.ActivityInboundInterceptorBase
	n int32
}

func (a *attemptsInbound) Init(next interceptor.ActivityOutboundInterceptor) error {
	return a.Next.Init(&attemptsOutbound{interceptor.ActivityOutboundInterceptorBase{Next: next}, a.n})
}

type attemptsOutbound struct {
	interceptor.ActivityOutboundInterceptorBase
	n int32
}

func (a *attemptsOutbound) GetInfo(ctx context.Context) activity.Info {
	info := a.Next.GetInfo(ctx)
	info.Attempt = a.n
	return info
}

// crm is a CRM that answers what a test wants; by default every call goes well
// and nothing is there.
type crm struct {
	world *world
	caps  connectors.Capabilities

	check    func() error
	find     func(p sms.Phone) ([]connectors.Contact, error)
	found    [][]connectors.Contact // overrides find, whatever its length
	create   func(c connectors.NewContact) (connectors.Contact, error)
	put      func(r connectors.Record) []connectors.Outcome
	status   func(c connectors.StatusChange) []connectors.Outcome
	consent  func(c []connectors.ConsentChange) []connectors.Outcome
	readBack func(r connectors.Record) ([]connectors.Ref, error)
	owners   func(email string) (string, error)
	adopt    func(r connectors.Record) []connectors.Outcome

	mu       sync.Mutex
	calls    []string // the verbs, in order
	records  []connectors.Record
	changes  []connectors.StatusChange
	consents [][]connectors.ConsentChange
}

func (c *crm) called(verb string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, verb)
}

func (c *crm) Check(context.Context) (connectors.Capabilities, error) {
	if c.check != nil {
		c.called("check")
		return c.caps, c.check()
	}
	return c.caps, nil
}

func (c *crm) FindContacts(_ context.Context, phones []sms.Phone) ([][]connectors.Contact, error) {
	c.called("find")
	if c.found != nil {
		return c.found, nil
	}
	if c.find == nil {
		return make([][]connectors.Contact, len(phones)), nil
	}
	out, err := c.find(phones[0])
	return [][]connectors.Contact{out}, err
}

func (c *crm) CreateContact(_ context.Context, n connectors.NewContact) (connectors.Contact, error) {
	c.called("create")
	return c.create(n)
}

func (c *crm) PutMessages(_ context.Context, records []connectors.Record) []connectors.Outcome {
	c.called("put")
	c.mu.Lock()
	c.records = append(c.records, records...)
	c.mu.Unlock()
	if c.put == nil {
		return []connectors.Outcome{{Ref: ref("record"), State: connectors.Written}}
	}
	return c.put(records[0])
}

func (c *crm) UpdateStatus(_ context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	c.called("status")
	c.changes = append(c.changes, changes...)
	if c.status == nil {
		return []connectors.Outcome{{Ref: ref("record"), State: connectors.Written}}
	}
	return c.status(changes[0])
}

func (c *crm) SetConsent(_ context.Context, changes []connectors.ConsentChange) []connectors.Outcome {
	c.called("consent")
	c.consents = append(c.consents, changes)
	if c.consent != nil {
		return c.consent(changes)
	}
	out := make([]connectors.Outcome, len(changes))
	for i := range out {
		out[i].State = connectors.Written
	}
	return out
}

func (c *crm) FindMessages(_ context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	c.called("read back")
	c.records = append(c.records, records...)
	if c.readBack == nil {
		return make([][]connectors.Found, len(records)), nil
	}
	refs, err := c.readBack(records[0])
	found := make([][]connectors.Found, len(refs))
	for i, ref := range refs {
		if !ref.Zero() {
			found[i] = []connectors.Found{{Ref: ref}}
		}
	}
	return found, err
}

func (c *crm) AdoptMessages(_ context.Context, records []connectors.Record) []connectors.Outcome {
	c.called("adopt")
	if c.adopt == nil {
		return []connectors.Outcome{{State: connectors.NotApplicable}}
	}
	return c.adopt(records[0])
}

func (c *crm) FindOwners(_ context.Context, emails []string) ([]string, error) {
	c.called("owner")
	if c.owners == nil {
		return make([]string, len(emails)), nil
	}
	id, err := c.owners(emails[0])
	return []string{id}, err
}

// finds makes the search answer contacts with these ids, the later the fresher.
func (c *crm) finds(ids ...string) {
	c.find = func(p sms.Phone) (out []connectors.Contact, err error) {
		require.Equal(c.world.t, phone, p)
		for i, id := range ids {
			out = append(out, connectors.Contact{Ref: ref(id), OwnerID: "owner of " + id, Updated: start.Add(time.Duration(i) * time.Hour)})
		}
		return out, nil
	}
}

// execution is a workflow at Temporal.
type execution struct {
	status     enums.WorkflowExecutionStatus
	memo       map[string]any
	deliveries []string // the search attribute; nil: not set
	result     any
}

// sent is a signal.
type sent struct {
	id, name string
	arg      any
}

// cloud is a Temporal that knows a few workflows.
type cloud struct {
	client.Client // nil: nothing else is called
	t             *testing.T
	world         *world
	workflows     map[string]*execution
	describeErr   error
	signalErr     error
	onSignal      func()
	signals       []sent
	started       []client.StartWorkflowOptions
	described     []string
	empty         bool // describes nothing
	count         int64
	newest        []string // ids of the workflows that are listed
}

func (c *cloud) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	c.described = append(c.described, id)
	if c.describeErr != nil {
		return nil, c.describeErr
	}
	if c.empty {
		return &workflowservice.DescribeWorkflowExecutionResponse{}, nil
	}
	w, ok := c.workflows[id]
	if !ok {
		return nil, noSuchWorkflow()
	}
	memo := map[string]*commonpb.Payload{}
	for k, v := range w.memo {
		p, err := converter.GetDefaultDataConverter().ToPayload(v)
		require.NoError(c.t, err)
		memo[k] = p
	}
	attributes := map[string]*commonpb.Payload{}
	if w.deliveries != nil {
		p, err := converter.GetDefaultDataConverter().ToPayload(w.deliveries)
		require.NoError(c.t, err)
		attributes["deliveries"] = p
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: w.status, Memo: &commonpb.Memo{Fields: memo}, SearchAttributes: &commonpb.SearchAttributes{IndexedFields: attributes},
	}}, nil
}

func deliveriesIn(found *commonpb.SearchAttributes) (deliveries []string) {
	_ = converter.GetDefaultDataConverter().FromPayload(found.GetIndexedFields()["deliveries"], &deliveries)
	return deliveries
}

func (c *cloud) SignalWorkflow(_ context.Context, id, _, name string, arg any) error {
	c.signals = append(c.signals, sent{id, name, arg})
	if c.onSignal != nil {
		c.onSignal()
	}
	return c.signalErr
}

func (c *cloud) SignalWithStartWorkflow(_ context.Context, id, name string, arg any, o client.StartWorkflowOptions, _ any, in ...any) (client.WorkflowRun, error) {
	require.Equal(c.t, []any{activities.ContactInput{Connector: "crm", Phone: phone}}, in)
	c.signals = append(c.signals, sent{id, name, arg})
	c.started = append(c.started, o)
	return nil, c.signalErr
}

func (c *cloud) GetWorkflow(_ context.Context, id, _ string) client.WorkflowRun {
	return finished{execution: c.workflows[id]}
}

// asked is the one question that EnsureContact got.
func (c *cloud) asked() activities.Ask {
	c.t.Helper()
	require.Len(c.t, c.signals, 1)
	require.Equal(c.t, contactID, c.signals[0].id)
	require.Equal(c.t, activities.SignalAsk, c.signals[0].name)
	return c.signals[0].arg.(activities.Ask)
}

// finished is a workflow with a result, or with an error for one.
type finished struct {
	client.WorkflowRun
	*execution
}

func (f finished) Get(_ context.Context, into any) error {
	if err, ok := f.result.(error); ok {
		return err
	}
	*into.(*activities.SyncResult) = f.result.(activities.SyncResult)
	return nil
}

func noSuchWorkflow() error { return serviceerror.NewNotFound("no such workflow") }

func ref(id string) connectors.Ref { return connectors.Ref{ID: id} }

// received is a text that came in.
func received() sms.Event {
	return sms.Event{Account: "main", Kind: sms.Received, At: start, Message: sms.Message{
		ID: "msg_1", Direction: sms.Inbound, Contact: phone, Line: line, Body: "hello",
		ContactName: "Ada", ContactEmail: "ada@example.com", At: start,
	}}
}

// outbound is an event of a text that was sent.
func outbound(kind sms.Kind) sms.Event {
	e := received()
	e.Kind, e.Message.Direction = kind, sms.Outbound
	return e
}

// live is a text as it comes from a webhook.
func live() activities.DeliverInput {
	return activities.DeliverInput{Connector: "crm", Event: received(), Fresh: true}
}

// to is a text whose contact is decided.
func to(contact string) activities.DeliverInput {
	in := live()
	in.Match = &activities.Match{Contact: ref(contact), How: "only match"}
	return in
}

// outcome answers one outcome, whatever was asked.
func outcome[In any](state connectors.State, err *connectors.Error) func(In) []connectors.Outcome {
	return func(In) []connectors.Outcome { return []connectors.Outcome{{State: state, Err: err}} }
}

// fails answers that the call failed.
func fails[In any](kind connectors.Kind) func(In) []connectors.Outcome {
	return outcome[In](connectors.Failed, &connectors.Error{Op: "call", Kind: kind})
}

// failed is what Temporal is told of a failure.
func failed(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	require.Error(t, err)
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok, "%T: %v", err, err)
	return app
}

// retried demands a failure that Temporal retries, of a type.
func retried(t *testing.T, kind string, err error) {
	t.Helper()
	app := failed(t, err)
	require.Equal(t, kind, app.Type(), app.Message())
	require.False(t, app.NonRetryable())
}

// parked demands a failure that waits for a person, of a type.
func parked(t *testing.T, kind string, err error) {
	t.Helper()
	app := failed(t, err)
	require.Equal(t, kind, app.Type(), app.Message())
	require.True(t, app.NonRetryable())
}

// hiccup demands a failure of Temporal itself, which is retried as any error.
func hiccup(t *testing.T, err error) {
	t.Helper()
	require.ErrorContains(t, err, "away")
	require.False(t, failed(t, err).NonRetryable())
}

func times(calls []string, verb string) int {
	return len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return c != verb }))
}
