// Package activities is the only place where Temporal and the connectors meet.
//
// Workflows decide what happens next; an activity makes one attempt at one
// thing and reports how it ended. Waiting, retrying and remembering are
// Temporal's: what an activity keeps in Redis (package ledger) makes it fast and
// cheap, never right.
package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/lane"
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
	// Staff is who the JustCall accounts' agents and lines are, by account.
	Staff map[string]Staff
	// JustCall holds the APIs of the accounts that have credentials for one.
	JustCall map[string]JustCall
	// People are who works with those accounts.
	People map[string]People
	// Syncing tells by the search attributes of a text's workflow whether its
	// delivery to a connector is under way; false where they do not say.
	Syncing func(attributes *commonpb.SearchAttributes, connector string) bool
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
	Owner      OwnerPolicy
	Adoption   Adoption
	Templates  Templates
	// Budget is what the CRM allows of requests; nil: as many as one likes.
	Budget *budget.Transport
	// Board is where processes tell each other of outages; nil: nowhere.
	Board lane.Board
	Log   hclog.Logger // of the lane; nil: nowhere

	once sync.Once
	lane *lane.Lane

	ownerless sync.Once // says that owners cannot be looked up
}

// Lane drives the connector; it is made when it is first used. Everything that
// the activities ask of the CRM goes through it.
func (i *Instance) Lane() *lane.Lane {
	i.once.Do(func() {
		options := lane.Options{Name: i.Name, Definition: i.Definition, Connector: i.Connector, Board: i.Board, Log: i.Log}
		if i.Budget != nil {
			options.Scarce = i.Budget.Scarce
		}
		i.lane = lane.New(options)
	})
	return i.lane
}

// ContactPolicy says what to do where the search does not give one contact.
type ContactPolicy struct {
	Several    string // sticky, most_recent, first, park
	None       string // create, unlinked, park
	CreateWhen string // inbound, outbound, always, never
	CreateAs   string // contact, lead; empty: the CRM's usual one
}

// attempt is one activity attempt at one connector.
type attempt struct {
	*Activities
	inst *Instance
	caps connectors.Capabilities
	log  hclog.Logger
	// textRan: a status's text was still on its way when the attempt began.
	textRan bool
}

// begin finds the connector and starts heartbeats; done must be called.
func (a *Activities) begin(ctx context.Context, connector, event string) (at *attempt, done func(), err error) {
	inst, ok := a.Instances[connector]
	if !ok {
		return nil, nil, again(GivenBack, fmt.Sprintf("connector %q is not configured in this process", connector), time.Minute)
	}
	if stopping(ctx) {
		return nil, nil, again(GivenBack, "the worker is stopping", time.Second)
	}
	done = beat(ctx)
	caps, err := inst.Lane().Capabilities(ctx)
	log := a.Log.With("event", event, "connector", connector, "attempt", activity.GetInfo(ctx).Attempt)
	at = &attempt{Activities: a, inst: inst, caps: caps, log: log}
	if err != nil {
		done()
		return nil, nil, at.failed("check", err)
	}
	return at, done, nil
}

func stopping(ctx context.Context) bool {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
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

// failed is the error of a call that answered nothing. What the lane did not
// send goes again.
func (at *attempt) failed(op string, err error) error {
	if e, sent := errors.AsType[*connectors.Error](err); sent {
		return at.fail(e)
	}
	if errors.Is(err, lane.ErrGivenBack) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return again(GivenBack, op+": "+err.Error(), 0)
	}
	return at.fail(connectors.AsError(op, err))
}

// outcome is the error of an item that was not written.
func (at *attempt) outcome(op string, out connectors.Outcome, err error) error {
	switch {
	case err != nil:
		return at.failed(op, err)
	case out.State == connectors.NotAttempted:
		return again(GivenBack, op+": not attempted", 0)
	case out.State == connectors.Failed:
		return at.fail(out.Err)
	}
	return nil
}
