package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"crmsync/activities"
	"crmsync/connectors"
)

const (
	// textPatience is how long a status waits for a text that nobody has seen
	// before JustCall is asked for it.
	textPatience = time.Hour
	// LotText is listed in the place of a connector while a status waits for its
	// text.
	LotText = "text"
)

// awaitText waits until the text of a status is known, and answers where it
// went. After an hour it asks JustCall for the text; what JustCall cannot tell,
// a person has to.
func (s *sync) awaitText(ctx workflow.Context) (targets []string, text string) {
	l := s.yard.add(LotText)
	defer func() { s.yard.lots = slices.DeleteFunc(s.yard.lots, func(other *lot) bool { return other == l }) }()
	begun, pause := workflow.Now(ctx), time.Second
	for ctx.Err() == nil {
		if found := s.findText(ctx); found.Workflow != "" {
			return found.Targets, found.Workflow
		}
		if workflow.Now(ctx).Sub(begun) > textPatience {
			fetched := s.fetchText(ctx)
			switch {
			case s.notFor(fetched.NotFor):
				return nil, ""
			case fetched.Refused == nil:
				begun, pause = workflow.Now(ctx), time.Second
				continue // it is there now
			}
			repair := s.yard.park(ctx, l, *fetched.Refused, nil)
			if repair == nil || repair.verb == UpdateSkip {
				return nil, ""
			}
			if s.in.Revision < revisionFetch {
				begun = workflow.Now(ctx) // later ones ask JustCall at once
			}
			pause = time.Second
		}
		_ = workflow.Sleep(ctx, pause)
		pause = min(2*pause, time.Minute)
	}
	return nil, ""
}

// findText answers the zero value where the text is not there yet, or nobody
// could tell.
func (s *sync) findText(ctx workflow.Context) (found activities.TextOf) {
	var a *activities.Activities
	if workflow.ExecuteLocalActivity(locally(ctx), a.FindText, s.in.Event).Get(ctx, &found) != nil {
		return activities.TextOf{}
	}
	return found
}

// fetchText has the text taken in, if JustCall has it. It answers the zero value
// once the status is superseded.
func (s *sync) fetchText(ctx workflow.Context) (fetched activities.Fetched) {
	if s.in.Revision < revisionFetch {
		return activities.Fetched{Refused: &activities.Refusal{Kind: string(connectors.NotFound), Message: "the text of this status was never seen"}}
	}
	var a *activities.Activities
	err := workflow.ExecuteActivity(atHome(ctx, "ask JustCall for the text"), a.FetchText, s.in.Event).Get(ctx, &fetched)
	if err == nil || ctx.Err() != nil {
		return fetched
	}
	refusal := refusalOf(err)
	return activities.Fetched{Refused: &refusal}
}

// notFor ends a status whose text goes to none of the account's connectors, and
// reports whether there are any.
func (s *sync) notFor(connectorNames []string) bool {
	for _, name := range connectorNames {
		s.yard.add(name)
		s.deliveries[name] = activities.DeliveryResult{State: connectors.NotApplicable}
	}
	return len(connectorNames) > 0
}
