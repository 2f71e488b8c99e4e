package worker

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"crmsync/activities"
)

const (
	// holdsEvery is how often a process looks for operators' pauses.
	holdsEvery = 3 * time.Second
	// holdsLast is how long it relies on having seen none. A pause holds
	// everywhere this much later, whatever fails.
	holdsLast = 2 * holdsEvery
)

// holds keeps an operator's pause where Temporal's queues cannot: for what a
// workflow tries in its own process. In doubt a connector is taken to be paused:
// its queue will know. It is safe for concurrent use.
type holds struct {
	interceptor.WorkerInterceptorBase
	temporal              client.Client
	namespace, deployment string

	mu    sync.Mutex
	flows map[string]time.Time // connectors that were not paused then
}

// watch looks at the connectors again and again until ctx ends.
func (h *holds) watch(ctx context.Context, connectors []string) {
	ticks := time.NewTicker(holdsEvery)
	defer ticks.Stop()
	for {
		for _, connector := range connectors {
			h.look(ctx, connector)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func (h *holds) look(ctx context.Context, connector string) {
	ctx, cancel := context.WithTimeout(ctx, holdsEvery)
	defer cancel()
	begun := time.Now()
	state, err := describeQueue(ctx, h.temporal, h.namespace, queuesOfConnector(h.deployment, connector)[0])
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil: // what was seen last holds for a while
	case state.Paused:
		delete(h.flows, connector)
	default:
		h.flows[connector] = begun
	}
}

func (h *holds) held(connector string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.flows[connector]) >= holdsLast
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (h *holds) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &heldActivity{holds: h}
	i.Next = next
	return i
}

type heldActivity struct {
	interceptor.ActivityInboundInterceptorBase
	*holds
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor. What is held
// is left to the connector's queue. It is for the home worker, whose only
// deliveries are those that are tried at once.
func (a *heldActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if connector, ok := connectorOf(in.Args); ok && a.held(connector) {
		if _, ok := in.Args[0].(activities.ConsentInput); ok {
			return activities.ConsentResult{}, nil
		}
		return activities.DeliverResult{}, nil
	}
	return a.Next.ExecuteActivity(ctx, in)
}

// connectorOf answers the connector of what is tried at once.
func connectorOf(args []any) (string, bool) {
	switch in := firstOf(args).(type) {
	case activities.DeliverInput:
		return in.Connector, true
	case activities.ConsentInput:
		return in.Connector, true
	}
	return "", false
}
