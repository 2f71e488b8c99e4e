package ingress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/ledger"
	"crmsync/sms"
	"crmsync/workflows"
)

// The limits of the door.
const (
	// promptly is how long Temporal may take to accept a webhook's event before the
	// spool is asked, too: most starts take half as long.
	promptly = 25 * time.Millisecond
	// StartTimeout is how long it may take before the next events go to the spool
	// at once. The SDK blocks while the server is away.
	StartTimeout = 150 * time.Millisecond
	// Patience is how long Temporal may take where there is no spool to turn to.
	Patience = 2 * time.Second
	// lateTimeout is how long a start may go on that nobody waits for any more. It
	// is not cancelled before: where Temporal has handed its first task to this
	// process, that would be lost for ten seconds.
	lateTimeout = 10 * time.Second
	// MaxStarts is how many starts are in flight at most: beyond it Temporal's
	// throughput collapses.
	MaxStarts = 64
	// calmStarts is how many of them are so few that each is answered at once.
	calmStarts = 8
	// MaxQuarantined is how much of an undecodable body is kept, in bytes.
	MaxQuarantined = 256 << 10
	// lineMemory is how long a process does not tell Redis a line again.
	lineMemory = time.Hour
	// verifyTimeout is how long a duplicate may ask Temporal whether its
	// workflow was terminated.
	verifyTimeout = 150 * time.Millisecond
)

// ErrUnavailable is returned while no durable store takes the event: nothing was
// lost, since the sender is told to come again.
var ErrUnavailable = errors.New("the event cannot be kept now")

// Door is the one way in: webhooks, repairs of quarantined bodies and, later,
// reconciliation start their workflows here. It is safe for concurrent use.
type Door struct {
	Config   *config.Config
	Temporal client.Client
	Ledger   *ledger.Ledger
	// Spool takes live events that Temporal does not take at once; nil: there is
	// none, and they wait for Temporal.
	Spool      *ledger.Spool
	Hasher     sms.Hasher
	Attributes workflows.Attributes
	Log        hclog.Logger
	// Metrics may be nil.
	Metrics Metrics

	starts   chan struct{}
	attempts *sync.Map // a parcel's key → its *attempt that is under way
	lines    *sync.Map // account and line → when Redis was told
	breaker  *breaker
	drain    *drain
}

// NewDoor makes a Door ready for use.
func NewDoor(d Door) *Door {
	d.starts, d.attempts, d.lines = make(chan struct{}, MaxStarts), &sync.Map{}, &sync.Map{}
	d.breaker, d.drain = newBreaker(d.Log), &drain{wake: make(chan struct{}, 1)}
	return &d
}

// Accept takes an event in, durably or not at all. Temporal is the authority;
// Redis is told only afterwards, so that it can never swallow an event. Live: it
// came from a webhook just now, so that it may be spooled, and what Redis has
// seen is a duplicate.
func (d *Door) Accept(ctx context.Context, e sms.Event, live bool) (Answer, error) {
	key := e.Key()
	if live && d.Ledger.Seen(ctx, key) && !d.ended(ctx, e) {
		return Answer{Result: Duplicate, Key: key}, nil
	}
	if d.nobody(e) {
		return Answer{Result: Ignored, Key: key, Reason: "no connector is configured for it"}, nil
	}
	take, p := d.wait, parcel{Event: &e}
	if live {
		take, p.At = d.keep, time.Now().UTC()
	}
	result, err := take(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Result: result, Key: key}, nil
}

// remember tells Redis that Temporal has it.
func (d *Door) remember(ctx context.Context, p parcel) {
	if p.Event != nil {
		d.Ledger.MarkSeen(ctx, p.Event.Key())
		d.rememberLine(ctx, *p.Event)
	}
}

// rememberLine lets whoever decides on a contact know the company's own lines:
// they text each other, too, and are nobody's contact.
func (d *Door) rememberLine(ctx context.Context, e sms.Event) {
	if !e.Message.Line.E164() {
		return
	}
	hash := d.Hasher.Phone(e.Message.Line)
	if told, ok := d.lines.Load(e.Account + hash); ok && time.Since(told.(time.Time)) < lineMemory {
		return
	}
	d.Ledger.MarkLine(ctx, e.Account, hash)
	d.lines.Store(e.Account+hash, time.Now())
}

// ended reports whether an operator ended the workflow of an event that was
// accepted before, so that it may run again. In doubt it is still there.
func (d *Door) ended(ctx context.Context, e sms.Event) bool {
	if e.Kind.Consent() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	described, err := d.Temporal.DescribeWorkflowExecution(ctx, e.Key(), "")
	if err != nil {
		return false
	}
	switch described.GetWorkflowExecutionInfo().GetStatus() {
	case enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, enums.WORKFLOW_EXECUTION_STATUS_FAILED,
		enums.WORKFLOW_EXECUTION_STATUS_CANCELED, enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return true
	}
	return false
}

// enter starts a parcel's workflow, and answers what came of it.
func (d *Door) enter(ctx context.Context, p parcel) (string, error) {
	switch {
	case p.Body != nil:
		return d.startQuarantine(ctx, p)
	case p.Event.Kind.Consent():
		return d.startConsent(ctx, *p.Event)
	}
	return d.startSync(ctx, p)
}

// begin waits for room among the starts in flight; done must be called.
func (d *Door) begin(ctx context.Context) (done func(), err error) {
	select {
	case d.starts <- struct{}{}:
		return func() { <-d.starts }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d starts are under way", ErrUnavailable, MaxStarts)
	}
}

func (d *Door) startSync(ctx context.Context, p parcel) (string, error) {
	e := *p.Event
	targets := d.targets(e)
	in := workflows.SyncInput{Event: e, Live: p.young(), Revision: workflows.Revision}
	options := d.options(e, e.Key())
	options.Priority = workflows.PriorityOf(e.Account, e.Kind, p.live())
	if e.Kind.Text() {
		d.send(&options, &in, targets)
	}
	return d.execute(ctx, options, in)
}

// send names the connectors that an event goes to.
func (d *Door) send(options *client.StartWorkflowOptions, in *workflows.SyncInput, targets []string) {
	in.Targets = targets
	options.Memo = map[string]any{activities.MemoTargets: targets}
	options.StaticSummary = fmt.Sprintf("%s → %s", in.Event.Kind, strings.Join(targets, ", "))
	options.TypedSearchAttributes = d.attributes(in.Event, targets)
}

func (d *Door) execute(ctx context.Context, options client.StartWorkflowOptions, in workflows.SyncInput) (string, error) {
	// Where this process runs workflows, too, Temporal hands it the first task with
	// its answer. If that comes too late, the task is lost for ten seconds: so not
	// while many starts wait for theirs.
	options.EnableEagerStart = len(d.starts) <= calmStarts
	err := withoutAttributes(&options, &in.Plain, func() error {
		_, err := d.Temporal.ExecuteWorkflow(ctx, options, activities.SyncEvent, in)
		return err
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return Duplicate, nil
	}
	return Accepted, notTaken(err)
}

func (d *Door) startConsent(ctx context.Context, e sms.Event) (string, error) {
	return Accepted, d.tellConsent(ctx, e, d.consentSignal(e, d.Config.AccountConnectors(e.Account)))
}

// nobody reports whether an event concerns no connector, not even later.
func (d *Door) nobody(e sms.Event) bool {
	if e.Kind.Consent() {
		return len(d.Config.AccountConnectors(e.Account)) == 0
	}
	return len(d.targets(e)) == 0 && !d.expectsStatus(e)
}

// expectsStatus reports whether an event that goes nowhere has to be known all
// the same: the statuses of an outbound text will look for it, and would wait
// for a person if they never found it.
func (d *Door) expectsStatus(e sms.Event) bool {
	return e.Kind == sms.Sent && len(d.Config.AccountConnectors(e.Account)) > 0
}

// targets are the connectors that an event is for: a text by the routes; a
// status will follow its text, wherever that went.
func (d *Door) targets(e sms.Event) []string {
	if e.Kind.Status() {
		return d.Config.AccountConnectors(e.Account)
	}
	m := e.Message
	agent := m.Agent.Email
	if agent == "" {
		agent = m.Agent.ID
	}
	targets, err := d.Config.Route(config.RouteInput{
		Account: e.Account, Line: string(m.Line), Direction: string(m.Direction), Agent: agent, Medium: m.Medium,
	})
	if err != nil {
		d.Log.Error("a route failed, so the text goes to every connector of its account", "event", e.Key(), "error", err)
	}
	return slices.DeleteFunc(targets, func(name string) bool { return e.At.Before(d.Config.Connectors[name].Since) })
}

// options are those of every workflow of the door. An event's workflow that
// completed keeps its id; one that was terminated or cancelled may run again.
func (d *Door) options(e sms.Event, id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                activities.Queue(d.Config.Name),
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes:                    d.attributes(e, nil),
		StaticSummary:                            string(e.Kind),
	}
}

func (d *Door) attributes(e sms.Event, targets []string) temporal.SearchAttributes {
	hash := ""
	if e.Message.Contact != "" {
		hash = d.Hasher.Phone(e.Message.Contact)
	}
	return d.Attributes.Start(e.Account, string(e.Kind), hash, targets)
}

// withoutAttributes starts once more, plainly, where the server does not know
// the search attributes (yet): an event must not wait for them.
func withoutAttributes(options *client.StartWorkflowOptions, plain *bool, start func() error) error {
	err := start()
	invalid, ok := errors.AsType[*serviceerror.InvalidArgument](err)
	if !ok || !strings.Contains(strings.ToLower(invalid.Error()), "search attribute") {
		return err
	}
	options.TypedSearchAttributes = temporal.SearchAttributes{}
	*plain = true
	return start()
}

// notTaken says that Temporal did not take an event.
func notTaken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
