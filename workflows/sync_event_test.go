package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// to is a live text for these connectors.
func to(targets ...string) workflows.SyncInput {
	return workflows.SyncInput{Event: received(), Targets: targets, Live: true}
}

// refusing parks the deliveries to close, as often as times says, and
// writes all others.
func refusing(times int) func(int, activities.DeliverInput) (activities.DeliverResult, error) {
	refusals := 0
	return func(_ int, in activities.DeliverInput) (activities.DeliverResult, error) {
		if in.Connector == "close" && refusals < times {
			refusals++
			return activities.DeliverResult{}, refused(connectors.Invalid, "put messages: INVALID: no such field")
		}
		return written("r-"+in.Connector, "c-"+in.Connector), nil
	}
}

func TestSyncEventTellsHowEachDeliveryEnded(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, func(int, activities.DeliverInput) (activities.DeliverResult, error) {
		return written("r1", "c1"), nil
	})

	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))

	require.Equal(t, map[string]activities.DeliveryResult{
		"hubspot": {State: connectors.Written, Record: ref("r1"), Contact: ref("c1"), How: "only match"},
	}, got.Deliveries)
	require.Equal(t, workflows.StateDone, e.state())
	require.Equal(t, []string{"hubspot=written", "hubspot#r1"}, e.listed())
	require.Equal(t, "| connector | state | contact | record |\n|---|---|---|---|\n| hubspot | written | only match | r1 |", e.details())
}

func TestSyncEventWithoutTargetsEndsAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	got := result[activities.SyncResult](e, workflows.SyncEvent, to())
	require.Empty(t, got.Deliveries)
	require.Equal(t, workflows.StateDone, e.state())
}

func TestSyncEventDeliversToEachConnectorWhateverTheOthersDo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivered := on(e, acts.Deliver, refusing(1))
	e.after(time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		require.Equal(t, []string{"close=parked", "close!INVALID", "hubspot=written", "hubspot#r-hubspot"}, e.listed())
		require.Contains(t, e.details(), "**close is parked**: put messages: INVALID: no such field (INVALID)")
		require.Contains(t, e.details(), "| hubspot | written |")
		e.repair(workflows.UpdateRetry, workflows.Repair{})
	})

	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close", "hubspot"))

	require.Equal(t, connectors.Written, got.Deliveries["close"].State)
	require.Equal(t, connectors.Written, got.Deliveries["hubspot"].State)
	require.Len(t, delivered.all(), 3, "what was written is not written again")
	require.Equal(t, []string{"close=written", "close#r-close", "hubspot=written", "hubspot#r-hubspot"}, e.listed())
	require.NotContains(t, e.details(), "parked")
}

func TestSyncEventShowsADeliveryThatEndsWhileAnotherIsParked(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, func(n int, in activities.DeliverInput) (activities.DeliverResult, error) {
		switch {
		case in.Connector == "close":
			return activities.DeliverResult{}, refused(connectors.Invalid, "no such field")
		case n < 5:
			return activities.DeliverResult{}, unavailable(time.Minute, false)
		}
		return written("r1", "c1"), nil
	})
	e.after(time.Second, func() {
		require.Equal(t, []string{"close=parked", "close!INVALID", "hubspot=syncing"}, e.listed())
	})
	e.after(time.Hour, func() {
		require.Equal(t, []string{"close=parked", "close!INVALID", "hubspot=written", "hubspot#r1"}, e.listed())
		e.repair(workflows.UpdateSkip, workflows.Repair{})
	})
	result[activities.SyncResult](e, workflows.SyncEvent, to("close", "hubspot"))
}

// TestSyncEventShowsWhatHasEnded: a delivery that has ended no longer counts as
// waiting while another CRM is down. Runs of an older revision show it at the
// end, as they did.
func TestSyncEventShowsWhatHasEnded(t *testing.T) {
	t.Parallel()
	for revision, want := range map[int][]string{
		0:                  nil,
		workflows.Revision: {"close=syncing", "hubspot=written", "hubspot#r1", "sandbox=written", "sandbox#r1"},
	} {
		e := newEnv(t)
		on(e, acts.Deliver, func(n int, in activities.DeliverInput) (activities.DeliverResult, error) {
			if in.Connector == "close" && n < 12 {
				return activities.DeliverResult{}, unavailable(time.Minute, false)
			}
			return written("r1", "c1"), nil
		})
		e.after(time.Minute, func() { require.Equal(t, want, e.listed()) })
		in := to("close", "hubspot", "sandbox")
		in.Revision = revision
		result[activities.SyncResult](e, workflows.SyncEvent, in)
		require.Equal(t, workflows.StateDone, e.state())
		require.Len(t, e.listed(), 6)
	}
}

// TestSyncEventShowsNothingMoreOnceItIsSuperseded: what follows the deliveries
// ends with them.
func TestSyncEventShowsNothingMoreOnceItIsSuperseded(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.FindText, func(int, sms.Event) (activities.TextOf, error) {
		return activities.TextOf{Workflow: "main/msg_1/sms.sent", Targets: []string{"close", "hubspot"}}, nil
	})
	on(e, acts.UpdateStatus, func(_ int, in activities.StatusInput) (activities.DeliverResult, error) {
		if in.Connector == "close" {
			return activities.DeliverResult{}, unavailable(time.Hour, false)
		}
		return activities.DeliverResult{State: connectors.Written, Record: connectors.Ref{ID: "r1"}}, nil
	})
	e.after(time.Minute, func() {
		require.Equal(t, []string{"close=syncing", "hubspot=written", "hubspot#r1"}, e.listed())
		e.SignalWorkflow(activities.SignalSuperseded, "main/msg_1/sms.failed")
	})
	in := delivered()
	in.Revision = workflows.Revision
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Equal(t, activities.Superseded, got.Deliveries["close"].State)
	require.Equal(t, []string{"close=superseded", "hubspot=written", "hubspot#r1"}, e.listed())
}

func TestSyncEventParksAgainWhatIsRefusedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivered := on(e, acts.Deliver, refusing(2))
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{Connector: "close"}) })
	e.after(2*time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		e.repair(workflows.UpdateRetry, workflows.Repair{Connector: "close"})
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close"))
	require.Equal(t, connectors.Written, got.Deliveries["close"].State)
	require.Len(t, delivered.all(), 3)
}

func TestSyncEventRecordsWhoDecidedLastAndWhy(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, refusing(2))
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{Reason: "try", By: "ada"}) })
	e.after(2*time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{Reason: "mended", By: "bo"}) })
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close", "hubspot"))
	require.Equal(t, "mended", got.Deliveries["close"].Reason)
	require.Equal(t, "bo", got.Deliveries["close"].By)
	require.Empty(t, got.Deliveries["hubspot"].Reason)
}

func TestSyncEventResyncDeliversWhateverIsRemembered(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivered := on(e, acts.Deliver, func(int, activities.DeliverInput) (activities.DeliverResult, error) {
		return written("r2", "c1"), nil
	})
	in := workflows.SyncInput{Event: received(), Targets: []string{"close"}, Resync: &workflows.Repair{Reason: "deleted by mistake", By: "ada"}}
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Equal(t, []activities.DeliverInput{{Connector: "close", Event: received(), Again: true}}, delivered.all())
	require.Equal(t, "deleted by mistake", got.Deliveries["close"].Reason)
	require.Equal(t, "ada", got.Deliveries["close"].By)
}

func TestSyncEventResyncOfAStatusGoesToItsConnectorOnly(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	text(e, 0, "close", "hubspot")
	updated := on(e, acts.UpdateStatus, func(int, activities.StatusInput) (activities.DeliverResult, error) {
		return activities.DeliverResult{State: connectors.Written}, nil
	})
	in := delivered()
	in.Targets, in.Resync = []string{"pipedrive"}, &workflows.Repair{}
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Len(t, updated.all(), 1)
	require.Equal(t, "main/msg_1/sms.sent", updated.all()[0].Text)
	require.Equal(t, connectors.Written, got.Deliveries["pipedrive"].State)
}

func TestSyncEventResyncOfAStatusWithoutTextCanBeSkipped(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.FindText, func(int, sms.Event) (activities.TextOf, error) { return activities.TextOf{}, nil })
	e.after(2*time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{}) })
	in := delivered()
	in.Targets, in.Resync = []string{"pipedrive"}, &workflows.Repair{}
	require.Empty(t, result[activities.SyncResult](e, workflows.SyncEvent, in).Deliveries)
}

func TestSyncEventSkipEndsADeliveryWithItsReason(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, refusing(1))
	e.after(time.Hour, func() {
		e.repair(workflows.UpdateSkip, workflows.Repair{Connector: "close", Reason: "a test message"})
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close", "hubspot"))
	require.Equal(t, activities.DeliveryResult{State: workflows.StateSkipped, Reason: "a test message"}, got.Deliveries["close"])
	require.Equal(t, []string{"close=skipped", "hubspot=written", "hubspot#r-hubspot"}, e.listed())
}

func TestSyncEventLinkDeliversToThatContactAndRemembersIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		memory error
	}{
		{"remembered", nil},
		{"memory refused", refused(connectors.Unknown, "no")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			delivered := on(e, acts.Deliver, func(n int, in activities.DeliverInput) (activities.DeliverResult, error) {
				if n == 1 {
					return activities.DeliverResult{}, refused(activities.NoContact, "no contact has this number")
				}
				return activities.DeliverResult{State: connectors.Written, Record: ref("r1"), Match: *in.Match}, nil
			})
			links := told(e, acts.LinkContact, func(int, activities.Link) error { return c.memory })
			e.after(time.Hour, func() {
				e.repair(workflows.UpdateLink, workflows.Repair{Contact: "77", ContactType: "lead"})
			})

			got := result[activities.SyncResult](e, workflows.SyncEvent, to("close"))

			lead := activities.Match{Contact: connectors.Ref{Type: "lead", ID: "77"}, How: "linked by a person"}
			require.Equal(t, &lead, delivered.all()[1].Match)
			require.Equal(t, []activities.Link{{Connector: "close", Phone: "+15125551234", Match: lead}}, links.all())
			require.Equal(t, activities.DeliveryResult{
				State: connectors.Written, Record: ref("r1"), Contact: lead.Contact, How: "linked by a person",
			}, got.Deliveries["close"])
		})
	}
}

func TestSyncEventRejectsRepairsThatMeanNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, func(_ int, in activities.DeliverInput) (activities.DeliverResult, error) {
		if in.Connector == "hubspot" {
			return written("r1", "c1"), nil
		}
		return activities.DeliverResult{}, refused(connectors.Invalid, "no")
	})
	e.after(time.Hour, func() {
		e.rejected(workflows.UpdateRetry, workflows.Repair{Connector: "pipedrive"}, `nothing is parked for "pipedrive"`)
		e.rejected(workflows.UpdateSkip, workflows.Repair{Connector: "hubspot"}, `nothing is parked for "hubspot"`)
		e.rejected(workflows.UpdateLink, workflows.Repair{Connector: "close"}, "link needs the CRM's id of the contact")
		e.rejected(workflows.UpdateLink, workflows.Repair{Contact: "7"}, "link needs a connector: a contact's id means something in one CRM only")
	})
	e.after(2*time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{}) })
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close", "hubspot", "zoho"))
	require.Equal(t, workflows.StateSkipped, got.Deliveries["close"].State, "without a connector a skip means all that is parked")
	require.Equal(t, workflows.StateSkipped, got.Deliveries["zoho"].State)
}

func TestSyncEventRejectsRepairsWhileNothingIsParked(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, func(n int, _ activities.DeliverInput) (activities.DeliverResult, error) {
		if n == 1 {
			return activities.DeliverResult{}, unavailable(time.Hour, false)
		}
		return written("r1", "c1"), nil
	})
	e.after(time.Minute, func() {
		e.rejected(workflows.UpdateRetry, workflows.Repair{}, "nothing is parked")
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	require.Equal(t, connectors.Written, got.Deliveries["hubspot"].State)
}

func TestSyncEventTakesOneRepairForEachParking(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, refusing(1))
	e.after(time.Hour, func() {
		e.repair(workflows.UpdateSkip, workflows.Repair{})
		e.rejected(workflows.UpdateRetry, workflows.Repair{}, "nothing is parked")
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("close"))
	require.Equal(t, workflows.StateSkipped, got.Deliveries["close"].State)
}

// Fresh is one of the three conditions of a blind write: whatever may have been
// tried before must not look fresh.
func TestSyncEventIsFreshOnlyTheFirstTimeALiveEventIsTried(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		live, reset bool
		want        []bool
	}{
		{"live", true, false, []bool{true, false}},
		{"from reconciliation", false, false, []bool{false, false}},
		{"live, after a reset", true, true, []bool{false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.run.reset = c.reset
			delivered := on(e, acts.Deliver, refusing(1))
			e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
			in := to("close")
			in.Live = c.live

			result[activities.SyncResult](e, workflows.SyncEvent, in)

			fresh := []bool{}
			for _, in := range delivered.all() {
				fresh = append(fresh, in.Fresh)
			}
			require.Equal(t, c.want, fresh)
		})
	}
}

// asking is a delivery that needs its contact decided first; gone is one that
// the CRM no longer has.
func asking(gone string) activities.DeliverResult {
	return activities.DeliverResult{Asked: true, Gone: ref(gone)}
}

// deliverOnceMatched asks until the workflow comes with a contact.
func deliverOnceMatched(_ int, in activities.DeliverInput) (activities.DeliverResult, error) {
	if in.Match == nil {
		return asking(""), nil
	}
	return activities.DeliverResult{State: connectors.Written, Record: ref("r1"), Match: *in.Match}, nil
}

func answer(contact string) activities.Answer {
	return activities.Answer{Connector: "hubspot", Match: matchOf(contact)}
}

func TestSyncEventAsksForTheContactAndDeliversWithTheAnswer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivered := on(e, acts.Deliver, deliverOnceMatched)
	e.after(time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer("c1")) })

	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))

	require.Len(t, delivered.all(), 2)
	require.Equal(t, "c1", delivered.all()[1].Match.Contact.ID)
	require.True(t, delivered.all()[1].Fresh, "nothing was written before the question")
	require.Equal(t, ref("c1"), got.Deliveries["hubspot"].Contact)
}

func TestSyncEventAsksAgainEveryHalfHour(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	began := e.Now()
	var at []time.Duration
	on(e, acts.Deliver, func(n int, in activities.DeliverInput) (activities.DeliverResult, error) {
		at = append(at, e.Now().Sub(began).Round(time.Minute))
		return deliverOnceMatched(n, in)
	})
	e.after(130*time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer("c1")) })
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	half := 30 * time.Minute
	require.Equal(t, []time.Duration{0, half, 2 * half, 3 * half, 4 * half, 130 * time.Minute}, at)
	require.Equal(t, connectors.Written, got.Deliveries["hubspot"].State, "a long wait is no failure")
}

func TestSyncEventKeepsTheAnswersOfConnectorsApart(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, deliverOnceMatched)
	e.after(time.Minute, func() {
		e.SignalWorkflow(activities.SignalAnswer, activities.Answer{Connector: "close", Match: matchOf("of another CRM")})
	})
	e.after(2*time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer("c1")) })
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	require.Equal(t, ref("c1"), got.Deliveries["hubspot"].Contact)
}

// A contact that was deleted or merged: the answer to an earlier question may
// still name it.
func TestSyncEventIgnoresAnAnswerThatNamesTheGoneContact(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	delivered := on(e, acts.Deliver, func(_ int, in activities.DeliverInput) (activities.DeliverResult, error) {
		if in.Match == nil {
			return asking("deleted"), nil
		}
		return activities.DeliverResult{State: connectors.Written, Record: ref("r1"), Match: *in.Match}, nil
	})
	e.after(time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer("deleted")) })
	e.after(2*time.Minute, func() {
		require.Len(t, delivered.all(), 1)
		e.SignalWorkflow(activities.SignalAnswer, answer("merged"))
	})

	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))

	require.Equal(t, ref("merged"), got.Deliveries["hubspot"].Contact)
	require.False(t, delivered.all()[1].Fresh, "the first attempt may have written")
}

func TestSyncEventParksWhatEnsureContactRefuses(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, deliverOnceMatched)
	e.after(time.Minute, func() {
		refusal := &activities.Refusal{Kind: string(connectors.Forbidden), Message: "may not create contacts"}
		e.SignalWorkflow(activities.SignalAnswer, activities.Answer{Connector: "hubspot", Refused: refusal})
	})
	e.after(time.Hour+time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer("c1")) })
	e.after(time.Hour, func() {
		require.Contains(t, e.details(), "**hubspot is parked**: may not create contacts (FORBIDDEN)")
		e.repair(workflows.UpdateRetry, workflows.Repair{})
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	require.Equal(t, ref("c1"), got.Deliveries["hubspot"].Contact)
}

func TestSyncEventParksAfterThreeContactsThatWereGone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	gone := []string{"c0", "c1", "c2"}
	delivered := on(e, acts.Deliver, func(n int, _ activities.DeliverInput) (activities.DeliverResult, error) {
		return asking(gone[n-1]), nil
	})
	for n, contact := range []string{"c1", "c2", "c3"} {
		e.after(time.Duration(n+1)*time.Minute, func() { e.SignalWorkflow(activities.SignalAnswer, answer(contact)) })
	}
	e.after(time.Hour, func() {
		require.Contains(t, e.details(), "the CRM does not have this contact (NOT_FOUND)")
		e.repair(workflows.UpdateSkip, workflows.Repair{})
	})
	result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	require.Len(t, delivered.all(), 3)
}

// A link that names no contact is no link: the person is told, and nothing is
// remembered.
func TestSyncEventParksALinkToNobody(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, func(n int, in activities.DeliverInput) (activities.DeliverResult, error) {
		switch {
		case n == 1:
			return activities.DeliverResult{}, refused(connectors.Invalid, "no")
		case in.Match.Contact.ID == "typo":
			return asking("typo"), nil
		}
		return activities.DeliverResult{State: connectors.Written, Match: *in.Match}, nil
	})
	links := told(e, acts.LinkContact, func(int, activities.Link) error { return nil })
	e.after(time.Minute, func() { e.repair(workflows.UpdateLink, workflows.Repair{Contact: "typo"}) })
	e.after(2*time.Minute, func() {
		require.Contains(t, e.details(), "the CRM does not have this contact (NOT_FOUND)")
		require.Empty(t, links.all())
		e.repair(workflows.UpdateLink, workflows.Repair{Contact: "c1"})
	})
	got := result[activities.SyncResult](e, workflows.SyncEvent, to("hubspot"))
	require.Equal(t, ref("c1"), got.Deliveries["hubspot"].Contact)
	require.Len(t, links.all(), 1)
}

func TestSyncEventThatAnOperatorCancelsEndsAsCancelled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer error
	}{
		{"while it is parked", refused(connectors.Invalid, "no")},
		{"while it waits for the CRM", unavailable(12*time.Hour, false)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			on(e, acts.Deliver, func(int, activities.DeliverInput) (activities.DeliverResult, error) {
				return activities.DeliverResult{}, c.answer
			})
			e.runUntilCancelled(time.Hour, workflows.SyncEvent, to("hubspot"))
			require.NotEqual(t, workflows.StateDone, e.state())
		})
	}
}

// On a server that does not know the attributes an upsert would block the
// workflow.
func TestSyncEventSetsNoSearchAttributesWhenItWasStartedWithout(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.Deliver, refusing(1))
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
	in := to("close")
	in.Plain = true
	result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Empty(t, e.shown)
}

// text answers FindText: not there for the first calls, then there.
func text(e *env, absent int, targets ...string) *calls[sms.Event] {
	return on(e, acts.FindText, func(n int, _ sms.Event) (activities.TextOf, error) {
		if n <= absent {
			return activities.TextOf{}, nil
		}
		return activities.TextOf{Workflow: "main/msg_1/sms.sent", Targets: targets}, nil
	})
}

func delivered() workflows.SyncInput {
	return workflows.SyncInput{Event: status(sms.Delivered), Live: true}
}

func TestSyncEventBringsAStatusWhereItsTextWent(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	found := text(e, 3, "close", "hubspot")
	updated := on(e, acts.UpdateStatus, func(_ int, in activities.StatusInput) (activities.DeliverResult, error) {
		return activities.DeliverResult{State: connectors.Written, Record: ref("r-" + in.Connector)}, nil
	})
	in := delivered()
	in.Targets = []string{"never asked for"}

	got := result[activities.SyncResult](e, workflows.SyncEvent, in)

	require.Len(t, found.all(), 4)
	require.Len(t, updated.all(), 2)
	require.Equal(t, "main/msg_1/sms.sent", updated.all()[0].Text)
	require.Equal(t, map[string]activities.DeliveryResult{
		"close":   {State: connectors.Written, Record: ref("r-close")},
		"hubspot": {State: connectors.Written, Record: ref("r-hubspot")},
	}, got.Deliveries)
}

func TestSyncEventAsksForTheTextAgainWhereTemporalDoesNotAnswer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	found := on(e, acts.FindText, func(n int, _ sms.Event) (activities.TextOf, error) {
		if n == 1 {
			return activities.TextOf{}, temporal.NewNonRetryableApplicationError("describe: unavailable", "any", nil)
		}
		return activities.TextOf{Workflow: "main/msg_1/sms.sent"}, nil
	})
	result[activities.SyncResult](e, workflows.SyncEvent, delivered())
	require.Len(t, found.all(), 2)
}

func TestSyncEventParksAStatusWhoseTextIsNotSeenForAnHour(t *testing.T) {
	t.Parallel()
	park := func(t *testing.T, verb string) (*env, *calls[sms.Event], func() activities.SyncResult) {
		t.Helper()
		e := newEnv(t)
		absent := true
		found := on(e, acts.FindText, func(int, sms.Event) (activities.TextOf, error) {
			if absent {
				return activities.TextOf{}, nil
			}
			return activities.TextOf{Workflow: "main/msg_1/sms.sent", Targets: []string{"hubspot"}}, nil
		})
		on(e, acts.UpdateStatus, func(int, activities.StatusInput) (activities.DeliverResult, error) {
			return activities.DeliverResult{State: connectors.Written}, nil
		})
		e.after(59*time.Minute, func() { require.Empty(t, e.shown) })
		e.after(2*time.Hour, func() {
			require.Equal(t, []string{"text=parked", "text!NOT_FOUND"}, e.listed())
			require.Contains(t, e.details(), "**text is parked**: the text of this status was never seen (NOT_FOUND)")
			absent = false
			e.repair(verb, workflows.Repair{})
		})
		return e, found, func() activities.SyncResult {
			return result[activities.SyncResult](e, workflows.SyncEvent, delivered())
		}
	}
	t.Run("retry", func(t *testing.T) {
		t.Parallel()
		e, _, run := park(t, workflows.UpdateRetry)
		require.Equal(t, connectors.Written, run().Deliveries["hubspot"].State)
		require.Equal(t, []string{"hubspot=written"}, e.listed(), "the text is no delivery")
	})
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		e, found, run := park(t, workflows.UpdateSkip)
		require.Empty(t, run().Deliveries)
		require.Equal(t, workflows.StateDone, e.state())
		require.Less(t, len(found.all()), 80, "it asks once a minute at most, after the first minute")
	})
}

func TestSyncEventEndsADeliveredStatusThatFailedHasOvertaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer error
	}{
		{"while it waits for the CRM", unavailable(12*time.Hour, false)},
		{"while it is parked", refused(connectors.Forbidden, "no")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			text(e, 0, "hubspot")
			on(e, acts.UpdateStatus, func(int, activities.StatusInput) (activities.DeliverResult, error) {
				return activities.DeliverResult{}, c.answer
			})
			e.after(time.Hour, func() { e.SignalWorkflow(activities.SignalSuperseded, "main/msg_1/sms.failed") })

			got := result[activities.SyncResult](e, workflows.SyncEvent, delivered())

			require.Equal(t, activities.DeliveryResult{State: activities.Superseded}, got.Deliveries["hubspot"])
			require.Equal(t, workflows.StateDone, e.state())
			require.Equal(t, []string{"hubspot=superseded"}, e.listed())
			require.NotContains(t, e.details(), "is parked")
		})
	}
}

func TestSyncEventEndsADeliveredStatusThatStillWaitsForItsText(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"waiting": 10 * time.Minute, "parked": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			text(e, 1000, "hubspot")
			e.after(after, func() { e.SignalWorkflow(activities.SignalSuperseded, "main/msg_1/sms.failed") })
			got := result[activities.SyncResult](e, workflows.SyncEvent, delivered())
			require.Empty(t, got.Deliveries)
			require.Equal(t, workflows.StateDone, e.state())
		})
	}
}

// A live text is tried at once, and goes to the connector's queue only where
// that does not work.
func TestSyncEventTriesAtOnce(t *testing.T) {
	t.Parallel()
	atOnce := func(live bool) workflows.SyncInput {
		in := to("hubspot", "close")
		in.Live, in.Revision = live, workflows.Revision
		return in
	}
	onlyHubspot := func(_ int, in activities.DeliverInput) (activities.DeliverResult, error) {
		if in.Connector == "close" {
			return activities.DeliverResult{}, nil
		}
		return written("r-now", "c1"), nil
	}
	queued := func(int, activities.DeliverInput) (activities.DeliverResult, error) {
		return written("r-queue", "c1"), nil
	}

	e := newEnv(t)
	now, later := on(e, acts.DeliverNow, onlyHubspot), on(e, acts.Deliver, queued)
	got := result[activities.SyncResult](e, workflows.SyncEvent, atOnce(true))
	require.Equal(t, "r-now", got.Deliveries["hubspot"].Record.ID)
	require.Equal(t, "r-queue", got.Deliveries["close"].Record.ID)
	require.Len(t, now.all(), 2)
	require.Len(t, later.all(), 1)
	require.Equal(t, "close", later.all()[0].Connector)

	e = newEnv(t)
	now, later = on(e, acts.DeliverNow, onlyHubspot), on(e, acts.Deliver, queued)
	result[activities.SyncResult](e, workflows.SyncEvent, atOnce(false))
	require.Len(t, now.all(), 2)
	require.True(t, now.all()[0].Spare && now.all()[1].Spare, "history waits its turn")
	require.Len(t, later.all(), 1)
}

// The contact that EnsureContact answers is used for a second try at once.
func TestSyncEventTriesAtOnceWithItsAnswer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	now := on(e, acts.DeliverNow, func(n int, _ activities.DeliverInput) (activities.DeliverResult, error) {
		if n == 1 {
			return activities.DeliverResult{Asked: true}, nil
		}
		return written("r1", "c2"), nil
	})
	e.after(time.Second, func() {
		e.SignalWorkflow(activities.SignalAnswer, activities.Answer{Connector: "hubspot", Match: matchOf("c2")})
	})
	in := to("hubspot")
	in.Revision = workflows.Revision
	got := result[activities.SyncResult](e, workflows.SyncEvent, in)
	require.Equal(t, connectors.Written, got.Deliveries["hubspot"].State)
	require.Equal(t, "c2", now.all()[1].Match.Contact.ID)
}
