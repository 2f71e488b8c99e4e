package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
)

const (
	text        = "main/msg_1/sms.sent"
	deliveredID = "main/msg_1/sms.delivered"
	failedID    = "main/msg_1/sms.failed"
	resyncedID  = deliveredID + "@crm"
)

// statusOf is a status of a text whose workflow is text.
func statusOf(kind sms.Kind) activities.StatusInput {
	in := activities.StatusInput{Connector: "crm", Event: outbound(kind), Text: text}
	in.Event.At, in.Event.Reason = start.Add(time.Minute), "no such number"
	return in
}

func (w *world) update(kind sms.Kind) (activities.DeliverResult, error) {
	w.t.Helper()
	return run[activities.DeliverResult](w, w.acts.UpdateStatus, statusOf(kind))
}

func TestStatusIsSetOnTheTextsRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("the text"))
	out, err := w.update(sms.Failed)
	require.NoError(t, err)
	require.Equal(t, activities.DeliverResult{State: connectors.Written, Record: ref("record")}, out)
	in := statusOf(sms.Failed)
	require.Equal(t, []connectors.StatusChange{{
		Key: "main/msg_1", Record: ref("the text"), Message: in.Event.Message,
		Status: sms.StatusFailed, Reason: "no such number", At: in.Event.At,
	}}, w.crm.changes)
}

func TestStatusThatACRMCannotShowIsNotApplicable(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*world){
		"by its methods":  (*world).bare,
		"by its instance": func(w *world) { w.crm.caps.Status = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			limit(w)
			out, err := w.update(sms.Delivered)
			require.NoError(t, err)
			require.Equal(t, activities.DeliverResult{State: connectors.NotApplicable}, out)
			require.Empty(t, w.temporal.described)
		})
	}
}

// Whichever of the two statuses comes second sees the other.
func TestStatusesOfATextExcludeEachOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind       sms.Kind
		other      enums.WorkflowExecutionStatus // 0: there is none
		signalErr  error
		superseded bool
		waits      bool
		also       []string // looked at as well
	}{
		"delivered, alone":                             {kind: sms.Delivered},
		"delivered stands back while failed runs":      {kind: sms.Delivered, other: running, superseded: true},
		"delivered stands back once failed has ended":  {kind: sms.Delivered, other: completed, superseded: true},
		"failed, alone":                                {kind: sms.Failed, also: []string{resyncedID}},
		"failed ends delivered and waits":              {kind: sms.Failed, other: running, waits: true},
		"failed waits for one that has ended just now": {kind: sms.Failed, other: running, signalErr: noSuchWorkflow(), waits: true},
		"failed follows a delivered that has ended":    {kind: sms.Failed, other: completed, also: []string{resyncedID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("the text"))
			w.temporal.signalErr = c.signalErr
			other := deliveredID
			if c.kind == sms.Delivered {
				other = failedID
			}
			if c.other != 0 {
				w.temporal.workflows[other] = &execution{status: c.other}
			}
			out, err := w.update(c.kind)
			require.Equal(t, append([]string{other}, c.also...), w.temporal.described)
			switch {
			case c.waits:
				retried(t, activities.Waiting, err)
				require.Equal(t, time.Second, failed(t, err).NextRetryDelay())
				require.Equal(t, []sent{{deliveredID, activities.SignalSuperseded, failedID}}, w.temporal.signals)
				require.Empty(t, w.crm.calls)
			case c.superseded:
				require.NoError(t, err)
				require.Equal(t, activities.DeliverResult{State: activities.Superseded}, out)
				require.Empty(t, w.temporal.signals)
				require.Empty(t, w.crm.calls)
			default:
				require.NoError(t, err)
				require.Equal(t, connectors.Written, out.State)
				require.Empty(t, w.temporal.signals)
			}
		})
	}
}

func TestFailedEndsADeliveredThatIsBroughtOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.temporal.workflows[deliveredID] = &execution{status: completed}
	w.temporal.workflows[resyncedID] = &execution{status: running}
	_, err := w.update(sms.Failed)
	retried(t, activities.Waiting, err)
	require.Equal(t, []sent{{resyncedID, activities.SignalSuperseded, failedID}}, w.temporal.signals)
	require.Empty(t, w.crm.calls)
}

// A text that was delivered once more, perhaps to a connector that it did not go
// to at first, has its record there.
func TestStatusFollowsATextThatWasDeliveredOnceMore(t *testing.T) {
	t.Parallel()
	result := func(record string) activities.SyncResult {
		return activities.SyncResult{Deliveries: map[string]activities.DeliveryResult{"crm": {Record: ref(record)}}}
	}
	for name, c := range map[string]struct {
		once, again string
		status      enums.WorkflowExecutionStatus
		record      string
		ends        connectors.State
		waits       bool
	}{
		"here, too":                     {once: "1", again: "2", status: completed, record: "2"},
		"here only":                     {again: "2", status: completed, record: "2"},
		"and then skipped":              {once: "1", status: completed, record: "1"},
		"and then ended by hand":        {once: "1", status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, record: "1"},
		"and skipped, never here":       {status: completed, ends: connectors.NotApplicable},
		"which has not come to its end": {once: "1", status: running, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.temporal.workflows[text] = &execution{status: completed, result: result(c.once)}
			w.temporal.workflows[text+"@crm"] = &execution{status: c.status, result: result(c.again)}
			out, err := w.update(sms.Delivered)
			if c.waits {
				retried(t, activities.Waiting, err)
				return
			}
			require.NoError(t, err)
			if c.ends != "" {
				require.Equal(t, c.ends, out.State)
				return
			}
			require.Equal(t, c.record, w.crm.changes[0].Record.ID)
		})
	}
}

func TestStatusIsNotSetInDoubtAboutTheOther(t *testing.T) {
	t.Parallel()
	for _, kind := range []sms.Kind{sms.Delivered, sms.Failed} {
		w := newWorld(t)
		w.temporal.describeErr = errAway
		_, err := w.update(kind)
		hiccup(t, err)
		require.Empty(t, w.crm.calls)
	}
	w := newWorld(t)
	w.temporal.workflows[deliveredID] = &execution{status: running}
	w.temporal.signalErr = errAway
	_, err := w.update(sms.Failed)
	hiccup(t, err)
}

// The record is looked for where that costs least.
func TestRecordOfAStatusIsLocated(t *testing.T) {
	t.Parallel()
	ended := func(d activities.DeliveryResult) *execution {
		return &execution{status: completed, result: activities.SyncResult{Deliveries: map[string]activities.DeliveryResult{"crm": d}}}
	}
	for name, c := range map[string]struct {
		redis   string
		text    *execution
		class   connectors.Class
		marked  string // the record that carries the marker
		away    bool   // Redis
		calls   []string
		record  string
		contact string
		ends    connectors.State
		waits   bool
	}{
		"in Redis":             {redis: "1", text: &execution{status: running}, calls: []string{"status"}, record: "1"},
		"in the text's result": {text: ended(activities.DeliveryResult{Record: ref("2"), Contact: ref("c")}), calls: []string{"status"}, record: "2", contact: "c"},
		"in the text's result, without Redis": {
			away: true, text: ended(activities.DeliveryResult{Record: ref("2"), Contact: ref("c")}), calls: []string{"status"}, record: "2", contact: "c",
		},
		"nowhere: the text was skipped":           {text: ended(activities.DeliveryResult{State: "skipped"}), ends: connectors.NotApplicable},
		"nowhere: the text went elsewhere":        {text: &execution{status: completed, result: activities.SyncResult{}}, ends: connectors.NotApplicable},
		"by the CRM, which knows the key":         {text: &execution{status: running}, calls: []string{"status"}},
		"not yet: the text is on its way":         {text: &execution{status: running, deliveries: []string{"erp=written", "crm=syncing"}}, waits: true},
		"by the CRM, the text waiting for others": {text: &execution{status: running, deliveries: []string{"erp=syncing", "crm=written"}}, calls: []string{"status"}},
		"by the CRM, the text having no run":      {calls: []string{"status"}},
		"class D, by the marker":                  {text: &execution{status: running}, class: "D", marked: "4", calls: []string{"find", "read back", "status"}, record: "4", contact: "5"},
		"class D, and the text is not there":      {text: &execution{status: running}, class: "D", calls: []string{"find", "read back"}, waits: true},
		"class D needs no search with a result":   {text: ended(activities.DeliveryResult{Record: ref("2")}), class: "D", calls: []string{"status"}, record: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.finds("5")
			w.crm.caps.Class = c.class
			if c.redis != "" {
				w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref(c.redis))
			}
			if c.away {
				w.redis.Close()
			}
			if c.text != nil {
				w.temporal.workflows[text] = c.text
			}
			w.crm.readBack = func(r connectors.Record) ([]connectors.Ref, error) {
				require.Equal(t, "main/msg_1", r.Key)
				require.Equal(t, "5", r.Contact.ID, "a marker is looked for on the contact's timeline")
				return []connectors.Ref{ref(c.marked)}, nil
			}
			out, err := w.update(sms.Delivered)
			require.Equal(t, c.calls, w.crm.calls)
			if c.waits {
				retried(t, activities.Waiting, err)
				return
			}
			require.NoError(t, err)
			if c.ends != "" {
				require.Equal(t, activities.DeliverResult{State: c.ends}, out)
				return
			}
			require.Equal(t, c.record, w.crm.changes[0].Record.ID)
			require.Equal(t, c.contact, w.crm.changes[0].Contact.ID)
		})
	}
}

// A person may be asked about the text, and never about its status beside it.
func TestStatusOfATextThatIsNotThereFollowsTheText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		several, none string
		found         []string
		kind          string // once the text's workflow no longer runs
	}{
		"no contact yet":    {none: "park", kind: activities.NoContact},
		"several contacts":  {several: "park", found: []string{"1", "2"}, kind: activities.SeveralContacts},
		"no record (yet)":   {found: []string{"1"}, kind: "NOT_FOUND"},
		"an unlinked text":  {none: "unlinked", kind: "NOT_FOUND"},
		"a contact to come": {none: "create", kind: "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Class = connectors.ClassD
			w.inst.Contacts = activities.ContactPolicy{Several: c.several, None: c.none, CreateWhen: "always"}
			w.crm.finds(c.found...)
			w.temporal.workflows[text] = &execution{status: running}
			_, err := w.update(sms.Delivered)
			retried(t, activities.Waiting, err)

			w.temporal.workflows[text].status = enums.WORKFLOW_EXECUTION_STATUS_TERMINATED
			_, err = w.update(sms.Delivered)
			parked(t, c.kind, err)
			require.Empty(t, w.temporal.signals, "a status never has a contact created")
		})
	}
}

func TestRecordThatCannotBeLocatedFailsTheAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(*world)
		calls   []string
	}{
		"the text's result is unreadable": {func(w *world) { w.temporal.workflows[text] = &execution{status: completed, result: errAway} }, nil},
		"the search for the contact fails": {func(w *world) {
			w.crm.find = func(sms.Phone) ([]connectors.Contact, error) { return nil, errAway }
		}, []string{"find"}},
		"the search for the marker fails": {func(w *world) {
			w.crm.readBack = func(connectors.Record) ([]connectors.Ref, error) { return nil, errAway }
		}, []string{"find", "read back"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.crm.caps.Class = connectors.ClassD
			w.crm.finds("5")
			c.arrange(w)
			_, err := w.update(sms.Delivered)
			hiccup(t, err)
			require.Equal(t, c.calls, w.crm.calls)
		})
	}
}

// A text that the CRM does not have may be on its way, or was taken away.
func TestTextThatIsMissing(t *testing.T) {
	t.Parallel()
	terminated := &execution{status: enums.WORKFLOW_EXECUTION_STATUS_TERMINATED}
	t.Run("a remembered record is looked for once more", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("gone"))
		w.crm.status = fails[connectors.StatusChange](connectors.NotFound)
		_, err := w.update(sms.Delivered)
		retried(t, activities.Waiting, err)
		require.Equal(t, time.Second, failed(t, err).NextRetryDelay())
		require.Empty(t, w.record())
	})
	for name, c := range map[string]struct {
		text  *execution
		waits bool
	}{
		"waits while the text is on its way": {&execution{status: running}, true},
		"parks once the text has ended":      {terminated, false},
		"parks where the text never was":     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.text != nil {
				w.temporal.workflows[text] = c.text
			}
			w.crm.status = fails[connectors.StatusChange](connectors.NotFound)
			_, err := w.update(sms.Delivered)
			if c.waits {
				retried(t, activities.Waiting, err)
			} else {
				parked(t, "NOT_FOUND", err)
			}
		})
	}
	t.Run("in doubt tries again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.crm.status = func(connectors.StatusChange) []connectors.Outcome {
			w.temporal.describeErr = errAway
			return fails[connectors.StatusChange](connectors.NotFound)(connectors.StatusChange{})
		}
		_, err := w.update(sms.Delivered)
		hiccup(t, err)
	})
}

func TestStatusThatFailsForAnotherReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ledger.RememberRecord(t.Context(), "crm", "main/msg_1", ref("the text"))
	w.crm.status = fails[connectors.StatusChange](connectors.Invalid)
	_, err := w.update(sms.Delivered)
	parked(t, "INVALID", err)
	w.crm.status = outcome[connectors.StatusChange](connectors.NotAttempted, nil)
	_, err = w.update(sms.Delivered)
	retried(t, activities.GivenBack, err)
	require.Equal(t, "the text", w.record(), "nothing was said of the record")

	w.inst.Lane().Stop()
	_, err = w.update(sms.Delivered)
	retried(t, activities.GivenBack, err)
	require.Len(t, w.crm.calls, 2)
}

func TestFindText(t *testing.T) {
	t.Parallel()
	targets := map[string]any{activities.MemoTargets: []string{"crm", "other"}}
	const inbound = "main/msg_1/sms.received"
	for name, c := range map[string]struct {
		workflows map[string]*execution
		want      activities.TextOf
	}{
		"that was sent":         {map[string]*execution{text: {status: running, memo: targets}}, activities.TextOf{Workflow: text, Targets: []string{"crm", "other"}}},
		"that was received":     {map[string]*execution{inbound: {status: completed, memo: targets}}, activities.TextOf{Workflow: inbound, Targets: []string{"crm", "other"}}},
		"that goes nowhere":     {map[string]*execution{text: {status: completed}}, activities.TextOf{Workflow: text}},
		"that has not come yet": {nil, activities.TextOf{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.temporal.workflows = c.workflows
			found, err := run[activities.TextOf](w, w.acts.FindText, outbound(sms.Delivered))
			require.NoError(t, err)
			require.Equal(t, c.want, found)
		})
	}
}

func TestFindTextInDoubtFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.temporal.describeErr = errAway
	_, err := run[activities.TextOf](w, w.acts.FindText, outbound(sms.Delivered))
	hiccup(t, err)

	w = newWorld(t)
	w.temporal.workflows[text] = &execution{status: running, memo: map[string]any{activities.MemoTargets: 7}}
	_, err = run[activities.TextOf](w, w.acts.FindText, outbound(sms.Delivered))
	require.ErrorContains(t, err, "read targets of "+text)

	w = newWorld(t)
	w.temporal.empty = true
	_, err = run[activities.TextOf](w, w.acts.FindText, outbound(sms.Delivered))
	require.ErrorContains(t, err, "temporal described nothing")
}

// The text may be written between the CRM's answer and the look at its workflow.
func TestTextThatComesMeanwhileIsNotMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := &execution{status: running}
	w.temporal.workflows["main/msg_1/sms.sent"] = text
	w.crm.status = func(connectors.StatusChange) []connectors.Outcome {
		text.status = completed
		return fails[connectors.StatusChange](connectors.NotFound)(connectors.StatusChange{})
	}
	_, err := w.update(sms.Delivered)
	retried(t, activities.Waiting, err)
}
