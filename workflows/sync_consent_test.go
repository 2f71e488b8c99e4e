package workflows_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

const day = 24 * time.Hour

func consentAt(optedOut bool, at time.Time, to ...string) activities.ConsentSignal {
	return activities.ConsentSignal{
		Consent:    sms.Consent{Phone: "+15125551234", OptedOut: optedOut, At: at},
		Connectors: to,
	}
}

func optOut(minute int, to ...string) activities.ConsentSignal {
	return consentAt(true, begin.Add(time.Duration(minute)*time.Minute), to...)
}

func optIn(minute int, to ...string) activities.ConsentSignal {
	return consentAt(false, begin.Add(time.Duration(minute)*time.Minute), to...)
}

// setting answers each write of a consent.
func setting(e *env, answer func(n int, in activities.ConsentInput) error) *calls[activities.ConsentInput] {
	return on(e, acts.SetConsent, func(n int, in activities.ConsentInput) (activities.ConsentResult, error) {
		return activities.ConsentResult{State: connectors.Written, Contacts: 1, Settle: settle}, answer(n, in)
	})
}

func allGood(int, activities.ConsentInput) error { return nil }

func (e *env) consent(after time.Duration, change activities.ConsentSignal) {
	e.after(after, func() { e.SignalWorkflow(activities.SignalConsent, change) })
}

func (e *env) appears(after time.Duration, connector, contact string) {
	e.after(after, func() {
		e.SignalWorkflow(activities.SignalContact, activities.Appeared{Connector: connector, Contact: ref(contact)})
	})
}

var consentOf = workflows.SyncConsentInput{Account: "main"}

// words are the writes in order, such as "close out".
func words(inputs []activities.ConsentInput) []string {
	list := []string{}
	for _, in := range inputs {
		list = append(list, in.Connector+" "+map[bool]string{true: "out", false: "in"}[in.Consent.OptedOut])
	}
	return list
}

func TestSyncConsentWritesAnOptOutEverywhereAndStaysOpen(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(0, optOut(0, "close", "hubspot"))
	e.after(400*day, func() {
		require.Equal(t, workflows.StateOptedOut, e.state())
		require.Equal(t, "**opted out** as of 2026-11-03T09:00:00Z\n\n- close: written (1 contacts)\n\n- hubspot: written (1 contacts)", e.details())
	})
	e.runUntilCancelled(401*day, workflows.SyncConsent, consentOf)
	require.ElementsMatch(t, []string{"close out", "hubspot out"}, words(set.all()))
	require.Equal(t, "main", set.all()[0].Account)
}

func TestSyncConsentForgetsAnOptInAfterThirtyQuietDays(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	setting(e, allGood)
	began := e.Now()
	e.consent(0, optIn(0, "close"))
	e.consent(20*day, optIn(1, "close"))
	e.ExecuteWorkflow(workflows.SyncConsent, consentOf)
	require.NoError(t, e.GetWorkflowError())
	require.Equal(t, 50*day, e.Now().Sub(began).Truncate(time.Hour))
	require.Equal(t, workflows.StateOptedIn, e.state())
}

func TestSyncConsentTakesTheLatestState(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		first activities.ConsentSignal
		then  activities.ConsentSignal
		want  []string
	}{
		{"a later opt-in lifts an opt-out", optOut(0, "close"), optIn(1, "close"), []string{"close out", "close in"}},
		{"a later opt-out ends an opt-in", optIn(0, "close"), optOut(1, "close"), []string{"close in", "close out"}},
		{"an older opt-in comes late", optOut(1, "close"), optIn(0, "close"), []string{"close out"}},
		{"an older opt-out comes late", optIn(1, "close"), optOut(0, "close"), []string{"close in"}},
		{"of two at the same instant the opt-out wins, coming last", optIn(1, "close"), optOut(1, "close"), []string{"close in", "close out"}},
		{"of two at the same instant the opt-out wins, coming first", optOut(1, "close"), optIn(1, "close"), []string{"close out"}},
		{"the same event twice", optOut(1, "close"), optOut(1, "close"), []string{"close out"}},
		{"a later one of the same state", optOut(1, "close"), optOut(2, "close"), []string{"close out", "close out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			set := setting(e, allGood)
			e.consent(0, c.first)
			e.consent(time.Hour, c.then)
			e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, consentOf)
			require.Equal(t, c.want, words(set.all()))
		})
	}
}

// The first signal comes with the start and may find others beside it.
func TestSyncConsentWritesOnlyTheLatestOfManyAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.after(0, func() {
		for _, change := range []activities.ConsentSignal{optIn(0, "close"), optOut(2, "close"), optIn(1, "close")} {
			e.SignalWorkflowSkippingWorkflowTask(activities.SignalConsent, change)
		}
	})
	e.runUntilCancelled(time.Hour, workflows.SyncConsent, consentOf)
	require.Equal(t, []string{"close out"}, words(set.all()))
}

// inFlight is an opt-in whose write takes an hour, and counts what else is
// written.
func inFlight(e *env) (optedOut, optedIn *atomic.Int32) {
	optedOut, optedIn = new(atomic.Int32), new(atomic.Int32)
	isOut := func(in activities.ConsentInput) bool { return in.Consent.OptedOut }
	isIn := func(in activities.ConsentInput) bool { return !in.Consent.OptedOut }
	counting := func(n *atomic.Int32) func(context.Context, activities.ConsentInput) (activities.ConsentResult, error) {
		return func(context.Context, activities.ConsentInput) (activities.ConsentResult, error) {
			n.Add(1)
			return activities.ConsentResult{State: connectors.Written, Contacts: 1, Settle: settle}, nil
		}
	}
	e.OnActivity(acts.SetConsent, mock.Anything, mock.MatchedBy(isOut)).Return(counting(optedOut))
	e.OnActivity(acts.SetConsent, mock.Anything, mock.MatchedBy(isIn)).After(time.Hour).Return(counting(optedIn))
	return optedOut, optedIn
}

// A STOP does not wait for an opt-in that is under way, and is written once more
// when that can no longer land after it.
func TestSyncConsentOptOutOvertakesAnOptInUnderWayAndIsAssertedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	optedOut, _ := inFlight(e)
	cancelled := 0
	e.SetOnActivityCanceledListener(func(*activity.Info) { cancelled++ })
	e.consent(0, optIn(0, "close"))
	e.consent(time.Minute, optOut(1, "close"))
	e.after(time.Minute+time.Second, func() {
		require.Equal(t, 1, cancelled, "the opt-in is given up")
		require.EqualValues(t, 1, optedOut.Load(), "the opt-out is written at once")
		require.Equal(t, workflows.StateSyncing, e.state(), "the opt-in may yet land")
	})
	e.after(time.Minute+settle-time.Second, func() { require.EqualValues(t, 1, optedOut.Load()) })
	e.after(time.Minute+settle+time.Second, func() {
		require.EqualValues(t, 2, optedOut.Load(), "written again after Settle")
		require.Equal(t, workflows.StateOptedOut, e.state())
	})
	e.runUntilCancelled(day, workflows.SyncConsent, consentOf)
	require.EqualValues(t, 2, optedOut.Load(), "once is enough")
}

func TestSyncConsentWhatIsNewerNeedNotWaitForTheSecondWrite(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	optedOut, optedIn := inFlight(e)
	e.consent(0, optIn(0, "close"))
	e.consent(time.Minute, optOut(1, "close"))
	e.consent(time.Minute+time.Second, optIn(2, "close"))
	e.runUntilCancelled(10*time.Hour, workflows.SyncConsent, consentOf)
	require.EqualValues(t, 1, optedOut.Load(), "the opt-in came before the second write")
	require.EqualValues(t, 3, optedIn.Load(), "the one that was given up, the newer one, and once more after Settle")
	require.Equal(t, workflows.StateOptedIn, e.state())
}

func TestSyncConsentParkedOptInDoesNotHoldAStopBack(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, func(_ int, in activities.ConsentInput) error {
		if in.Consent.OptedOut {
			return nil
		}
		return refused(connectors.Forbidden, "may not lift a block")
	})
	e.consent(0, optIn(0, "close"))
	e.after(time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		require.Equal(t, []string{"close=parked", "close!FORBIDDEN"}, e.listed())
		require.Contains(t, e.details(), "**close is parked**: may not lift a block (FORBIDDEN)")
	})
	e.consent(2*time.Hour, optOut(1, "close"))
	e.after(2*time.Hour+time.Second, func() {
		require.Equal(t, workflows.StateOptedOut, e.state())
		require.Equal(t, []string{"close=written"}, e.listed())
		e.rejected(workflows.UpdateRetry, workflows.Repair{}, "nothing is parked")
	})
	e.runUntilCancelled(3*time.Hour, workflows.SyncConsent, consentOf)
	require.Equal(t, []string{"close in", "close out"}, words(set.all()))
}

func TestSyncConsentParkedConnectorDoesNotHoldOthersBack(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, func(_ int, in activities.ConsentInput) error {
		if in.Connector == "close" {
			return refused(connectors.Forbidden, "no")
		}
		return nil
	})
	e.consent(0, optOut(0, "close", "hubspot"))
	e.consent(time.Hour, optIn(1, "close", "hubspot"))
	e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, consentOf)
	require.ElementsMatch(t, []string{"close out", "hubspot out", "close in", "hubspot in"}, words(set.all()))
	require.Equal(t, workflows.StateParked, e.state())
}

func TestSyncConsentRetryWritesWhatIsParkedAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, func(n int, _ activities.ConsentInput) error {
		if n < 3 {
			return refused(connectors.Forbidden, "no")
		}
		return nil
	})
	e.consent(0, optOut(0, "close"))
	e.after(time.Hour, func() { e.repair(workflows.UpdateRetry, workflows.Repair{Connector: "close"}) })
	e.after(2*time.Hour, func() {
		require.Equal(t, workflows.StateParked, e.state())
		e.repair(workflows.UpdateRetry, workflows.Repair{})
	})
	e.runUntilCancelled(3*time.Hour, workflows.SyncConsent, consentOf)
	require.Len(t, set.all(), 3)
	require.Equal(t, workflows.StateOptedOut, e.state())
}

func TestSyncConsentSkipGivesUpThisChangeOnly(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, func(n int, _ activities.ConsentInput) error {
		if n == 1 {
			return refused(connectors.Forbidden, "no")
		}
		return nil
	})
	e.consent(0, optOut(0, "close"))
	e.after(time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{Connector: "close"}) })
	e.after(2*time.Hour, func() {
		require.Equal(t, workflows.StateOptedOut, e.state())
		require.Contains(t, e.details(), "- close: skipped")
	})
	e.consent(3*time.Hour, optIn(1, "close"))
	e.runUntilCancelled(4*time.Hour, workflows.SyncConsent, consentOf)
	require.Equal(t, []string{"close out", "close in"}, words(set.all()))
}

// A change that was given up before, and whose successor a person then skips,
// leaves nothing to wait for.
func TestSyncConsentSkipAlsoEndsTheWaitForAnOvertakenWrite(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	began := e.Now()
	isIn := func(in activities.ConsentInput) bool { return !in.Consent.OptedOut }
	isOut := func(in activities.ConsentInput) bool { return in.Consent.OptedOut }
	e.OnActivity(acts.SetConsent, mock.Anything, mock.MatchedBy(isOut)).After(time.Hour).Return(activities.ConsentResult{}, nil)
	e.OnActivity(acts.SetConsent, mock.Anything, mock.MatchedBy(isIn)).Return(activities.ConsentResult{}, refused(connectors.Forbidden, "no"))
	e.consent(0, optOut(0, "close"))
	e.consent(time.Minute, optIn(1, "close"))
	e.after(2*time.Hour, func() { e.repair(workflows.UpdateSkip, workflows.Repair{}) })
	e.after(3*time.Hour, func() { require.Equal(t, workflows.StateOptedIn, e.state()) })
	e.after(100*day, e.CancelWorkflow)
	e.ExecuteWorkflow(workflows.SyncConsent, consentOf)
	require.NoError(t, e.GetWorkflowError())
	require.Equal(t, 30*day, e.Now().Sub(began).Truncate(day))
}

func TestSyncConsentRejectsRepairsThatMeanNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	setting(e, allGood)
	e.consent(0, optOut(0, "close"))
	e.after(time.Hour, func() {
		e.rejected(workflows.UpdateRetry, workflows.Repair{Connector: "close"}, `nothing is parked for "close"`)
		e.rejected(workflows.UpdateSkip, workflows.Repair{}, "nothing is parked")
	})
	e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, consentOf)
}

func TestSyncConsentAppliesItselfToAContactThatAppears(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(0, optOut(0, "close", "hubspot"))
	e.appears(time.Hour, "close", "c1")
	e.appears(2*time.Hour, "close", "c2")
	e.appears(3*time.Hour, "close", "c1")     // known
	e.appears(4*time.Hour, "elsewhere", "c9") // a connector that no consent was for
	e.runUntilCancelled(5*time.Hour, workflows.SyncConsent, consentOf)
	got := set.all()
	require.Len(t, got, 4)
	require.Equal(t, []string{"close out", "close out"}, words(got[2:]), "on that connector only")
	require.Empty(t, got[0].Known)
	require.Equal(t, []connectors.Ref{ref("c1")}, got[2].Known)
	require.Equal(t, []connectors.Ref{ref("c1"), ref("c2")}, got[3].Known)
}

func TestSyncConsentContactThatAppearsUnparks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, func(n int, _ activities.ConsentInput) error {
		if n == 1 {
			return refused(connectors.Invalid, "no")
		}
		return nil
	})
	e.consent(0, optOut(0, "close"))
	e.appears(time.Hour, "close", "c1")
	e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, consentOf)
	require.Len(t, set.all(), 2)
	require.Equal(t, workflows.StateOptedOut, e.state())
}

func TestSyncConsentRemembersFiftyContacts(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(0, optOut(0, "close"))
	for i := range 52 {
		e.appears(time.Duration(i+1)*time.Minute, "close", "c"+string(rune('A'+i)))
	}
	e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, consentOf)
	got := set.all()
	known := got[len(got)-1].Known
	require.Len(t, known, 50)
	require.Equal(t, ref("cC"), known[0], "the oldest are those that a search sees by now")
}

func TestSyncConsentNewConnectorsJoin(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(0, optOut(1, "close"))
	e.consent(time.Hour, optIn(0, "close", "hubspot"))   // older, yet it brings a connector
	e.consent(2*time.Hour, optIn(2, "close", "hubspot")) // newer: for all
	e.runUntilCancelled(3*time.Hour, workflows.SyncConsent, consentOf)
	got := words(set.all())
	require.Equal(t, []string{"close out", "hubspot out"}, got[:2])
	require.ElementsMatch(t, []string{"close in", "hubspot in"}, got[2:])
}

func TestSyncConsentSetsNoSearchAttributesWhenItWasStartedWithout(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	setting(e, allGood)
	e.consent(0, optOut(0, "close"))
	e.runUntilCancelled(time.Hour, workflows.SyncConsent, workflows.SyncConsentInput{Account: "main", Plain: true})
	require.Empty(t, e.shown)
}

func TestSyncConsentContinuesAsNewWithWhatItKnows(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	setting(e, allGood)
	e.consent(time.Second, optOut(0, "close"))
	e.appears(time.Hour, "close", "c1")
	e.after(2*time.Hour, func() {
		e.SetContinueAsNewSuggested(true)
		e.SignalWorkflow(activities.SignalConsent, optOut(1, "close", "hubspot"))
	})
	e.ExecuteWorkflow(workflows.SyncConsent, consentOf)

	var again *workflowContinued
	require.ErrorAs(t, e.GetWorkflowError(), &again)
	require.Equal(t, workflows.SyncConsentInput{Account: "main", Revision: workflows.ConsentRevision, State: &workflows.ConsentState{
		Consent:    optOut(1).Consent,
		Connectors: []string{"close", "hubspot"},
		Known:      map[string][]connectors.Ref{"close": {ref("c1")}},
	}}, inputOf[workflows.SyncConsentInput](t, again))
}

func TestSyncConsentGoesOnFromWhatItKnew(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(time.Hour, optIn(0, "close"))
	e.appears(2*time.Hour, "close", "c2")
	e.runUntilCancelled(3*time.Hour, workflows.SyncConsent, workflows.SyncConsentInput{Account: "main", State: &workflows.ConsentState{
		Consent: optOut(1).Consent, Connectors: []string{"close"}, Known: map[string][]connectors.Ref{"close": {ref("c1")}},
	}})
	require.Equal(t, []string{"close out"}, words(set.all()), "nothing is written anew, nor by what is older")
	require.Equal(t, []connectors.Ref{ref("c1"), ref("c2")}, set.all()[0].Known)
}

// at is a change of consent at one line.
func at(line string, change activities.ConsentSignal) activities.ConsentSignal {
	change.Line = line
	return change
}

// listed says that the number is on JustCall's list.
func listed(change activities.ConsentSignal) activities.ConsentSignal {
	change.Listed = true
	return change
}

// A contact has one state: opted out while the number is so at any line.
func TestSyncConsentKeepsLinesApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		changes []activities.ConsentSignal
		want    []string
	}{
		{"the one opt-out is lifted", []activities.ConsentSignal{at("a", optOut(0, "close")), at("a", optIn(1, "close"))}, []string{"close out", "close in"}},
		{"another line lifts nothing", []activities.ConsentSignal{at("a", optOut(0, "close")), at("b", optIn(1, "close"))}, []string{"close out"}},
		{"nor does an older opt-in", []activities.ConsentSignal{at("a", optOut(1, "close")), at("a", optIn(0, "close"))}, []string{"close out"}},
		{"nor one at the same instant", []activities.ConsentSignal{at("a", optOut(1, "close")), at("a", optIn(1, "close"))}, []string{"close out"}},
		{"both are lifted", []activities.ConsentSignal{
			at("a", optOut(0, "close")), at("b", optOut(1, "close")), at("b", optIn(2, "close")), at("a", optIn(3, "close")),
		}, []string{"close out", "close out", "close out", "close in"}}, // each with the instant that counts then
		{"the account lifts all", []activities.ConsentSignal{at("a", optOut(0, "close")), at("b", optOut(1, "close")), optIn(2, "close")}, []string{"close out", "close out", "close in"}},
		{"but not what is newer", []activities.ConsentSignal{at("a", optOut(3, "close")), optIn(2, "close")}, []string{"close out"}},
		{"a line does not lift the account's", []activities.ConsentSignal{optOut(0, "close"), at("a", optIn(1, "close"))}, []string{"close out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			set := setting(e, allGood)
			for i, change := range c.changes {
				e.consent(time.Duration(i)*time.Hour, change)
			}
			e.runUntilCancelled(day, workflows.SyncConsent, consentOf)
			require.Equal(t, c.want, words(set.all()))
		})
	}
}

// Lines beyond the bound are not kept: an opt-out counts for the account, and an
// opt-in lifts nothing.
func TestSyncConsentKeepsFiveHundredLines(t *testing.T) {
	t.Parallel()
	var full []workflows.LineConsent
	for i := range 500 {
		full = append(full, workflows.LineConsent{Line: strconv.Itoa(i), Consent: optIn(0).Consent})
	}
	e := newEnv(t)
	set := setting(e, allGood)
	e.consent(time.Hour, at("further", optIn(1, "close")))
	e.consent(2*time.Hour, at("further", optOut(2, "close")))
	e.consent(3*time.Hour, at("further", optIn(3, "close")))
	e.consent(4*time.Hour, at("7", optIn(4, "close")))
	e.runUntilCancelled(day, workflows.SyncConsent, workflows.SyncConsentInput{Account: "main", State: &workflows.ConsentState{
		Connectors: []string{"close"}, Lines: full,
	}})
	require.Equal(t, []string{"close out"}, words(set.all()))
}

// The list says that a number is opted out, not since when.
func TestSyncConsentBelievesTheList(t *testing.T) {
	t.Parallel()
	now := newEnv(t).Now() // the clock of the workflow, at which it is told
	told := func(out bool, after time.Duration) activities.ConsentSignal {
		return consentAt(out, now.Add(after), "close")
	}
	for _, c := range []struct {
		name    string
		changes []activities.ConsentSignal // an hour apart
		want    []string
	}{
		{"of a number that was never heard of", []activities.ConsentSignal{listed(told(true, 0))}, []string{"close out"}},
		{"against an older opt-in", []activities.ConsentSignal{told(false, -day), listed(told(true, time.Minute))}, []string{"close in", "close out"}},
		{"not against a newer one", []activities.ConsentSignal{told(false, time.Minute), listed(told(true, 0))}, []string{"close in"}},
		{"not against one that came to be known later", []activities.ConsentSignal{told(false, -day), listed(told(true, -time.Minute))}, []string{"close in"}},
		{"it adds nothing to an opt-out", []activities.ConsentSignal{told(true, 0), listed(told(true, time.Hour))}, []string{"close out"}},
		{"an opt-in lifts it", []activities.ConsentSignal{listed(told(true, 0)), told(false, time.Hour)}, []string{"close out", "close in"}},
		{"so does one at a line", []activities.ConsentSignal{listed(told(true, 0)), at("a", told(false, time.Hour))}, []string{"close out", "close in"}},
		{"unless it is older", []activities.ConsentSignal{listed(told(true, 0)), at("a", told(false, -time.Hour))}, []string{"close out"}},
		{"or the number said STOP itself", []activities.ConsentSignal{listed(told(true, 0)), told(true, time.Minute), at("a", told(false, time.Hour))}, []string{"close out", "close out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.SetStartTime(now)
			set := setting(e, allGood)
			for i, change := range c.changes {
				e.consent(time.Duration(i)*time.Hour, change)
			}
			e.runUntilCancelled(day, workflows.SyncConsent, consentOf)
			require.Equal(t, c.want, words(set.all()))
		})
	}
}

// keeping answers writes as a CRM does that tells what it holds: kept says of each
// reading back how many contacts it had not kept.
func keeping(e *env, kept func(readBack int) int) *calls[activities.ConsentInput] {
	readBacks := 0
	return on(e, acts.SetConsent, func(_ int, in activities.ConsentInput) (activities.ConsentResult, error) {
		out := activities.ConsentResult{State: connectors.Written, Contacts: 2, Settle: settle, ReadBackAfter: time.Minute}
		if in.ReadBack {
			readBacks++
			out.Contacts = kept(readBacks)
		}
		return out, nil
	})
}

var readingBack = workflows.SyncConsentInput{Account: "main", Revision: 1}

func TestSyncConsentReadsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lost   []int // contacts at each reading back
		writes int
		state  string
	}{
		"what was kept":                {[]int{0}, 2, workflows.StateOptedOut},
		"what was not, and is now":     {[]int{1, 0}, 3, workflows.StateOptedOut},
		"what is never kept is parked": {[]int{1, 1, 1}, 4, workflows.StateParked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			set := keeping(e, func(n int) int { return c.lost[n-1] })
			e.consent(0, optOut(0, "close"))
			e.after(30*time.Second, func() { require.Equal(t, workflows.StateOptedOut, e.state(), "nobody waits for it") })
			e.after(time.Hour, func() {
				require.Equal(t, c.state, e.state())
				require.Contains(t, e.details(), "- close: written (2 contacts)")
			})
			e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, readingBack)
			require.Len(t, set.all(), c.writes)
			require.False(t, set.all()[0].ReadBack)
		})
	}
}

func TestSyncConsentThatIsNotKeptIsRepaired(t *testing.T) {
	t.Parallel()
	for verb, writes := range map[string]int{workflows.UpdateRetry: 6, workflows.UpdateSkip: 4} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			set := keeping(e, func(n int) int { return max(0, min(1, 4-n)) })
			e.consent(0, optOut(0, "close"))
			e.after(time.Hour, func() {
				require.Contains(t, e.details(), "does not keep the consent")
				e.repair(verb, workflows.Repair{})
			})
			e.after(2*time.Hour, func() { require.Equal(t, workflows.StateOptedOut, e.state()) })
			e.runUntilCancelled(3*time.Hour, workflows.SyncConsent, readingBack)
			require.Len(t, set.all(), writes)
		})
	}
}

// What is newer is written whole, and read back in turn.
func TestSyncConsentThatIsNewerEndsReadingBack(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := keeping(e, func(int) int { return 0 })
	e.consent(0, optOut(0, "close"))
	e.consent(30*time.Second, optIn(1, "close"))
	e.runUntilCancelled(time.Hour, workflows.SyncConsent, readingBack)
	require.Equal(t, []string{"close out", "close in", "close in"}, words(set.all()))
	require.Equal(t, []bool{false, false, true}, []bool{set.all()[0].ReadBack, set.all()[1].ReadBack, set.all()[2].ReadBack})
}

func TestSyncConsentMeasuresFromTheWebhookOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	set := keeping(e, func(int) int { return 0 })
	change := optOut(0, "close")
	change.Received = begin.Add(time.Second)
	e.consent(0, change)
	e.appears(time.Hour, "close", "c1")
	e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, readingBack)
	var received []time.Time
	for _, in := range set.all() {
		received = append(received, in.Received)
	}
	require.Equal(t, []time.Time{begin.Add(time.Second), {}, {}, {}}, received)
}

var tryingAtOnce = workflows.SyncConsentInput{Account: "main", Revision: 2}

// What a webhook brought is tried at once; the queue has what does not succeed
// that way. What may have been written is written once more, after it can no
// longer land.
func TestSyncConsentTriesAtOnce(t *testing.T) {
	t.Parallel()
	webhook := begin.Add(time.Second)
	for name, c := range map[string]struct {
		received      time.Time
		now           activities.ConsentResult
		tried, queued int
	}{
		"written":         {webhook, activities.ConsentResult{State: connectors.Written, Contacts: 1}, 1, 0},
		"not worth a try": {webhook, activities.ConsentResult{}, 1, 1},
		"nobody knows":    {webhook, activities.ConsentResult{Unsure: true}, 1, 2},
		"no webhook's":    {time.Time{}, activities.ConsentResult{}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			now := on(e, acts.SetConsentNow, func(int, activities.ConsentInput) (activities.ConsentResult, error) { return c.now, nil })
			queued := setting(e, allGood)
			change := optOut(0, "close")
			change.Received = c.received
			e.consent(0, change)
			e.after(time.Hour, func() {
				require.Equal(t, workflows.StateOptedOut, e.state())
				require.Contains(t, e.details(), "- close: written (1 contacts)")
			})
			e.runUntilCancelled(2*time.Hour, workflows.SyncConsent, tryingAtOnce)
			require.Len(t, now.all(), c.tried)
			require.Len(t, queued.all(), c.queued)
		})
	}
}

// A repaired write is left to the queue; what is newer is tried at once again.
func TestSyncConsentTriesEachChangeOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	now := on(e, acts.SetConsentNow, func(int, activities.ConsentInput) (activities.ConsentResult, error) {
		return activities.ConsentResult{}, nil
	})
	queued := setting(e, func(n int, _ activities.ConsentInput) error {
		if n == 1 {
			return refused(connectors.Invalid, "no")
		}
		return nil
	})
	change := optOut(0, "close")
	change.Received = begin
	e.consent(0, change)
	e.after(time.Minute, func() { e.repair(workflows.UpdateRetry, workflows.Repair{}) })
	newer := optIn(5, "close")
	newer.Received = begin.Add(5 * time.Minute)
	e.consent(5*time.Minute, newer)
	e.runUntilCancelled(time.Hour, workflows.SyncConsent, tryingAtOnce)
	require.Equal(t, []string{"close out", "close in"}, words(now.all()))
	require.Equal(t, []string{"close out", "close out", "close in"}, words(queued.all()))
}
