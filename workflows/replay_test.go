package workflows_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/devstack/devtest"
	"crmsync/sms"
	"crmsync/workflows"
)

var update = flag.Bool("update", false, "record the histories that testdata/replay does not hold yet, from a real server")

const histories = "testdata/replay"

// TestReplay replays every committed history: a workflow that runs in production
// must go on under today's code. After an incompatible change keep the old file,
// guard the change with workflow.GetVersion, and record the case under a new
// name: a history is never written anew.
func TestReplay(t *testing.T) {
	t.Parallel()
	if *update {
		record(t)
	}
	files, err := filepath.Glob(histories + "/*.json")
	require.NoError(t, err)
	missing := map[string]bool{activities.SyncEvent: true, activities.SyncConsent: true, activities.EnsureContact: true, activities.Quarantine: true, activities.CompareConsent: true, activities.Reconcile: true, activities.Backfill: true}
	for _, file := range files {
		replayer := worker.NewWorkflowReplayer()
		register(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet, file), file)
		delete(missing, strings.SplitN(filepath.Base(file), "-", 2)[0])
	}
	require.Empty(t, missing, "workflow types without a history")
}

func register(r worker.WorkflowRegistry) {
	r.RegisterWorkflow(workflows.SyncEvent)
	r.RegisterWorkflow(workflows.SyncConsent)
	r.RegisterWorkflow(workflows.EnsureContact)
	r.RegisterWorkflow(workflows.Quarantine)
	r.RegisterWorkflow(workflows.CompareConsent)
	r.RegisterWorkflow(workflows.Reconcile)
	r.RegisterWorkflow(workflows.Backfill)
}

// stage is a real server with the real workflows, and activities that act.
type stage struct {
	t         *testing.T
	namespace string
	client    client.Client
	worker    worker.Worker
	calls     atomic.Int32
}

func record(t *testing.T) {
	t.Helper()
	server := devtest.Temporal(t)
	s := &stage{t: t, namespace: devtest.Namespace(t, server)}
	s.client = devtest.Dial(t, server, s.namespace)
	s.worker = worker.New(s.client, deployment, worker.Options{})
	register(s.worker)
	lanes := []worker.Worker{s.worker}
	for _, queue := range []string{
		activities.ConnectorQueue(deployment, "crm"), activities.ConsentQueue(deployment, "crm"), activities.ConnectorQueue(deployment, "late"), activities.ConsentQueue(deployment, "late"),
	} {
		lanes = append(lanes, worker.New(s.client, queue, worker.Options{DisableWorkflowWorker: true}))
	}
	for _, w := range lanes {
		s.act(w)
		s.actForWalks(w)
		require.NoError(t, w.Start())
		t.Cleanup(w.Stop)
	}
	s.recordEvents()
	s.recordOthers()
	s.recordWalks()
	s.recordListed()
}

// act registers activities that fail, ask and succeed as the histories need.
func (s *stage) act(w worker.ActivityRegistry) {
	as := func(name string, f any) { w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	as("Deliver", s.deliver)
	as("DeliverNow", func(ctx context.Context, in activities.DeliverInput) (activities.DeliverResult, error) {
		if in.Connector == "late" {
			return activities.DeliverResult{}, nil
		}
		return s.deliver(ctx, in)
	})
	as("UpdateStatus", func(_ context.Context, in activities.StatusInput) (activities.DeliverResult, error) {
		if strings.Contains(in.Event.Message.ID, "superseded") && in.Event.Kind == sms.Delivered {
			return activities.DeliverResult{}, temporal.NewApplicationErrorWithOptions("waits", activities.Waiting,
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour})
		}
		return activities.DeliverResult{State: connectors.Written, Record: ref("r1")}, nil
	})
	as("FindText", func(context.Context, sms.Event) (activities.TextOf, error) {
		if s.calls.Add(1) == 1 {
			return activities.TextOf{}, nil
		}
		return activities.TextOf{Workflow: "main/msg/sms.sent", Targets: []string{"crm"}}, nil
	})
	as("LinkContact", func(context.Context, activities.Link) error { return nil })
	as("FindContact", func(context.Context, activities.FindInput) (activities.Found, error) {
		return activities.Found{Settle: time.Millisecond, SearchLag: time.Millisecond}, nil
	})
	as("CreateContact", func(context.Context, activities.Ask) (activities.Created, error) {
		if s.calls.Add(1) == 1 {
			return activities.Created{}, errors.New("the answer was lost")
		}
		return activities.Created{Match: matchOf("c1")}, nil
	})
	as("SetConsent", func(_ context.Context, in activities.ConsentInput) (activities.ConsentResult, error) {
		if !in.Received.IsZero() || in.ReadBack {
			return activities.ConsentResult{State: connectors.Written, Contacts: 1, ReadBackAfter: time.Millisecond}, nil
		}
		if s.calls.Add(1) == 1 {
			return activities.ConsentResult{}, refused(connectors.Forbidden, "may not")
		}
		return activities.ConsentResult{State: connectors.Written, Contacts: 1}, nil
	})
	as("SetConsentNow", func(_ context.Context, in activities.ConsentInput) (activities.ConsentResult, error) {
		if in.Connector == "late" {
			return activities.ConsentResult{Unsure: true}, nil
		}
		return activities.ConsentResult{State: connectors.Written, Contacts: 1}, nil
	})
	as("CountOptedOut", func(context.Context, string) (int, error) { return 3, nil })
	as("CompareListed", func(_ context.Context, in activities.ListedInput) (activities.Listed, error) {
		if in.From == "" {
			return activities.Listed{Known: 1, Next: "2"}, nil
		}
		return activities.Listed{Added: 1}, nil
	})
	as("ReportListed", func(context.Context, activities.ConsentReport) error { return nil })
	as("Readmit", func(context.Context, activities.Quarantined) (activities.Admitted, error) {
		if s.calls.Add(1) == 1 {
			return activities.Admitted{}, refused("QUARANTINED", "still not understood")
		}
		return activities.Admitted{Result: "accepted"}, nil
	})
}

// actForWalks registers JustCall with two pages: the first is known in part.
func (s *stage) actForWalks(w worker.ActivityRegistry) {
	as := func(name string, f any) { w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name}) }
	as("ListTexts", func(_ context.Context, in activities.PageInput) (activities.Page, error) {
		page := activities.Page{Offers: []activities.Offer{{Event: received()}}}
		page.Listed, page.Missing = 1, 1
		if in.Cursor == "" {
			page.Next = "1"
		}
		return page, nil
	})
	as("CompareIDs", func(_ context.Context, account string) (activities.IDs, error) {
		return activities.IDs{Accepted: 1, Asked: 1, Found: map[string]int{"main": 1}[account]}, nil
	})
	as("Repair", func(context.Context, activities.RepairInput) (activities.Counts, error) {
		return activities.Counts{Tally: activities.Tally{Repaired: 1}}, nil
	})
	as("TellReconciled", func(context.Context, activities.ReconciledInput) (string, error) {
		return "the webhook was paused", nil
	})
}

func (s *stage) recordWalks() {
	s.run("Reconcile-repaired", activities.Reconcile, workflows.ReconcileInput{Account: "main"}, nil)
	s.run("Reconcile-ids-differ", activities.Reconcile, workflows.ReconcileInput{Account: "other"}, nil)
	s.run("Backfill-two-pages", activities.Backfill, workflows.BackfillInput{Walked: workflows.Walked{Walk: activities.Walk{Account: "main"}}}, nil)
}

func (s *stage) deliver(ctx context.Context, in activities.DeliverInput) (activities.DeliverResult, error) {
	switch id := in.Event.Message.ID; {
	case in.Connector == "late" && activity.GetInfo(ctx).Attempt < 3:
		return activities.DeliverResult{}, errors.New("the CRM is away")
	case in.Match == nil && strings.Contains(id, "asks"):
		return activities.DeliverResult{Asked: true}, nil
	case strings.Contains(id, "gone") && (in.Match == nil || in.Match.Contact.ID == "c1"):
		return activities.DeliverResult{Asked: true, Gone: ref("c0")}, nil
	case in.Fresh && strings.Contains(id, "parks"):
		return activities.DeliverResult{}, refused(connectors.Invalid, "no")
	}
	return activities.DeliverResult{State: connectors.Written, Record: ref("r1"), Match: matchOf("c1")}, nil
}

func (s *stage) recordEvents() {
	answered := func(id string) {
		// An answer from before the question is none.
		require.Eventually(s.t, func() bool { return s.timers(id) == 1 }, time.Minute, 20*time.Millisecond)
		s.signal(id, activities.SignalAnswer, activities.Answer{Connector: "crm", Match: matchOf("c2")})
	}
	for name, steer := range map[string]func(id string){
		"written":     nil,
		"asks":        answered,
		"gone":        answered,
		"parks-retry": func(id string) { s.repair(id, workflows.UpdateRetry, workflows.Repair{}) },
		"parks-skip": func(id string) {
			s.repair(id, workflows.UpdateSkip, workflows.Repair{Connector: "crm", Reason: "spam"})
		},
		"parks-link": func(id string) { s.repair(id, workflows.UpdateLink, workflows.Repair{Contact: "c2"}) },
	} {
		s.run("SyncEvent-"+name, activities.SyncEvent, s.event(sms.Received, name), steer)
	}
	s.calls.Store(0)
	s.run("SyncEvent-status-waits-for-its-text", activities.SyncEvent, s.event(sms.Delivered, "status"), nil)
	s.run("SyncEvent-status-superseded", activities.SyncEvent, s.event(sms.Delivered, "superseded"), func(id string) {
		s.signal(id, activities.SignalSuperseded, "main/msg/sms.failed")
	})
}

func (s *stage) event(kind sms.Kind, id string) workflows.SyncInput {
	e := received()
	e.Kind, e.Message.ID = kind, id
	return workflows.SyncInput{Event: e, Targets: []string{"crm"}, Live: true, Plain: true}
}

func (s *stage) recordOthers() {
	s.calls.Store(0)
	s.run("Quarantine-retried-twice", activities.Quarantine,
		workflows.QuarantineInput{Quarantined: activities.Quarantined{Account: "main", Reason: "not JSON", Body: []byte("{")}, Plain: true},
		func(id string) {
			s.repair(id, workflows.UpdateRetry, workflows.Repair{})
			s.repair(id, workflows.UpdateRetry, workflows.Repair{})
		})
	s.calls.Store(0)
	s.leave("EnsureContact-created-after-a-lost-answer", activities.EnsureContact, activities.ContactInput{Connector: "crm", Phone: "+15125551234"},
		activities.SignalAsk, activities.Ask{Connector: "crm", Phone: "+15125551234", Create: true, Workflow: "nobody"},
		func(id string) { s.signal(id, activities.SignalLink, matchOf("c2")) })
	s.calls.Store(0)
	at := time.Date(2026, 3, 12, 14, 30, 0, 0, time.UTC)
	s.leave("SyncConsent-parked-then-out-then-in", activities.SyncConsent, workflows.SyncConsentInput{Account: "main", Plain: true},
		activities.SignalConsent, consentAt(true, at, "crm"),
		func(id string) {
			s.repair(id, workflows.UpdateRetry, workflows.Repair{})
			s.signal(id, activities.SignalConsent, consentAt(false, at.Add(time.Hour), "crm"))
			s.signal(id, activities.SignalContact, activities.Appeared{Connector: "crm", Contact: ref("c9")})
		})
}

// recordListed records workflows that set search attributes, as most do. Their
// values may change, the number of times they are set may not.
func (s *stage) recordListed() {
	_, err := s.client.OperatorService().AddSearchAttributes(s.t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: s.namespace, SearchAttributes: workflows.AttributesOf(deployment).Types(),
	})
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool { // the server learns of them a little late
		query := workflows.AttributesOf(deployment).State.GetName() + " IS NULL"
		_, err := s.client.CountWorkflow(s.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	in := s.event(sms.Received, "parks")
	in.Plain = false
	s.run("SyncEvent-listed-parks-retry", activities.SyncEvent, in, func(id string) {
		s.repair(id, workflows.UpdateRetry, workflows.Repair{Reason: "the field is optional now"})
	})
	two := s.event(sms.Received, "two")
	two.Plain, two.Targets, two.Revision = false, []string{"late", "crm"}, 1
	s.run("SyncEvent-revision-1-shows-each", activities.SyncEvent, two, nil)
	two.Event.Message.ID, two.Revision = "at once", 2
	s.run("SyncEvent-revision-2-tries-at-once", activities.SyncEvent, two, nil)
	two.Event.Message.ID, two.Revision, two.Live = "history", 4, false
	s.run("SyncEvent-revision-4-tries-history-at-once", activities.SyncEvent, two, nil)
	again := s.event(sms.Delivered, "again")
	again.Plain, again.Live, again.Resync = false, false, &workflows.Repair{Connector: "crm", Reason: "deleted by mistake", By: "ada"}
	s.calls.Store(0)
	s.run("SyncEvent-resync-of-a-status", activities.SyncEvent, again, nil)
	s.calls.Store(0)
	s.leave("SyncConsent-listed-parked", activities.SyncConsent, workflows.SyncConsentInput{Account: "main"},
		activities.SignalConsent, consentAt(true, begin, "crm"),
		func(id string) { s.repair(id, workflows.UpdateRetry, workflows.Repair{}) })
	first := consentAt(true, begin, "crm")
	first.Line, first.Received = "line", begin
	s.leave("SyncConsent-revision-1-never-kept-then-lifted", activities.SyncConsent,
		workflows.SyncConsentInput{Account: "main", Revision: 1}, activities.SignalConsent, first,
		func(id string) {
			s.repair(id, workflows.UpdateRetry, workflows.Repair{})
			then := consentAt(false, begin.Add(time.Hour), "crm")
			then.Line = "line"
			s.signal(id, activities.SignalConsent, then)
		})
	s.calls.Store(0)
	first.Connectors = []string{"late", "crm"}
	s.leave("SyncConsent-revision-2-tries-at-once", activities.SyncConsent,
		workflows.SyncConsentInput{Account: "main", Revision: 2}, activities.SignalConsent, first,
		func(id string) {
			s.repair(id, workflows.UpdateSkip, workflows.Repair{})
			then := first
			then.Consent.OptedOut, then.Consent.At = false, begin.Add(time.Hour)
			s.signal(id, activities.SignalConsent, then)
		})
	s.run("CompareConsent-two-pages", activities.CompareConsent, workflows.CompareInput{Account: "main"}, nil)
}

// recorded reports whether there is such a history already.
func recorded(name string) bool {
	_, err := os.Stat(filepath.Join(histories, name+".json"))
	return err == nil
}

// run records a workflow that ends.
func (s *stage) run(name, workflow string, in any, steer func(id string)) {
	s.t.Helper()
	if recorded(name) {
		return
	}
	run, err := s.client.ExecuteWorkflow(s.t.Context(), client.StartWorkflowOptions{ID: name, TaskQueue: deployment}, workflow, in)
	require.NoError(s.t, err)
	if steer != nil {
		steer(name)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	require.NoError(s.t, run.Get(ctx, nil), name)
	s.save(name)
}

// leave records a workflow that stays open, once it has nothing left to do.
func (s *stage) leave(name, workflow string, in any, signal string, arg any, steer func(id string)) {
	s.t.Helper()
	if recorded(name) {
		return
	}
	_, err := s.client.SignalWithStartWorkflow(s.t.Context(), name, signal, arg, client.StartWorkflowOptions{TaskQueue: deployment}, workflow, in)
	require.NoError(s.t, err)
	steer(name)
	length, since := 0, time.Now()
	require.Eventually(s.t, func() bool {
		if n := len(s.history(name).Events); n != length {
			length, since = n, time.Now()
		}
		return time.Since(since) > 3*time.Second
	}, time.Minute, 100*time.Millisecond)
	s.save(name)
}

func (s *stage) signal(id, name string, arg any) {
	s.t.Helper()
	require.NoError(s.t, s.client.SignalWorkflow(s.t.Context(), id, "", name, arg))
}

// repair sends an update until something is parked that takes it.
func (s *stage) repair(id, verb string, r workflows.Repair) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		handle, err := s.client.UpdateWorkflow(s.t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: id, UpdateName: verb, Args: []any{r}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		return err == nil && handle.Get(s.t.Context(), nil) == nil
	}, time.Minute, 50*time.Millisecond)
}

// timers counts the timers of a workflow.
func (s *stage) timers(id string) int {
	n := 0
	for _, e := range s.history(id).Events {
		if e.GetTimerStartedEventAttributes() != nil {
			n++
		}
	}
	return n
}

func (s *stage) history(id string) *historypb.History {
	s.t.Helper()
	var h historypb.History
	events := s.client.GetWorkflowHistory(s.t.Context(), id, "", false, 0)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		h.Events = append(h.Events, e)
	}
	return &h
}

func (s *stage) save(name string) {
	s.t.Helper()
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(s.history(name))
	require.NoError(s.t, err)
	host, err := os.Hostname() // stands in identities and sticky queues
	require.NoError(s.t, err)
	text = bytes.ReplaceAll(text, []byte(host), []byte("host"))
	require.NoError(s.t, os.WriteFile(filepath.Join(histories, name+".json"), text, 0o600))
}
