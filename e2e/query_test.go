package e2e

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"crmsync/activities"
)

// count answers how many workflows a visibility query finds.
func (st *stack) count(query string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counted, err := st.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: st.namespace, Query: query})
	if err != nil {
		return -1
	}
	return int(counted.GetCount())
}

// result waits for the workflow of an event and answers what became of it.
func (st *stack) result(key string) activities.SyncResult {
	st.t.Helper()
	st.begun(key)
	ctx, cancel := context.WithTimeout(st.t.Context(), time.Minute)
	defer cancel()
	var result activities.SyncResult
	require.NoError(st.t, st.client.GetWorkflow(ctx, key, "").Get(ctx, &result), key)
	return result
}

// begun waits until there is a workflow of this id: what was accepted may be
// spooled for a moment.
func (st *stack) begun(id string) {
	st.t.Helper()
	eventually(st.t, time.Minute, "there is a workflow "+id, func() bool { return st.status(id) != enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED })
}

// status answers the status of a workflow, 0 where there is none.
func (st *stack) status(id string) enums.WorkflowExecutionStatus {
	described, err := st.client.DescribeWorkflowExecution(st.t.Context(), id, "")
	if err != nil {
		return enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	return described.GetWorkflowExecutionInfo().GetStatus()
}

// awaitBacklog waits until so many tasks wait in a queue.
func (st *stack) awaitBacklog(queue string, n int64) {
	st.t.Helper()
	eventually(st.t, time.Minute, "the tasks wait in Temporal", func() bool {
		described, err := st.client.WorkflowService().DescribeTaskQueue(st.t.Context(), &workflowservice.DescribeTaskQueueRequest{
			Namespace: st.namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue},
			TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
		})
		return err == nil && described.GetStats().GetApproximateBacklogCount() == n
	})
}
