package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
	"crmsync/workflows"
)

// How many texts came while the webhook was paused, and are in the history; 'make
// history' has more.
var (
	pausedTexts  = number("CRMSYNC_E2E_PAUSED", 40)
	historyTexts = number("CRMSYNC_E2E_HISTORY", 40)
)

// fakeJustCall starts a JustCall, and answers the settings of an account there. Its
// schedule comes every day, so that runs are those that a test triggers, and the
// first.
func fakeJustCall(t *testing.T, o justcalltest.Options) (*justcalltest.Server, string) {
	t.Helper()
	server := justcalltest.NewServer(o)
	t.Cleanup(server.Close)
	api := httptest.NewServer(server)
	t.Cleanup(api.Close)
	version := "v2"
	if o.Dialect == justcall.V21 {
		version = "v2.1"
	}
	return server, fmt.Sprintf("{ region: US, webhook: { token: %q }, reconcile: { every: 24h }, consent: { compare: 24h }, "+
		"api: { base_url: %q, version: %s, key: key, secret: secret, plan: business } }", token, api.URL, version)
}

// paused are texts that came in the last hour, while the webhook was paused.
func paused(n int) []justcalltest.Text {
	return justcalltest.MakeTexts(n, 1000, time.Now().Add(-65*time.Minute), time.Hour/time.Duration(n))
}

// events are how many webhooks tell of texts: those that went out have a status.
func events(texts []justcalltest.Text) int {
	n := len(texts)
	for _, text := range texts {
		if text.Status != "" {
			n++
		}
	}
	return n
}

// schedules are the ids of all.
func (st *stack) schedules() (ids []string) {
	st.t.Helper()
	listed, err := st.client.ScheduleClient().List(st.t.Context(), client.ScheduleListOptions{})
	require.NoError(st.t, err)
	for listed.HasNext() {
		entry, err := listed.Next()
		require.NoError(st.t, err)
		ids = append(ids, entry.ID)
	}
	return ids
}

// reconciled waits for the nth run of the schedule, and triggers it where it is not
// the first.
func (st *stack) reconciled(n int) (run workflows.Reconciled) {
	st.t.Helper()
	handle := st.client.ScheduleClient().GetHandle(st.t.Context(), activities.ReconcileID("crmsync", "main"))
	if n > 1 {
		require.NoError(st.t, handle.Trigger(st.t.Context(), client.ScheduleTriggerOptions{}))
	}
	started := ""
	require.Eventually(st.t, func() bool {
		described, err := handle.Describe(st.t.Context())
		if err != nil || len(described.Info.RecentActions) < n {
			return false
		}
		started = described.Info.RecentActions[n-1].StartWorkflowResult.WorkflowID
		return true
	}, time.Minute, 200*time.Millisecond, "the run has begun")
	require.NoError(st.t, st.client.GetWorkflow(st.t.Context(), started, "").Get(st.t.Context(), &run))
	return run
}

func (st *stack) nothingTwice(records int) {
	st.t.Helper()
	require.Empty(st.t, st.crm.Doubles(), "records written twice")
	require.Empty(st.t, st.crm.ContactDoubles(), "contacts created twice")
	require.Len(st.t, st.crm.Messages(), records)
}

// TestReconcile: the webhook was paused for an hour. The next run repairs exactly
// what is missing, and the run after it nothing, also where Redis has seen all.
func TestReconcile(t *testing.T) {
	t.Parallel()
	server, account := fakeJustCall(t, justcalltest.Options{Dialect: justcall.V21, MaxPage: 15})
	st := newStack(t, setup{justcall: account})
	n := pausedTexts
	texts := paused(n)
	server.Put(texts...)
	p := st.daemon()
	run := st.reconciled(1)
	require.Equal(t, activities.Tally{Listed: n, Missing: n, Repaired: n}, run.Tally)
	require.Equal(t, activities.Tally{Listed: n / 2, Missing: n / 2, Repaired: n / 2}, run.Statuses)
	require.Contains(t, run.Cause, "no webhook for this account")
	st.settled(events(texts), 3*time.Minute)
	st.nothingTwice(n)

	again := st.reconciled(2)
	require.Equal(t, activities.Tally{Listed: n, Known: n}, again.Tally)
	require.True(t, again.Mark.Until.After(run.Mark.Until))
	require.Equal(t, run.Mark.Floor, again.Mark.Floor)
	st.nothingTwice(n)
	now := p.scrape()
	for outcome, count := range map[string]int{"listed": 2 * n, "known": n, "missing": n, "repaired": n} {
		require.InDelta(t, count, now.value(t, fmt.Sprintf(`crmsync_reconciled_total{account="main",kind="text",outcome=%q}`, outcome)), 0, outcome)
	}
	require.Contains(t, p.log.String(), "no webhook for this account")

	// One text more, which Redis believes to have been seen.
	late := justcalltest.MakeTexts(1, 5000, time.Now().Add(-10*time.Minute), 0)
	server.Put(late...)
	st.redisSays(t, "main/5000/sms.received")
	require.Equal(t, activities.Tally{Listed: n + 1, Known: n, Missing: 1, Repaired: 1}, st.reconciled(3).Tally)
	st.settled(events(texts)+1, time.Minute)
	st.nothingTwice(n + 1)
}

// redisSays has Redis believe that an event was accepted: as it would after Temporal
// came back without its data.
func (st *stack) redisSays(t *testing.T, key string) {
	t.Helper()
	ctx := t.Context()
	options, err := redis.ParseURL(st.redis.URL)
	require.NoError(t, err)
	db := redis.NewClient(options)
	defer db.Close()
	seen, err := db.Keys(ctx, "*seen*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, seen)
	prefix, _, found := strings.Cut(seen[0], "main/")
	require.True(t, found, seen[0])
	require.NoError(t, db.Set(ctx, prefix+key, "1", time.Hour).Err())
}

// TestReconcileOtherIDs: webhooks and API call the same text by different ids.
func TestReconcileOtherIDs(t *testing.T) {
	t.Parallel()
	server, account := fakeJustCall(t, justcalltest.Options{Dialect: justcall.V21})
	st := newStack(t, setup{justcall: account})
	p := st.prepare()
	p.flags = []string{"--roles", "ingress,workflows,lanes"}
	p.start()
	p.ready()
	require.Equal(t, 0, st.reconciled(1).Listed)
	for i := range 3 {
		p.accepted(inbound(fmt.Sprintf("webhook_%d", i), "+15125551234", "hello").json())
	}
	st.settled(3, time.Minute)
	server.Put(paused(30)...)
	eventually(t, 10*time.Second, "what was accepted is listed", func() bool { return st.count("WorkflowType = 'SyncEvent'") == 3 })
	run := st.reconciled(2)
	require.True(t, run.IDsDiffer)
	require.Equal(t, 0, run.Repaired)
	require.Equal(t, 30, run.Missing)
	st.nothingTwice(3)
	require.InDelta(t, 1, p.scrape().value(t, `crmsync_reconcile_runs_total{account="main",result="ids_differ"}`), 0)

	// A webhook of one that the API knows shows that they are the same after all.
	server.Put(justcalltest.Text{Message: sms.Message{
		ID: "webhook_1", Direction: sms.Inbound, Contact: "+15125551234", Line: line, Body: "hello", At: time.Now().Add(-30 * time.Minute).UTC(),
	}})
	require.Equal(t, activities.Tally{Listed: 31, Known: 1, Missing: 30, Repaired: 30}, st.reconciled(3).Tally)
}

// TestReconcileKilled: the daemon is killed in the middle of a page.
func TestReconcileKilled(t *testing.T) {
	t.Parallel()
	server, account := fakeJustCall(t, justcalltest.Options{Dialect: justcall.V21, MaxPage: 15})
	st := newStack(t, setup{justcall: account})
	texts := paused(30)
	server.Put(texts...)
	p := st.daemon()
	eventually(t, 2*time.Minute, "some are repaired", func() bool { return len(st.crm.Messages()) > 5 })
	p.restart()
	run := st.reconciled(1)
	require.Equal(t, activities.Tally{Listed: 30, Missing: 30, Repaired: 30}, run.Tally, "also what the killed one had started")
	st.settled(events(texts), 3*time.Minute)
	st.nothingTwice(30)
}

// TestBackfill: history, of which the daemon is killed twice on the way.
func TestBackfill(t *testing.T) {
	t.Parallel()
	server, account := fakeJustCall(t, justcalltest.Options{MaxPage: 15, Dialect: justcall.V21, OtherBase: true, NoLinks: true})
	st := newStack(t, setup{
		justcall:  account,
		crm:       connectortest.CRMOptions{Class: connectors.ClassD, Settle: 100 * time.Millisecond, SearchLag: 100 * time.Millisecond},
		connector: connectortest.Options{Settle: 200 * time.Millisecond, SearchLag: 200 * time.Millisecond},
	})
	n := historyTexts
	texts := justcalltest.MakeTexts(n, 1000, time.Now().AddDate(0, -3, 0), 80*24*time.Hour/time.Duration(n))
	server.Put(texts...)
	patience := time.Duration(n) * 500 * time.Millisecond
	p := st.daemon()
	since := texts[0].At.Format(time.DateOnly)
	var counted workflows.Walked
	require.NoError(t, json.Unmarshal([]byte(p.does("backfill", "--since", since, "--dry-run", "--json")), &counted))
	require.Equal(t, activities.Tally{Listed: n, Missing: n}, counted.Tally)
	require.Empty(t, st.crm.Messages())

	done := make(chan said)
	go func() { done <- p.crmsync("backfill", "--since", since) }()
	for _, there := range []int{n / 8, n / 2} {
		eventually(t, 2*time.Minute+patience, "some are there", func() bool { return len(st.crm.Messages()) > there })
		p.restart()
	}
	first := <-done
	require.Zero(t, first.status, first.err)
	require.Regexp(t, fmt.Sprintf(`texts +%[1]d +0 +%[1]d +%[1]d +0 +0\nstatuses +%[2]d +0 +%[2]d +%[2]d`, n, n/2), first.out)
	st.settled(events(texts), 2*time.Minute+patience)
	st.nothingTwice(n)
	require.Regexp(t, fmt.Sprintf(`texts +%[1]d +%[1]d +0 +0 +0 +0\nstatuses +%[2]d +%[2]d +0 +0`, n, n/2), p.does("backfill", "--since", since))
}

// TestBackfillTo: a CRM that is added later gets the texts of before, each once,
// with its status. The CRM that had them is left alone.
func TestBackfillTo(t *testing.T) {
	t.Parallel()
	server, account := fakeJustCall(t, justcalltest.Options{Dialect: justcall.V21})
	st := newStack(t, setup{justcall: account})
	texts := justcalltest.MakeTexts(12, 1000, time.Now().AddDate(0, -1, 0), time.Hour)
	server.Put(texts...)
	since := texts[0].At.Format(time.DateOnly)
	p := st.daemon()
	p.does("backfill", "--since", since)
	st.settled(events(texts), time.Minute)
	old, url := st.crm, st.crmURL
	written := old.History()
	require.Len(t, old.Messages(), 12)

	st.crm = connectortest.NewCRM(connectortest.CRMOptions{})
	p.configure(t, testCRM(url)+"\n  added: "+testCRM(st.crm.Start(t)))
	p.restart()
	require.Regexp(t, `texts +12 +0 +12 +12 +0 +0\nstatuses +6 +0 +6 +6`, p.does("backfill", "--since", since, "--to", "added"))
	st.settled(2*events(texts), time.Minute)
	require.Regexp(t, `texts +12 +12 +0 +0 +0 +0\nstatuses +6 +6 +0 +0`, p.does("backfill", "--since", since, "--to", "added"))
	st.nothingTwice(12)
	delivered := 0
	for _, record := range st.crm.Messages() {
		if record.Status == string(sms.StatusDelivered) {
			delivered++
		}
	}
	require.Equal(t, 6, delivered)
	require.Equal(t, written, old.History(), "what was written to the CRM that had all")
}
