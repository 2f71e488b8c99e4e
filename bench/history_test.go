//go:build linux

package bench

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
	"crmsync/workflows"
)

// historyPace is the rate of live texts beside a backfill, a second.
const historyPace = 20

// BenchmarkHistory backfills history while live texts come in.
func BenchmarkHistory(b *testing.B) {
	c := newCRM(b, plain, crmLatency, regulars)
	server := justcalltest.NewServer(justcalltest.Options{Dialect: justcall.V21})
	b.Cleanup(server.Close)
	api := httptest.NewServer(server)
	b.Cleanup(api.Close)
	n := size(200, 2000, 10_000)
	server.Put(history(n)...)

	st := newStack(b, sqlite, map[string]*crm{"crm": c})
	st.justcall = api.URL
	st.start(1)
	st.know("crm")
	texts := size(400, 1200, 2400)
	alone := flood(b, st.ours("crm"), ids("before", texts/2), openLoop(historyPace))
	st.settle()

	begun := time.Now()
	ended := st.backfill(n)
	var flights []flight
	for i := 0; len(ended) == 0; i++ {
		flights = append(flights, flood(b, st.ours("crm"), ids(fmt.Sprint("meanwhile", i), 5*historyPace), openLoop(historyPace))...)
	}
	walked := <-ended
	took := time.Since(begun).Seconds()
	st.settle()
	alone = append(alone, flood(b, st.ours("crm"), ids("after", texts/2), openLoop(historyPace))...)
	require.Equal(b, n, walked.Repaired)
	require.Empty(b, c.Doubles())

	scenario := fmt.Sprintf("%d texts of history beside %d live ones a second", n, historyPace)
	before, meanwhile := timesOf(alone), timesOf(flights)
	results.row(b, scenario, "live before and after", before)
	results.row(b, scenario, "live meanwhile", meanwhile)
	results.atMost(scenario, "the live ones' p99, of that without", meanwhile[arrive99]/before[arrive99], 1.5)
	results.note(scenario, "texts of history a second", float64(n)/took)
	results.note(scenario, "workflows of it a second", float64(walked.Repaired+walked.Statuses.Repaired)/took)
}

// history are texts of the last months with contacts that the CRM has. Half of
// them went out, and have a status.
func history(n int) []justcalltest.Text {
	texts := justcalltest.MakeTexts(n, 1_000_000, time.Now().AddDate(0, -3, 0), 10*time.Minute)
	for i := range texts {
		texts[i].Contact, texts[i].Body = sms.Phone(phone(i%regulars)), text
	}
	return texts
}

// backfill starts a backfill of all there is, and answers its result once it has
// ended.
func (st *stack) backfill(n int) <-chan workflows.Walked {
	st.tb.Helper()
	in := workflows.BackfillInput{Walked: workflows.Walked{SameIDs: true, Walk: activities.Walk{
		Account: "main", Since: time.Now().AddDate(0, -4, 0), Until: time.Now().Add(-activities.Young),
	}}}
	run, err := st.client.ExecuteWorkflow(st.tb.Context(), client.StartWorkflowOptions{
		ID: activities.BackfillID("main", fmt.Sprint(n)), TaskQueue: activities.Queue(deployment), Priority: workflows.PriorityOf("main", sms.Received, false),
	}, activities.Backfill, in)
	require.NoError(st.tb, err)
	ended := make(chan workflows.Walked, 1)
	go func() {
		var walked workflows.Walked
		_ = run.Get(st.tb.Context(), &walked)
		ended <- walked
	}()
	return ended
}
