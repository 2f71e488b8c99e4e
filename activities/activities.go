// Package activities is the only place where Temporal and the connectors meet.
//
// Workflows decide what happens next; an activity makes one attempt at one
// thing and reports how it ended. Waiting, retrying and remembering are
// Temporal's: what an activity keeps in Redis (package ledger) makes it fast and
// cheap, never right.
package activities

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"crmsync/connectors"
	"crmsync/internal/ledger"
	"crmsync/sms"
)

// HeartbeatTimeout is how soon Temporal notices that a worker has died;
// heartbeats are sent three times as often.
const HeartbeatTimeout = 15 * time.Second

// Activities holds what all activities share. Its exported methods with a
// context are Temporal activities; all are safe for concurrent use.
type Activities struct {
	Deployment string
	Temporal   client.Client
	Converter  converter.DataConverter // of Temporal, to read memos
	Ledger     *ledger.Ledger
	Hasher     sms.Hasher
	Instances  map[string]*Instance
	// Door takes a quarantined body in once more; see Readmit.
	Door Door
	// Metrics may be nil.
	Metrics Metrics
	Log     hclog.Logger
}

// Instance is one configured connector.
type Instance struct {
	Name       string
	Definition connectors.Definition
	Connector  connectors.Connector
	Contacts   ContactPolicy

	mu   sync.Mutex
	caps *connectors.Capabilities
}

// ContactPolicy says what to do where the search does not give one contact.
type ContactPolicy struct {
	Several    string // sticky, most_recent, first, park
	None       string // create, unlinked, park
	CreateWhen string // inbound, outbound, always, never
}

// Capabilities answers what the instance can do, asking the CRM until it has
// answered once.
func (i *Instance) Capabilities(ctx context.Context) (connectors.Capabilities, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.caps != nil {
		return *i.caps, nil
	}
	ctx, cancel := context.WithTimeout(ctx, i.Definition.CallTimeout)
	defer cancel()
	limit, err := i.Connector.Check(ctx)
	if err != nil {
		e := *connectors.AsError("check", err)
		e.Ambiguous = false // a check writes nothing
		return connectors.Capabilities{}, &e
	}
	caps := connectors.CapabilitiesOf(i.Connector, limit.Class).Narrow(limit)
	i.caps = &caps
	return caps, nil
}

// attempt is one activity attempt at one connector.
type attempt struct {
	*Activities
	inst *Instance
	caps connectors.Capabilities
	log  hclog.Logger
}

// begin finds the connector and starts heartbeats; done must be called.
func (a *Activities) begin(ctx context.Context, connector, event string) (at *attempt, done func(), err error) {
	inst, ok := a.Instances[connector]
	if !ok {
		return nil, nil, again(GivenBack, fmt.Sprintf("connector %q is not configured in this process", connector), time.Minute)
	}
	done = beat(ctx)
	caps, err := inst.Capabilities(ctx)
	log := a.Log.With("event", event, "connector", connector, "attempt", activity.GetInfo(ctx).Attempt)
	at = &attempt{Activities: a, inst: inst, caps: caps, log: log}
	if err != nil {
		done()
		return nil, nil, at.fail(connectors.AsError("check", err))
	}
	return at, done, nil
}

// beat sends heartbeats until done is called.
func beat(ctx context.Context) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(HeartbeatTimeout / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return cancel
}

// fail logs the failure and gives it to Temporal.
func (at *attempt) fail(err *connectors.Error) error {
	at.log.Warn("attempt failed", "op", err.Op, "kind", err.Kind, "status", err.Status,
		"ambiguous", err.Ambiguous, "retry", !err.Kind.Permanent())
	return failure(err)
}

// callContext bounds one call to the CRM. A call that could outlive the attempt
// is not begun, so that no attempt writes after Temporal has given it up.
func (at *attempt) callContext(ctx context.Context) (context.Context, context.CancelFunc, error) {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return nil, nil, again(GivenBack, "the worker is stopping", time.Second)
	default:
	}
	timeout := at.inst.Definition.CallTimeout
	if deadline, ok := ctx.Deadline(); ctx.Err() != nil || ok && time.Until(deadline) < timeout {
		return nil, nil, again(GivenBack, "too little time is left for a call", 0)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

// pause waits for d unless the worker stops or the attempt ends.
func (at *attempt) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-activity.GetWorkerStopChannel(ctx):
		return again(GivenBack, "the worker is stopping", time.Second)
	}
}
