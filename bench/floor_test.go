//go:build linux

package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// What the floor is made of.
const (
	bareWorkflow = "Bare"
	bareActivity = "Nothing"
	floorHome    = "floor"
	floorLane    = "floor-lane"
	addressEnv   = "CRMSYNC_BENCH_TEMPORAL"
	namespaceEnv = "CRMSYNC_BENCH_NAMESPACE"
)

// The settings of crmsync's workers; see worker/lanes.go.
const (
	lanePollers = 2
	maxPollers  = 8 // for workflow tasks
	laneSlots   = 4 * batch
)

type bareInput struct{ ID, Body string }

// bare is the least that could be called a workflow of a text.
func bare(ctx workflow.Context, in bareInput) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: floorLane, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: 15 * time.Second,
	})
	return workflow.ExecuteActivity(ctx, bareActivity, in).Get(ctx, nil)
}

// workFloor is the floor's worker. Its activity prints the event's id, by which
// this process knows that it came.
func workFloor(ctx context.Context) int {
	c, err := client.Dial(client.Options{HostPort: os.Getenv(addressEnv), Namespace: os.Getenv(namespaceEnv), Logger: quiet{}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Close()
	home := worker.New(c, floorHome, worker.Options{
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
			InitialNumberOfPollers: lanePollers, MinimumNumberOfPollers: lanePollers, MaximumNumberOfPollers: maxPollers,
		}),
		MaxConcurrentActivityTaskPollers: lanePollers,
	})
	home.RegisterWorkflowWithOptions(bare, workflow.RegisterOptions{Name: bareWorkflow})
	lane := worker.New(c, floorLane, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityTaskPollers: lanePollers, MaxConcurrentActivityExecutionSize: laneSlots,
	})
	var printing sync.Mutex
	lane.RegisterActivityWithOptions(func(_ context.Context, in bareInput) error {
		printing.Lock()
		defer printing.Unlock()
		_, err := fmt.Fprintln(os.Stdout, in.ID)
		return err
	}, activity.RegisterOptions{Name: bareActivity})
	for _, w := range []worker.Worker{home, lane} {
		if err := w.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer w.Stop()
	}
	<-ctx.Done()
	return 0
}

// floor starts the floor's worker and answers its side of a comparison.
func (st *stack) floor() *side {
	st.tb.Helper()
	printed, writer := io.Pipe()
	p := spawn(st.tb, "floor", roleFloor, writer, []string{addressEnv + "=" + st.temporal.Address, namespaceEnv + "=" + st.temporal.Namespace})
	s := &side{name: "floor", arrived: newMarks(), calls: func() int { return 0 }, workers: []int{p.pid()}}
	s.hold = func() func() { return st.pause(floorLane) }
	go func() {
		for lines := bufio.NewScanner(printed); lines.Scan(); {
			s.arrived.note(lines.Text())
		}
	}()
	st.tb.Cleanup(func() { _ = writer.Close() })
	s.send = func(i int, id string) error {
		_, err := st.client.ExecuteWorkflow(st.tb.Context(), client.StartWorkflowOptions{
			ID: id, TaskQueue: floorHome,
			WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		}, bareWorkflow, bareInput{ID: id, Body: string(webhook(id, phone(i)))})
		return err
	}
	flood(st.tb, s, ids("floor_is_up", 1), closedLoop)
	return s
}

// quiet drops what the SDK logs.
type quiet struct{}

var _ log.Logger = quiet{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
