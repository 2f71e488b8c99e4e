package lane

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"crmsync/connectors"
)

// Phase is what a gate lets through.
type Phase string

// The phases of a lane.
const (
	Flowing Phase = "flowing" // everything
	Probing Phase = "probing" // one call at a time, in the process that holds the probe
	Paused  Phase = "paused"  // nothing
)

// State is a gate's state, as people and other processes see it.
type State struct {
	Phase  Phase     `json:"phase"`
	Reason string    `json:"reason,omitempty"` // why it is not flowing
	Since  time.Time `json:"since"`
	// Until is before when nothing is tried; zero: nobody knows.
	Until time.Time `json:"until,omitzero"`
}

// Board is where the processes of a deployment tell each other the state of a
// lane. Where it is away each process goes by what it has seen itself.
type Board interface {
	// ReadGate answers the state that was posted last; false where there is none,
	// or nobody knows.
	ReadGate(ctx context.Context, connector string) (state []byte, known bool)
	// PostGate posts a state for ttl; nil removes it.
	PostGate(ctx context.Context, connector string, state []byte, ttl time.Duration)
	// WinProbe reports whether this process may probe now, which nobody else may
	// for ttl. Without the board everybody may.
	WinProbe(ctx context.Context, connector string, ttl time.Duration) bool
}

// The gate's limits.
const (
	// maxFailures in a row say that a CRM is away.
	maxFailures = 3
	// longWait is the shortest wait asked for by a CRM that pauses the lane.
	longWait = 10 * time.Second
	// probeEvery is how often the fleet tries a CRM that is away. Its lane flows
	// again this much later than the CRM, at most, and a tick.
	probeEvery = 3500 * time.Millisecond
	// refusedEvery is the same for credentials, which a person has to mend.
	refusedEvery = 15 * time.Second
	// tick is how often a process looks at the board and whether to probe.
	tick = 500 * time.Millisecond
	// keep is how long a posted state lasts unless a process repeats it, so that
	// a dead one leaves nothing paused.
	keep = 15 * time.Second
	// probation is how long a probing gate waits for a real item.
	probation = 3 * time.Second
)

// Gate is a circuit breaker on a connector's lane. It is safe for concurrent
// use.
type Gate struct {
	connector string
	log       hclog.Logger
	now       func() time.Time

	mu       sync.Mutex
	state    State
	failures int           // in a row
	every    time.Duration // between probes
	probed   time.Time     // when this process last knew that the CRM is away
	trying   bool          // a probing gate's one item is under way
	changed  chan struct{} // closed when what enter or wait look at changes
}

func newGate(connector string, log hclog.Logger) *Gate {
	g := &Gate{connector: connector, log: log, now: time.Now, changed: make(chan struct{})}
	g.state = State{Phase: Flowing, Since: g.now()}
	return g
}

// State answers the present state.
func (g *Gate) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

func (g *Gate) paused() bool { return g.State().Phase == Paused }

// wait blocks until the gate is not paused.
func (g *Gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		phase, changed := g.state.Phase, g.changed
		g.mu.Unlock()
		if phase != Paused {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter waits until a call may be made, and says of how many items: 0 for any
// number, 1 for the one real item of a probing gate. Every call that was entered
// must be reported, or left.
func (g *Gate) enter(ctx context.Context) (most int, err error) {
	for {
		g.mu.Lock()
		phase, changed := g.state.Phase, g.changed
		if phase == Probing && !g.trying {
			g.trying = true
			g.mu.Unlock()
			return 1, nil
		}
		g.mu.Unlock()
		if phase == Flowing {
			return 0, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// leave takes back an entry that was not used.
func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.trying {
		g.trying = false
		g.wake()
	}
}

// report tells the gate how a call ended: nil for any answer that shows the CRM
// at work, which a refusal of an item is, too.
func (g *Gate) report(err *connectors.Error) {
	if err == nil || !troubles(err) {
		g.worked()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures++
	switch {
	case err.Kind == connectors.Auth:
		g.pause(refusal(err), refusedEvery, time.Time{})
	case err.RetryAfter >= longWait:
		reason := "the CRM asks to wait"
		if err.Status == 0 { // nothing was asked of it
			reason = "its request budget is spent"
		}
		g.pause(reason, probeEvery, g.now().Add(err.RetryAfter))
	case g.failures >= maxFailures || g.state.Phase == Probing:
		g.pause(string(err.Kind)+" several times in a row", probeEvery, time.Time{})
	}
}

// refusal says why the credentials do not work, and what to do where that is
// known.
func refusal(err *connectors.Error) string {
	const plain = "the CRM refuses the credentials"
	if err.Err == nil {
		return plain
	}
	return plain + ": " + err.Err.Error()
}

// troubles reports whether an error says that the CRM as a whole does not work,
// rather than that it refuses something.
func troubles(err *connectors.Error) bool {
	switch err.Kind {
	case connectors.Unavailable, connectors.RateLimited, connectors.Auth:
		return true
	}
	return false
}

// worked lets everything flow: the CRM has just answered.
func (g *Gate) worked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = 0
	// A call that was sent before the pause tells nothing of what comes after it.
	if g.state.Phase == Probing {
		g.set(State{Phase: Flowing})
	}
}

// pause is called with the lock held.
func (g *Gate) pause(reason string, every time.Duration, until time.Time) {
	g.every = every
	if g.state.Phase == Paused {
		if until.After(g.state.Until) {
			g.state.Until = until
		}
		return
	}
	g.probed = g.now() // so to speak: the failure tells as much
	next := State{Phase: Paused, Reason: reason, Until: until}
	if g.state.Phase == Probing {
		next.Since = g.state.Since // still the same outage
	}
	g.set(next)
}

// set changes the phase with the lock held.
func (g *Gate) set(s State) {
	was := g.state
	if s.Since.IsZero() {
		s.Since = g.now()
	}
	g.state, g.trying = s, false
	g.wake()
	switch {
	case s.Phase == Paused && was.Phase == Flowing:
		g.log.Warn("lane paused: what comes waits in Temporal", "connector", g.connector, "reason", s.Reason, "until", s.Until)
	case s.Phase == Flowing:
		g.failures = 0
		g.log.Info("lane flows again", "connector", g.connector, "after", g.now().Sub(was.Since).Round(time.Millisecond))
	}
}

// wake is called with the lock held.
func (g *Gate) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}
