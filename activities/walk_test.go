package activities_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	commonpb "go.temporal.io/api/common/v1"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// account is a fake of an account's API.
type account struct {
	page     api.Page
	err      error
	query    api.Query
	texts    map[string]bool // by id
	textErr  error
	webhooks []api.Webhook
}

func (a *account) Texts(_ context.Context, q api.Query, _ api.Cursor) (api.Page, error) {
	a.query = q
	return a.page, a.err
}

func (a *account) Text(_ context.Context, id string) (api.Text, error) {
	if a.texts[id] {
		return api.Text{ID: id}, nil
	}
	return api.Text{}, a.textErr
}

func (a *account) Suppressed(context.Context, api.Cursor) ([]sms.Phone, api.Cursor, error) {
	return nil, "", nil
}

func (a *account) Webhooks(context.Context) ([]api.Webhook, error) {
	return a.webhooks, a.err
}

// counter is a door that routes all texts but those of one line, and takes offers.
type counter struct {
	*door
	offers *[]activities.Offer
	refuse error
	after  int // so many offers
}

func (c counter) Targets(text sms.Event) []string {
	if text.Message.Line == "+15125550199" {
		return nil
	}
	return []string{"crm", "other"}
}

func (c counter) Offer(_ context.Context, _ string, o activities.Offer) error {
	*c.offers = append(*c.offers, o)
	if len(*c.offers) <= c.after {
		return nil
	}
	return c.refuse
}

// listed is a row of JustCall's list: a text that was sent, and its statuses.
func listed(id string, statuses ...sms.Kind) api.Text {
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	e := sms.Event{Account: "main", Kind: sms.Sent, At: at, Message: sms.Message{ID: id, Contact: phone, Line: line, At: at}}
	row := api.Text{ID: id, At: at, Events: []sms.Event{e}}
	for _, kind := range statuses {
		e.Kind = kind
		row.Events = append(row.Events, e)
	}
	return row
}

func walking(t *testing.T) (*world, *account, *[]activities.Offer) {
	t.Helper()
	w, a, offers := newWorld(t), &account{texts: map[string]bool{}}, &[]activities.Offer{}
	w.acts.JustCall = map[string]activities.JustCall{"main": a}
	w.acts.Door = counter{offers: offers}
	return w, a, offers
}

// has gives Temporal a workflow of a text that went to connectors.
func (w *world) has(id string, targets ...string) {
	w.temporal.workflows[id] = &execution{status: completed, memo: map[string]any{activities.MemoTargets: targets}}
}

func keys(page activities.Page) (all []string) {
	for _, o := range page.Offers {
		key := o.Event.Key()
		if o.To != "" {
			key += "@" + o.To
		}
		all = append(all, key)
	}
	return all
}

func TestListTexts(t *testing.T) {
	t.Parallel()
	w, a, _ := walking(t)
	notOurs, odd, young := listed("4", sms.Delivered), api.Text{ID: "5", Err: errors.New("row.direction is missing"), Raw: []byte("{}")}, listed("6", sms.Failed)
	notOurs.Events[0].Message.Line = "+15125550199"
	young.Events[1].At = time.Now().UTC()
	a.page = api.Page{Texts: []api.Text{listed("1", sms.Delivered), listed("2", sms.Delivered), listed("3"), notOurs, odd, young, {ID: "scheduled"}}, Next: "next", Total: 9}
	w.has("main/1/sms.sent", "crm")
	w.has("main/1/sms.delivered")
	w.has("main/2/sms.sent", "crm")
	w.ledger.MarkSeen(t.Context(), "main/3/sms.sent")
	in := activities.PageInput{Walk: activities.Walk{Account: "main", Since: start, Until: start.Add(time.Hour), Line: line, Contact: phone}}
	page, err := run[activities.Page](w, w.acts.ListTexts, in)
	require.NoError(t, err)
	require.Equal(t, api.Query{Since: start, Until: start.Add(time.Hour), Line: line, Contact: phone}, a.query)
	require.Equal(t, activities.Tally{Listed: 7, Known: 2, Missing: 2, Skipped: 2, Quarantined: 1}, page.Tally)
	require.Equal(t, activities.Tally{Listed: 4, Known: 1, Missing: 1, Skipped: 2}, page.Statuses)
	require.Equal(t, "next", page.Next)
	require.Equal(t, 9, page.Total)
	require.Equal(t, activities.Offer{Row: []byte("{}"), Reason: "row.direction is missing"}, page.Offers[2])
	page.Offers = append(page.Offers[:2], page.Offers[3])
	require.Equal(t, []string{"main/2/sms.delivered", "main/3/sms.sent", "main/6/sms.sent"}, keys(page), "whatever Redis has seen")
}

// TestListTextsToOneMore: one connector is added to texts that went elsewhere.
func TestListTextsToOneMore(t *testing.T) {
	t.Parallel()
	w, a, _ := walking(t)
	a.page = api.Page{Texts: []api.Text{
		listed("elsewhere", sms.Delivered), listed("there", sms.Delivered), listed("half", sms.Delivered), listed("added", sms.Delivered), listed("never"),
	}}
	w.has("main/elsewhere/sms.sent", "other")
	w.has("main/elsewhere/sms.delivered")
	w.has("main/there/sms.sent", "crm")
	w.has("main/there/sms.delivered")
	w.has("main/half/sms.sent", "crm")
	w.has("main/added/sms.sent@crm", "crm")
	w.has("main/added/sms.delivered@crm", "crm")
	page, err := run[activities.Page](w, w.acts.ListTexts, activities.PageInput{Walk: activities.Walk{Account: "main", To: "crm"}})
	require.NoError(t, err)
	require.Equal(t, []string{"main/elsewhere/sms.sent@crm", "main/elsewhere/sms.delivered@crm", "main/half/sms.delivered@crm", "main/never/sms.sent@crm"}, keys(page))
	require.Equal(t, "main/elsewhere/sms.sent@crm", page.Offers[1].Text, "the status follows the text that is added")
	require.Equal(t, "main/half/sms.sent", page.Offers[2].Text)
	require.Equal(t, activities.Tally{Listed: 5, Known: 3, Missing: 2}, page.Tally)
	require.Equal(t, activities.Tally{Listed: 4, Known: 2, Missing: 2}, page.Statuses)

	page, err = run[activities.Page](w, w.acts.ListTexts, activities.PageInput{Walk: activities.Walk{Account: "main", To: "no route leads there"}})
	require.NoError(t, err)
	require.Equal(t, 5, page.Skipped)
}

func TestListTextsFails(t *testing.T) {
	t.Parallel()
	w, a, _ := walking(t)
	list := func(in activities.PageInput) error {
		_, err := run[activities.Page](w, w.acts.ListTexts, in)
		return err
	}
	parked(t, string(connectors.Unsupported), list(activities.PageInput{Walk: activities.Walk{Account: "stranger"}}))
	main := activities.PageInput{Walk: activities.Walk{Account: "main"}}
	a.err = &connectors.Error{Op: "list texts", Kind: connectors.Auth}
	retried(t, string(connectors.Auth), list(main))
	a.err = nil
	a.page = api.Page{Texts: []api.Text{listed("1")}, Next: "same"}
	main.Cursor = "same"
	parked(t, string(connectors.Unknown), list(main))
	w.temporal.describeErr = errAway
	main.Cursor = ""
	hiccup(t, list(main))
}

func (c *cloud) CountWorkflow(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	return &workflowservice.CountWorkflowExecutionsResponse{Count: c.count}, c.describeErr
}

func (c *cloud) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	require.Equal(c.t, "WorkflowType = 'SyncEvent' AND TaskQueue = 'crmsync' AND WorkflowId STARTS_WITH 'main/'", r.GetQuery())
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, id := range c.newest {
		out.Executions = append(out.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	return out, c.describeErr
}

func TestRepair(t *testing.T) {
	t.Parallel()
	w, _, offers := walking(t)
	in := activities.RepairInput{Account: "main", UnderWay: "a query"}
	for _, e := range listed("1", sms.Failed).Events {
		in.Offers = append(in.Offers, activities.Offer{Event: e})
	}
	in.Offers = append(in.Offers, activities.Offer{Row: []byte("{}")})
	repair := func() (activities.Repaired, error) { return run[activities.Repaired](w, w.acts.Repair, in) }

	w.temporal.count = 500
	_, err := repair()
	retried(t, activities.Waiting, err)
	require.Empty(t, *offers, "many deliveries are under way")

	w.temporal.count = 499
	begun := time.Now()
	done, err := repair()
	require.NoError(t, err)
	both := activities.Counts{Tally: activities.Tally{Repaired: 1}, Statuses: activities.Tally{Repaired: 1}}
	require.Equal(t, activities.Repaired{Counts: both, Offers: 3}, done)
	require.Equal(t, in.Offers, *offers, "in order")
	require.GreaterOrEqual(t, time.Since(begun), 3*25*time.Millisecond, "paced")

	w.temporal.describeErr = errAway
	_, err = repair()
	require.NoError(t, err, "a server that cannot count does not hold it up")

	w.acts.Door = counter{offers: offers, refuse: errAway, after: len(*offers) + 2}
	done, err = repair()
	require.NoError(t, err)
	require.Equal(t, activities.Repaired{Counts: both, Offers: 2}, done, "how far it came")

	w.acts.Door = counter{offers: offers, refuse: errAway}
	_, err = repair()
	hiccup(t, err)
	close(w.stop)
	_, err = repair()
	retried(t, activities.GivenBack, err)
}

func TestCompareIDs(t *testing.T) {
	t.Parallel()
	newest := []string{"main/9/sms.sent", "main/9/sms.delivered", "main/8/sms.received", "main/a/b/sms.sent@crm"}
	none := &connectors.Error{Op: "get text", Kind: connectors.NotFound}
	for name, c := range map[string]struct {
		newest []string
		knows  string
		err    error
		want   activities.IDs
		differ bool
	}{
		"nothing was accepted": {},
		"the newest is known":  {newest: newest, knows: "9", want: activities.IDs{Accepted: 4, Asked: 1, Found: 1}},
		"another is known":     {newest: newest, knows: "a/b", err: none, want: activities.IDs{Accepted: 4, Asked: 3, Found: 1}},
		"none is known":        {newest: newest, err: none, want: activities.IDs{Accepted: 4, Asked: 3}, differ: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a, _ := walking(t)
			w.temporal.newest, a.texts[c.knows], a.textErr = c.newest, true, c.err
			ids, err := run[activities.IDs](w, w.acts.CompareIDs, "main")
			require.NoError(t, err)
			require.Equal(t, c.want, ids)
			require.Equal(t, c.differ, ids.Differ())
		})
	}
	w, a, _ := walking(t)
	w.temporal.newest, a.textErr = newest, &connectors.Error{Op: "get text", Kind: connectors.Unavailable}
	_, err := run[activities.IDs](w, w.acts.CompareIDs, "main")
	retried(t, string(connectors.Unavailable), err)
}

// told keeps what metrics were told of reconciliation.
type told struct {
	decisions
	counts []string
}

func (m *told) Reconciled(account string, c activities.Counts, differ bool) {
	m.counts = append(m.counts, fmt.Sprint(account, " ", c.Missing, " ", differ))
}

func TestTellReconciled(t *testing.T) {
	t.Parallel()
	missing := activities.Counts{Tally: activities.Tally{Listed: 3, Missing: 2, Repaired: 2}}
	url := func(status string) []api.Webhook {
		return []api.Webhook{
			{URL: "https://elsewhere.example.com/webhooks/justcall/other/token", Status: "Active"},
			{URL: "https://sms.example.com/webhooks/justcall/main/the-token", Status: status},
		}
	}
	for name, c := range map[string]struct {
		counts   activities.Counts
		differ   bool
		webhooks []api.Webhook
		err      error
		want     string
	}{
		"nothing is missing":             {},
		"a webhook that is blacklisted":  {counts: missing, webhooks: url("Blacklisted"), want: "says that the webhook is blacklisted"},
		"one that is active again":       {counts: missing, webhooks: url("Active"), want: "active now"},
		"none":                           {counts: missing, webhooks: url("")[:1], want: "no webhook for this account"},
		"an api that cannot tell":        {counts: missing, err: &connectors.Error{Kind: connectors.Unsupported}, want: "paused or blacklisted"},
		"statuses that are not ticked":   {counts: activities.Counts{Statuses: activities.Tally{Missing: 1}}, want: "sms.delivered"},
		"ids that are different from it": {counts: missing, differ: true, want: "different ids"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a, _ := walking(t)
			a.webhooks, a.err = c.webhooks, c.err
			log, metrics := &bytes.Buffer{}, &told{}
			w.acts.Log, w.acts.Metrics = hclog.New(&hclog.LoggerOptions{Output: log}), metrics
			cause, err := run[string](w, w.acts.TellReconciled, activities.ReconciledInput{Account: "main", Counts: c.counts, IDsDiffer: c.differ})
			require.NoError(t, err)
			require.Equal(t, []string{fmt.Sprint("main ", c.counts.Missing, " ", c.differ)}, metrics.counts)
			require.NotContains(t, log.String()+cause, "the-token")
			if c.want == "" {
				require.Empty(t, cause)
				require.NotContains(t, log.String(), "[WARN]")
				return
			}
			require.Contains(t, cause, c.want)
			require.Contains(t, log.String(), "[WARN]")
		})
	}
}
