package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/workflows"
)

// listing answers the pages of a list one after the other: each knows 90 numbers
// and adds 10.
func listing(e *env, pages int) (asked *calls[activities.ListedInput], told *calls[activities.ConsentReport]) {
	on(e, acts.CountOptedOut, func(int, string) (int, error) { return 200, nil })
	asked = on(e, acts.CompareListed, func(n int, _ activities.ListedInput) (activities.Listed, error) {
		page := activities.Listed{Known: 90, Added: 10}
		if n < pages {
			page.Next = "next"
		}
		return page, nil
	})
	return asked, tells(e)
}

func tells(e *env) *calls[activities.ConsentReport] {
	return told(e, acts.ReportListed, func(int, activities.ConsentReport) error { return nil })
}

var comparison = workflows.CompareInput{Account: "main"}

func TestCompareConsentGoesThroughTheList(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	asked, told := listing(e, 2)
	got := result[activities.ConsentReport](e, workflows.CompareConsent, comparison)
	require.Equal(t, activities.ConsentReport{Account: "main", Known: 180, Added: 20, Lifted: 20}, got)
	require.Equal(t, []activities.ListedInput{{Account: "main"}, {Account: "main", From: "next"}}, asked.all())
	require.Equal(t, []activities.ConsentReport{got}, told.all())
	require.Contains(t, e.details(), "180 known, 20 added, 20 no longer on the list")
}

func TestCompareConsentContinuesAsNewWhereItStopped(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	listing(e, 3)
	e.SetContinueAsNewSuggested(true)
	e.ExecuteWorkflow(workflows.CompareConsent, comparison)
	var again *workflowContinued
	require.ErrorAs(t, e.GetWorkflowError(), &again)
	goesOn := inputOf[workflows.CompareInput](t, again)
	require.Equal(t, workflows.CompareInput{
		Account: "main", From: activities.ListedInput{Account: "main", From: "next"}, Before: 200,
		Report: activities.ConsentReport{Account: "main", Known: 90, Added: 10},
	}, goesOn)

	e = newEnv(t)
	listing(e, 1)
	got := result[activities.ConsentReport](e, workflows.CompareConsent, goesOn)
	require.Equal(t, activities.ConsentReport{Account: "main", Known: 180, Added: 20, Lifted: 20}, got)
}
