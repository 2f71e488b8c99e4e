package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

func (w *world) compare(j activities.JustCall, d *door, from api.Cursor) (activities.Listed, error) {
	w.t.Helper()
	w.acts.Door = d
	if j != nil {
		w.acts.JustCall = map[string]activities.JustCall{"main": j}
	}
	return run[activities.Listed](w, w.acts.CompareListed, activities.ListedInput{Account: "main", From: from})
}

func TestListedNumbersAreToldToTheirWorkflows(t *testing.T) {
	t.Parallel()
	list := justcall{pages: map[api.Cursor][]sms.Phone{"": {"+15125550001", "+15125550002"}, "2": {"+15125550003"}}}
	d := &door{standings: map[sms.Phone]activities.Standing{
		"+15125550001": activities.OptedOut, "+15125550002": activities.NotOptedOut, "+15125550003": activities.Unsettled,
	}}
	begun := time.Now()
	first, err := newWorld(t).compare(list, d, "")
	require.NoError(t, err)
	require.Equal(t, activities.Listed{Known: 1, Added: 1, Next: "2"}, first)
	second, err := newWorld(t).compare(list, d, first.Next)
	require.NoError(t, err)
	require.Equal(t, activities.Listed{Known: 1}, second, "one that is being brought to the CRMs is no news")
	require.Len(t, d.suppressed, 3)
	for _, listed := range d.suppressed {
		require.True(t, listed.OptedOut)
		require.WithinDuration(t, begun.Add(-5*time.Minute), listed.At, time.Minute, "an opt-in of the last minutes is believed rather than the list")
	}
}

func TestListThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := newWorld(t).compare(nil, &door{}, "")
	parked(t, string(connectors.Unsupported), err)
	_, err = newWorld(t).compare(justcall{err: &connectors.Error{Op: "list", Kind: connectors.Unavailable}}, &door{}, "")
	retried(t, string(connectors.Unavailable), err)
	_, err = newWorld(t).compare(justcall{pages: map[api.Cursor][]sms.Phone{"": {"+15125550001"}}}, &door{err: errAway}, "")
	hiccup(t, err)
}

// reports keeps what Metrics was told of comparisons and consents.
type reports struct {
	decisions
	listed []activities.ConsentReport
	took   []time.Duration
}

func (r *reports) Listed(report activities.ConsentReport) { r.listed = append(r.listed, report) }

func (r *reports) Consent(connector string, optedOut bool, took time.Duration) {
	if connector == "crm" && optedOut {
		r.took = append(r.took, took)
	}
}

func TestComparisonIsReported(t *testing.T) {
	t.Parallel()
	w, told := newWorld(t), &reports{}
	w.acts.Metrics, w.acts.Door = told, &door{standings: map[sms.Phone]activities.Standing{"+15125550001": activities.OptedOut}}
	n, err := run[int](w, w.acts.CountOptedOut, "main")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	report := activities.ConsentReport{Account: "main", Known: 3, Added: 2, Lifted: 1}
	_, err = run[any](w, w.acts.ReportListed, report)
	require.NoError(t, err)
	require.Equal(t, []activities.ConsentReport{report}, told.listed)
}
