package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"crmsync/workflows"
)

// lookedAt is how many open workflows are looked at for names that the
// configuration does not know, the newest first.
const lookedAt = 2000

// strangers names what open workflows wait for and the configuration does not
// know: connectors and accounts that were removed or renamed with work pending.
func (f *findings) strangers(ctx context.Context, s survey) {
	connectors, accounts, err := s.pending(ctx)
	if err != nil {
		f.warn("temporal", "open workflows cannot be listed: %v; so nobody knows whether a connector was removed with work pending", err)
		return
	}
	for _, name := range connectors {
		if s.config.Connectors[name] == nil {
			f.stranger(ctx, s, name)
		}
	}
	for _, name := range accounts {
		if _, known := s.config.JustCall[name]; !known {
			f.fail("justcall."+name, "is not configured, and workflows of this account are open: an account must not be renamed, since its name is the first part of every key; configure it again")
		}
	}
}

func (f *findings) stranger(ctx context.Context, s survey, connector string) {
	waiting, err := s.count(ctx, s.standing(connector, workflows.StateSyncing))
	if err != nil {
		waiting = 0
	}
	parked, err := s.count(ctx, s.standing(connector, workflows.StateParked))
	if err != nil {
		parked = 0
	}
	if waiting+parked == 0 {
		return // it has ended meanwhile
	}
	f.warn("connectors."+connector, "is not configured, and deliveries to it are open: %d wait and %d are parked; was it removed or renamed? Configure it under that name until they are done; what is parked can be skipped ('crmsync messages skip --help')",
		waiting, parked)
}

// pending answers the connectors and accounts that open workflows name, in
// order.
func (s survey) pending(ctx context.Context) (connectors, accounts []string, err error) {
	attributes := workflows.AttributesOf(s.config.Name)
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: s.config.Temporal.Namespace, PageSize: lookedAt / 4,
		Query: fmt.Sprintf("ExecutionStatus = 'Running' AND %s IS NOT NULL", attributes.State.GetName()),
	}
	of := map[string]bool{}
	to := map[string]bool{}
	for seen := 0; seen < lookedAt; {
		page, err := s.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, nil, fmt.Errorf("list workflows: %w", err)
		}
		for _, open := range page.GetExecutions() {
			fields := open.GetSearchAttributes().GetIndexedFields()
			of[text(fields[attributes.Account.GetName()])] = true
			for _, connector := range unfinished(fields[attributes.Deliveries.GetName()]) {
				to[connector] = true
			}
		}
		seen += len(page.GetExecutions())
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	delete(of, "")
	return slices.Sorted(maps.Keys(to)), slices.Sorted(maps.Keys(of)), nil
}

// unfinished answers the connectors of the deliveries that still wait.
func unfinished(list *commonpb.Payload) (connectors []string) {
	for _, value := range texts(list) {
		name, state, ok := strings.Cut(value, "=")
		if ok && (state == workflows.StateSyncing || state == workflows.StateParked) && name != workflows.LotText {
			connectors = append(connectors, name)
		}
	}
	return connectors
}

// Search attributes are never encrypted.
func text(p *commonpb.Payload) (s string) {
	_ = converter.GetDefaultDataConverter().FromPayload(p, &s)
	return s
}

func texts(p *commonpb.Payload) (list []string) {
	if converter.GetDefaultDataConverter().FromPayload(p, &list) != nil {
		return []string{text(p)} // a list of one may come as its item
	}
	return list
}
