package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"crmsync/config"
	"crmsync/internal/metrics"
)

const (
	// minRetention is how long Temporal should keep closed workflows: one of the
	// nets against doubles.
	minRetention = 7 * 24 * time.Hour
	// oldestTemporal is the first minor version of server 1 that has all that is
	// used: updates, priorities, and summaries in the UI.
	oldestTemporal = 28
)

func (f *findings) temporal(ctx context.Context, c *config.Config) {
	ring, err := ringOf(c)
	if err != nil {
		f.fail("privacy.keys", "%v", err)
		return
	}
	temporal, err := newTemporalClient(c.Temporal, ring, hclog.NewNullLogger(), nil)
	if err != nil {
		f.fail("temporal", "%v", err)
		return
	}
	defer temporal.Close()
	if f.namespace(ctx, temporal, c) {
		f.attributes(ctx, temporal, c)
		f.queues(ctx, temporal, c)
		f.strangers(ctx, survey{temporal: temporal, config: c})
	}
}

// namespace reports whether Temporal can be asked anything at all.
func (f *findings) namespace(ctx context.Context, temporal client.Client, c *config.Config) bool {
	described, err := namespace(ctx, temporal, c.Temporal.Namespace)
	if _, missing := errors.AsType[*serviceerror.NamespaceNotFound](err); missing {
		f.fail("temporal", "has no namespace %s: create it, as with 'temporal operator namespace create --namespace %s --retention 168h', or correct temporal.namespace",
			c.Temporal.Namespace, c.Temporal.Namespace)
		return false
	}
	if err != nil {
		f.fail("temporal", "cannot be reached at %s: %v; is it running, and is temporal.address right?", c.Temporal.Address, err)
		return false
	}
	f.ok("temporal", "namespace %s at %s answers", c.Temporal.Namespace, c.Temporal.Address)
	f.version(ctx, temporal)
	if kept := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); kept < minRetention {
		f.warn("temporal", "the namespace keeps closed workflows for %s only; keep them for 7 days or more, since they are a net against doubles: temporal operator namespace update --namespace %s --retention 168h",
			kept, c.Temporal.Namespace)
	}
	if able := described.GetNamespaceInfo().GetCapabilities(); !able.GetSyncUpdate() || !able.GetAsyncUpdate() {
		f.fail("temporal", "workflow updates are off, by which parked deliveries are retried, skipped and linked: set frontend.enableUpdateWorkflowExecution and frontend.enableUpdateWorkflowExecutionAsyncAccepted to true on the server")
	}
	return true
}

func (f *findings) version(ctx context.Context, temporal client.Client) {
	info, err := temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		f.warn("temporal", "does not say its version: %v; it must be 1.%d or newer", err, oldestTemporal)
		return
	}
	var major, minor int
	if _, err := fmt.Sscanf(info.GetServerVersion(), "%d.%d", &major, &minor); err != nil {
		f.ok("temporal", "says no version that could be compared; it must be 1.%d or newer", oldestTemporal)
		return
	}
	if major == 1 && minor < oldestTemporal {
		f.fail("temporal", "is version %s and must be 1.%d or newer: upgrade it, one minor version at a time", info.GetServerVersion(), oldestTemporal)
		return
	}
	f.ok("temporal", "is version %s", info.GetServerVersion())
}

func (f *findings) attributes(ctx context.Context, temporal client.Client, c *config.Config) {
	missing, err := missingAttributes(ctx, temporal, c)
	switch {
	case err != nil:
		f.warn("temporal", "search attributes cannot be listed: %v; without them nothing can be listed by its state", err)
	case len(missing) > 0:
		f.warn("temporal", "search attributes %s are not registered; 'crmsync run' does that if it may", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
}

// queues names work that nobody does, and queues that an operator paused. That
// nobody serves an empty queue is no finding: check may come before run.
func (f *findings) queues(ctx context.Context, temporal client.Client, c *config.Config) {
	for _, queue := range queuesOf(c) {
		state, err := describeQueue(ctx, temporal, c.Temporal.Namespace, queue)
		if err != nil {
			f.warn("temporal", "%v", err)
			return
		}
		if state.hold != nil {
			f.hold(c, queue.Name, state)
			continue
		}
		if state.Backlog > 0 && state.Pollers == 0 {
			f.warn("queues."+queue.Name, "%d tasks wait and no worker takes them: is 'crmsync run' running, with this configuration?", state.Backlog)
		}
	}
}

func (f *findings) hold(c *config.Config, queue string, state queueState) {
	resume := "lift the limit with 'temporal task-queue config set'"
	for name := range c.Connectors {
		if slices.Contains(queuesOfConnector(c.Name, name), metrics.Queue{Name: queue, Type: activityQueue}) {
			resume = "'crmsync connectors resume " + name + "' lets it flow again"
		}
	}
	f.warn("queues."+queue, "%v, since %s; %d tasks wait; %s", state.hold, stamp(state.hold.Since), state.Backlog, resume)
}
