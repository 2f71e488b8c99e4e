package messages

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/workflows"
)

// story is what a history tells, event by event, of the deliveries.
type story struct {
	messages   *Messages
	detail     Detail
	listed     []Delivery           // as the search attributes say
	deliveries map[string]*Delivery // by connector
	tried      map[string]int       // attempts of activities that have ended, by connector
	scheduled  map[int64]*Delivery  // by the event that scheduled the activity
	activities map[string]*Delivery // by the activity's id
}

func newStory(m *Messages, item Item) *story {
	return &story{
		messages: m, detail: Detail{Item: item}, listed: item.Deliveries,
		deliveries: map[string]*Delivery{}, tried: map[string]int{},
		scheduled: map[int64]*Delivery{}, activities: map[string]*Delivery{},
	}
}

func (s *story) delivery(connector string) *Delivery {
	d, ok := s.deliveries[connector]
	if !ok {
		d = &Delivery{Connector: connector, State: workflows.StateSyncing}
		s.deliveries[connector] = d
	}
	return d
}

// read takes one event in.
func (s *story) read(e *historypb.HistoryEvent) error {
	switch e.GetEventType() {
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
		return s.started(e.GetWorkflowExecutionStartedEventAttributes())
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
		return s.signaled(e.GetWorkflowExecutionSignaledEventAttributes(), e.GetEventTime().AsTime())
	case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
		return s.attempted(e.GetEventId(), e.GetActivityTaskScheduledEventAttributes())
	case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
		started := e.GetActivityTaskStartedEventAttributes()
		if d := s.scheduled[started.GetScheduledEventId()]; d != nil {
			s.tried[d.Connector] += int(started.GetAttempt())
			d.Attempts = s.tried[d.Connector]
		}
	case enums.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
		completed := e.GetActivityTaskCompletedEventAttributes()
		return s.answered(s.scheduled[completed.GetScheduledEventId()], completed.GetResult())
	case enums.EVENT_TYPE_ACTIVITY_TASK_FAILED:
		failed := e.GetActivityTaskFailedEventAttributes()
		s.refused(s.scheduled[failed.GetScheduledEventId()], failed.GetFailure(), e.GetEventTime().AsTime())
	case enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
		failed := e.GetActivityTaskTimedOutEventAttributes()
		s.refused(s.scheduled[failed.GetScheduledEventId()], failed.GetFailure(), e.GetEventTime().AsTime())
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
		return s.repaired(e)
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		return s.completed(e.GetWorkflowExecutionCompletedEventAttributes().GetResult())
	}
	return nil
}

func (s *story) decode(p *commonpb.Payloads, into any) error {
	if len(p.GetPayloads()) == 0 {
		return nil
	}
	if err := s.messages.Data.FromPayloads(p, into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

func (s *story) started(e *historypb.WorkflowExecutionStartedEventAttributes) error {
	switch e.GetWorkflowType().GetName() {
	case activities.SyncEvent:
		var in workflows.SyncInput
		if err := s.decode(e.GetInput(), &in); err != nil {
			return err
		}
		s.detail.Event, s.detail.Kind, s.detail.Resync = &in.Event, string(in.Event.Kind), in.Resync
		if in.Event.Kind.Text() || in.Resync != nil {
			for _, connector := range in.Targets {
				s.delivery(connector)
			}
		}
	case activities.SyncConsent:
		var in workflows.SyncConsentInput
		if err := s.decode(e.GetInput(), &in); err != nil {
			return err
		}
		if in.State != nil {
			s.detail.Consent = &in.State.Consent
			for _, connector := range in.State.Connectors {
				s.delivery(connector)
			}
		}
	case activities.Quarantine:
		var in workflows.QuarantineInput
		if err := s.decode(e.GetInput(), &in); err != nil {
			return err
		}
		s.detail.Quarantined = &in.Quarantined
	}
	return nil
}

// signaled reads a change of consent, and a contact that was asked for and
// refused.
func (s *story) signaled(e *historypb.WorkflowExecutionSignaledEventAttributes, at time.Time) error {
	switch e.GetSignalName() {
	case activities.SignalConsent:
		var change activities.ConsentSignal
		if err := s.decode(e.GetInput(), &change); err != nil {
			return err
		}
		if s.detail.Consent == nil || change.Consent.Supersedes(*s.detail.Consent) {
			s.detail.Consent = &change.Consent
		}
		for _, connector := range change.Connectors {
			s.delivery(connector)
		}
	case activities.SignalAnswer:
		var answer activities.Answer
		if err := s.decode(e.GetInput(), &answer); err != nil {
			return err
		}
		if d := s.deliveries[answer.Connector]; d != nil && answer.Refused != nil {
			d.State, d.Error = workflows.StateParked, &Failure{answer.Refused.Kind, answer.Refused.Message, at}
		}
	}
	return nil
}

// attempted begins an activity of a delivery.
func (s *story) attempted(id int64, e *historypb.ActivityTaskScheduledEventAttributes) error {
	if !slices.Contains([]string{"Deliver", "UpdateStatus", "SetConsent"}, e.GetActivityType().GetName()) {
		return nil
	}
	var in struct {
		Connector string `json:"connector"`
	}
	if err := s.decode(e.GetInput(), &in); err != nil {
		return err
	}
	d := s.delivery(in.Connector)
	d.State = workflows.StateSyncing
	s.scheduled[id], s.activities[e.GetActivityId()] = d, d
	return nil
}

// answered ends an activity of a delivery, if d is one.
func (s *story) answered(d *Delivery, result *commonpb.Payloads) error {
	if d == nil {
		return nil
	}
	var out struct {
		activities.DeliverResult
		Contacts *int `json:"contacts"` // of SetConsent
	}
	if err := s.decode(result, &out); err != nil {
		return err
	}
	if out.Asked { // another workflow decides the contact: this was no attempt at the text
		s.tried[d.Connector]--
		d.Attempts = s.tried[d.Connector]
		return nil
	}
	d.State, d.Record, d.Error = string(out.State), out.Record, nil
	d.Contact, d.How = out.Match.Contact, out.Match.How
	if out.Contacts != nil {
		d.How = fmt.Sprintf("%d contacts have the number", *out.Contacts)
	}
	return nil
}

func (s *story) refused(d *Delivery, failure *failurepb.Failure, at time.Time) {
	if d != nil {
		d.State, d.Error = workflows.StateParked, s.failure(failure, at)
	}
}

// failure reads what Temporal keeps of an error.
func (s *story) failure(f *failurepb.Failure, at time.Time) *Failure {
	err := s.messages.Failures.FailureToError(f)
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return &Failure{Kind: app.Type(), Message: app.Message(), At: at}
	}
	return &Failure{Kind: string(connectors.Unknown), Message: err.Error(), At: at}
}

// repaired reads the decision of a person, for what was parked then.
func (s *story) repaired(e *historypb.HistoryEvent) error {
	request := e.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest()
	r := Repaired{At: e.GetEventTime().AsTime(), Verb: request.GetInput().GetName(), Identity: request.GetMeta().GetIdentity()}
	if err := s.decode(request.GetInput().GetArgs(), &r.Repair); err != nil {
		return err
	}
	s.detail.Repairs = append(s.detail.Repairs, r)
	for _, d := range s.deliveries {
		if d.State == workflows.StateParked && (r.Connector == "" || r.Connector == d.Connector) {
			d.State, d.Reason, d.By = workflows.StateSyncing, r.Reason, r.By
		}
	}
	return nil
}

// completed reads the result, which says how each delivery ended.
func (s *story) completed(result *commonpb.Payloads) error {
	if s.detail.Event == nil {
		return nil
	}
	var out activities.SyncResult
	if err := s.decode(result, &out); err != nil {
		return err
	}
	for connector, ended := range out.Deliveries {
		d := s.delivery(connector)
		d.State, d.Record, d.Contact = string(ended.State), ended.Record, ended.Contact
		d.How, d.Reason, d.By = ended.How, ended.Reason, ended.By
	}
	return nil
}

// pending is an activity under way, or between two attempts.
func (s *story) pending(p *workflowpb.PendingActivityInfo) {
	d := s.activities[p.GetActivityId()]
	if d == nil {
		return
	}
	d.Attempts = s.tried[d.Connector] + int(p.GetAttempt())
	if p.GetLastFailure() != nil {
		d.Error = s.failure(p.GetLastFailure(), p.GetLastAttemptCompleteTime().AsTime())
	}
	if next := p.GetNextAttemptScheduleTime(); next != nil {
		d.NextTry = next.AsTime()
	}
}

// end answers the whole. What is parked right now the workflow itself has said
// last, in the search attributes.
func (s *story) end() Detail {
	for _, said := range s.listed {
		d := s.delivery(said.Connector)
		switch {
		case said.State == workflows.StateParked:
			d.State = said.State
			if d.Error == nil {
				d.Error = said.Error
			}
		case d.State == workflows.StateParked, d.State == workflows.StateSyncing && said.State != "":
			d.State = said.State
		}
	}
	s.detail.Deliveries = []Delivery{}
	for _, connector := range slices.Sorted(maps.Keys(s.deliveries)) {
		s.detail.Deliveries = append(s.detail.Deliveries, *s.deliveries[connector])
	}
	return s.detail
}
