package activities

import (
	"context"
	"strings"

	"go.temporal.io/api/workflowservice/v1"

	"crmsync/connectors"
)

// IDs says whether webhooks and API call the same text by the same id.
type IDs struct {
	// Accepted are events that have a workflow, Asked the texts of these that the
	// API was asked for, and Found those that it knows.
	Accepted int `json:"accepted"`
	Asked    int `json:"asked"`
	Found    int `json:"found"`
}

// Differ reports whether the ids are different ones: the API knows none of the
// texts that came by webhooks.
func (i IDs) Differ() bool { return i.Asked > 0 && i.Found == 0 }

const (
	// acceptedLooked is how many of the newest events are looked at, and idsAsked
	// how many texts of theirs the API is asked for at most.
	acceptedLooked = 20
	idsAsked       = 5
)

// CompareIDs asks the API for texts that an account's webhooks brought lately,
// until it knows one. Where it knows none, what it lists is not missing: it is
// called by another id.
func (a *Activities) CompareIDs(ctx context.Context, account string) (IDs, error) {
	defer beat(ctx)()
	client, err := a.justcall(account)
	if err != nil {
		return IDs{}, err
	}
	messages, accepted, err := a.accepted(ctx, account)
	if err != nil {
		return IDs{}, err
	}
	ids := IDs{Accepted: accepted}
	for _, id := range messages[:min(len(messages), idsAsked)] {
		ids.Asked++
		_, err := client.Text(ctx, id)
		switch e := connectors.AsError("get a text", err); {
		case err == nil:
			ids.Found++
			return ids, nil
		case !e.Kind.Permanent():
			return IDs{}, a.notAnswered("get a text", err)
		}
	}
	return ids, nil
}

// accepted answers the message ids of an account's newest events.
func (a *Activities) accepted(ctx context.Context, account string) (messages []string, events int, err error) {
	listed, err := a.Temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: acceptedLooked,
		Query:    "WorkflowType = '" + SyncEvent + "' AND TaskQueue = '" + Queue(a.Deployment) + "' AND WorkflowId STARTS_WITH '" + account + "/'",
	})
	if err != nil {
		return nil, 0, err
	}
	seen := map[string]bool{}
	for _, info := range listed.GetExecutions() {
		id := info.GetExecution().GetWorkflowId()
		message := strings.TrimPrefix(id[:max(strings.LastIndex(id, "/"), 0)], account+"/")
		if message != "" && !seen[message] {
			seen[message], messages = true, append(messages, message)
		}
	}
	return messages, len(listed.GetExecutions()), nil
}
