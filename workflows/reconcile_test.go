package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/sms"
	"crmsync/workflows"
)

// list is a fake of JustCall's list: pages of texts, of which some are known.
type list struct {
	pages    [][]string // ids; those that begin with k are known
	ids      activities.IDs
	first    int // so many are started by the first attempt; 0: all
	asked    *calls[activities.PageInput]
	compared *calls[string]
	repaired *calls[activities.RepairInput]
	told     *calls[activities.ReconciledInput]
}

func (l *list) on(e *env) *list {
	l.asked = on(e, acts.ListTexts, func(_ int, in activities.PageInput) (page activities.Page, err error) {
		n := 0
		_, _ = fmt.Sscan(in.Cursor, &n)
		if n >= len(l.pages) {
			return page, nil
		}
		for _, id := range l.pages[n] {
			page.Listed++
			if id[0] == 'k' {
				page.Known++
				continue
			}
			page.Missing++
			page.Offers = append(page.Offers, activities.Offer{Event: sms.Event{Kind: sms.Received, Message: sms.Message{ID: id}}})
		}
		if n+1 < len(l.pages) {
			page.Next = fmt.Sprint(n + 1)
		}
		return page, nil
	})
	l.compared = on(e, acts.CompareIDs, func(int, string) (activities.IDs, error) { return l.ids, nil })
	l.repaired = on(e, acts.Repair, func(n int, in activities.RepairInput) (done activities.Repaired, err error) {
		done.Offers = len(in.Offers)
		if n == 1 && l.first > 0 {
			done.Offers = l.first
		}
		done.Repaired = done.Offers
		return done, nil
	})
	l.told = on(e, acts.TellReconciled, func(int, activities.ReconciledInput) (string, error) { return "the webhook was paused", nil })
	return l
}

// offered are the ids of what was repaired, by call.
func (l *list) offered() (all []string) {
	for _, in := range l.repaired.all() {
		for _, o := range in.Offers {
			all = append(all, o.Event.Message.ID)
		}
	}
	return all
}

// texts are the ids of n that are missing.
func texts(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("m", i))
	}
	return ids
}

var input = workflows.ReconcileInput{Account: "main"}

func TestReconcileRepairsWhatIsMissing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	l := (&list{pages: [][]string{{"k1", "m1"}, {"k2"}, {"m2", "m3"}}}).on(e)
	run := result[workflows.Reconciled](e, workflows.Reconcile, input)
	require.Equal(t, activities.Counts{Tally: activities.Tally{Listed: 5, Known: 2, Missing: 3, Repaired: 3}}, run.Counts)
	require.Equal(t, []string{"m1", "m2", "m3"}, l.offered())
	require.Equal(t, "the webhook was paused", run.Cause)
	require.Equal(t, []activities.ReconciledInput{{Account: "main", Counts: run.Counts}}, l.told.all())
	require.Empty(t, l.compared.all(), "what is known shows that the ids are the same")
	require.Empty(t, l.repaired.all()[0].UnderWay, "what a webhook should have brought does not wait for other deliveries")
	require.Contains(t, e.details(), "| texts | 5 | 2 | 3 | 3 |")
}

// TestReconcileComparesIDs: where nothing is known the ids are compared before
// anything is started.
func TestReconcileComparesIDs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pages    [][]string
		ids      activities.IDs
		compared int
		repaired int
	}{
		"no webhook ever came":                  {pages: [][]string{texts(30)}, compared: 1, repaired: 30},
		"the api knows what a webhook brought":  {pages: [][]string{texts(30)}, ids: activities.IDs{Accepted: 1, Asked: 1, Found: 1}, compared: 1, repaired: 30},
		"the api knows none":                    {pages: [][]string{texts(30)}, ids: activities.IDs{Accepted: 5, Asked: 5}, compared: 1},
		"the api knows none, and little is new": {pages: [][]string{{"m1"}, {"m2"}}, ids: activities.IDs{Accepted: 5, Asked: 5}, compared: 1},
		"one that is known comes late":          {pages: [][]string{texts(19), {"k1"}, {"m19"}}, repaired: 20},
		"nothing is listed":                     {pages: [][]string{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			l := (&list{pages: c.pages, ids: c.ids}).on(e)
			run := result[workflows.Reconciled](e, workflows.Reconcile, input)
			require.Len(t, l.compared.all(), c.compared)
			require.Equal(t, c.repaired, run.Repaired)
			require.Len(t, l.offered(), c.repaired)
			differ := c.compared == 1 && c.repaired == 0
			require.Equal(t, differ, run.IDsDiffer)
			require.Equal(t, differ, l.told.all()[0].IDsDiffer)
			if differ {
				require.Equal(t, run.Mark.Floor, run.Mark.Until, "the next run looks at the same once more")
				require.Contains(t, e.details(), "Nothing is repaired")
			}
		})
	}
}

// TestReconcileWindows: each run goes on from the mark of the last one.
func TestReconcileWindows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	settled := now.Add(-activities.Young)
	for name, c := range map[string]struct {
		last      *workflows.Mark
		notBefore time.Time
		since     time.Time // zero: nothing is listed
		want      workflows.Mark
	}{
		"the first looks back two hours": {
			since: settled.Add(-2 * time.Hour),
			want:  workflows.Mark{Until: settled, Deep: settled, Floor: settled.Add(-2 * time.Hour)},
		},
		"and not before since": {
			notBefore: now.Add(-time.Hour), since: now.Add(-time.Hour),
			want: workflows.Mark{Until: settled, Deep: settled, Floor: now.Add(-time.Hour)},
		},
		"since in the future": {
			notBefore: now.Add(time.Hour), want: workflows.Mark{Until: now.Add(time.Hour), Deep: settled, Floor: now.Add(time.Hour)},
		},
		"windows overlap": {
			last: &workflows.Mark{Until: now.Add(-20 * time.Minute), Deep: now.Add(-time.Hour), Floor: now.AddDate(0, 0, -9)}, since: now.Add(-20*time.Minute - 2*time.Hour),
			want: workflows.Mark{Until: settled, Deep: now.Add(-time.Hour), Floor: now.AddDate(0, 0, -9)},
		},
		"also after a week": {
			last: &workflows.Mark{Until: now.AddDate(0, 0, -7), Deep: now.AddDate(0, 0, -7), Floor: now.AddDate(0, 0, -9)}, since: now.AddDate(0, 0, -7).Add(-30 * time.Hour),
			want: workflows.Mark{Until: settled, Deep: settled, Floor: now.AddDate(0, 0, -9)},
		},
		"never below the floor, also where since was removed": {
			last: &workflows.Mark{Until: now.Add(-20 * time.Minute), Deep: now.Add(-7 * time.Hour), Floor: now.Add(-3 * time.Hour)}, since: now.Add(-3 * time.Hour),
			want: workflows.Mark{Until: settled, Deep: settled, Floor: now.Add(-3 * time.Hour)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.SetStartTime(now)
			l := (&list{}).on(e)
			if c.last != nil {
				e.SetLastCompletionResult(workflows.Reconciled{Mark: *c.last})
			}
			run := result[workflows.Reconciled](e, workflows.Reconcile, workflows.ReconcileInput{Account: "main", NotBefore: c.notBefore})
			require.Equal(t, c.want, run.Mark)
			if c.since.IsZero() {
				require.Empty(t, l.asked.all())
				return
			}
			asked := l.asked.all()[0]
			require.Equal(t, c.since, asked.Since)
			require.Equal(t, settled, asked.Until, "what is younger may still be on its way")
		})
	}
}

// TestWalkGoesOn: a long history goes on in a new run, at the next page.
func TestWalkGoesOn(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.SetContinueAsNewSuggested(true)
	l := (&list{pages: [][]string{{"k1", "m1"}, {"m2"}, {"m3"}}}).on(e)
	e.ExecuteWorkflow(workflows.Reconcile, input)
	var again *workflowContinued
	require.ErrorAs(t, e.GetWorkflowError(), &again)
	next := inputOf[workflows.ReconcileInput](t, again)
	require.Equal(t, "1", next.Run.Cursor)
	require.Equal(t, []string{"m1"}, l.offered())

	e = newEnv(t)
	l.on(e)
	run := result[workflows.Reconciled](e, workflows.Reconcile, next)
	require.Equal(t, activities.Tally{Listed: 4, Known: 1, Missing: 3, Repaired: 3}, run.Tally)
	require.Equal(t, []string{"m2", "m3"}, l.offered())
	require.Equal(t, next.Run.Until, run.Mark.Until, "the window stays")
	require.Equal(t, next.Run.Mark.Floor, run.Mark.Floor)
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	l := (&list{pages: [][]string{texts(60)}}).on(e)
	in := workflows.BackfillInput{Walked: workflows.Walked{Walk: activities.Walk{Account: "main", Since: begin, Until: begin.Add(time.Hour), To: "crm"}}}
	walked := result[workflows.Walked](e, workflows.Backfill, in)
	require.Equal(t, activities.Tally{Listed: 60, Missing: 60, Repaired: 60}, walked.Tally)
	require.Equal(t, texts(60), l.offered())
	require.Len(t, l.repaired.all(), 3, "25 at once")
	require.Equal(t, in.Walk, l.asked.all()[0].Walk)
	require.Empty(t, l.told.all(), "that history is missing warns nobody")
	require.Equal(t, "WorkflowType = 'SyncEvent' AND ExecutionStatus = 'Running' AND crmsync_account = 'main' AND crmsync_state = 'syncing'",
		l.repaired.all()[0].UnderWay)
	value, err := e.QueryWorkflow(workflows.QueryProgress)
	require.NoError(t, err)
	var shown workflows.Walked
	require.NoError(t, value.Get(&shown))
	require.Equal(t, walked, shown)
}

// TestRepairInParts: what an attempt could not start is started by the next one.
func TestRepairInParts(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	l := (&list{pages: [][]string{append(texts(30), "k1")}, first: 7}).on(e)
	walked := result[workflows.Walked](e, workflows.Backfill, workflows.BackfillInput{})
	require.Equal(t, 30, walked.Repaired)
	var sizes []int
	for _, in := range l.repaired.all() {
		sizes = append(sizes, len(in.Offers))
	}
	require.Equal(t, []int{25, 23}, sizes)
	require.Equal(t, append(texts(25), texts(30)[7:]...), l.offered())
}

func TestBackfillDry(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	l := (&list{pages: [][]string{texts(60), {"k1"}}, ids: activities.IDs{Accepted: 1, Asked: 1, Found: 1}}).on(e)
	walked := result[workflows.Walked](e, workflows.Backfill, workflows.BackfillInput{DryRun: true})
	require.Equal(t, activities.Tally{Listed: 61, Known: 1, Missing: 60}, walked.Tally)
	require.Empty(t, l.repaired.all())
}

// TestBackfillFails: what repeating cannot help is told to whoever asked.
func TestBackfillFails(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	on(e, acts.ListTexts, func(int, activities.PageInput) (activities.Page, error) {
		return activities.Page{}, refused(connectors.Unsupported, "no key and secret")
	})
	e.ExecuteWorkflow(workflows.Backfill, workflows.BackfillInput{})
	require.ErrorContains(t, e.GetWorkflowError(), "no key and secret")
}
