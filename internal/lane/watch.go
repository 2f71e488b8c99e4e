package lane

import (
	"context"
	"encoding/json"
	"time"

	"crmsync/connectors"
)

// watch keeps the gate in step with the fleet's and tries the CRM while the gate
// is paused, until ctx ends.
func (g *Gate) watch(ctx context.Context, board Board, check func(context.Context) *connectors.Error) {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for {
		g.meet(ctx, board)
		g.probe(ctx, board, check)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// meet compares the gate with the board. The later state holds; what is not
// flowing is posted again and again, since the board forgets.
func (g *Gate) meet(ctx context.Context, board Board) {
	var posted State
	if raw, known := board.ReadGate(ctx, g.connector); known && json.Unmarshal(raw, &posted) == nil {
		g.adopt(posted)
	}
	state := g.State()
	if state.Phase == Probing {
		state.Phase = Paused // to everybody else
	}
	if state.Phase == Paused || state.Since.After(posted.Since) && posted.Phase == Paused {
		raw, _ := json.Marshal(state) // plain structs always marshal
		board.PostGate(ctx, g.connector, raw, keep)
	}
}

func (g *Gate) adopt(posted State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case posted.Phase == Paused && g.state.Phase == Flowing && posted.Since.After(g.state.Since):
		g.every = probeEvery
		g.set(posted)
	case posted.Phase == Flowing && g.state.Phase != Flowing && posted.Since.After(g.state.Since):
		g.set(posted)
	}
}

// probe asks the CRM whether it is back, if this is the process to do so.
func (g *Gate) probe(ctx context.Context, board Board, check func(context.Context) *connectors.Error) {
	if !g.due() {
		return
	}
	if !board.WinProbe(ctx, g.connector, g.interval()) {
		return
	}
	err := check(ctx)
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probed = g.now()
	switch {
	case g.state.Phase != Paused:
	case err == nil || !troubles(err):
		g.set(State{Phase: Probing, Reason: g.state.Reason, Since: g.state.Since})
	case err.RetryAfter > 0:
		g.state.Until = g.now().Add(err.RetryAfter)
	}
}

// due reports whether the gate is paused and it is time to probe. A gate that
// probes and has had nothing to try for a while flows.
func (g *Gate) due() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.state.Phase == Probing && !g.trying && now.Sub(g.probed) >= probation {
		g.set(State{Phase: Flowing})
	}
	return g.state.Phase == Paused && !now.Before(g.state.Until) && now.Sub(g.probed) >= g.every
}

func (g *Gate) interval() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.every
}

// alone is the board of a process without Redis.
type alone struct{}

func (alone) ReadGate(context.Context, string) ([]byte, bool)         { return nil, false }
func (alone) PostGate(context.Context, string, []byte, time.Duration) {}
func (alone) WinProbe(context.Context, string, time.Duration) bool    { return true }
