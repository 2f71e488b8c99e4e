package worker

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"crmsync/internal/budget"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/justcall/api"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/internal/ledger"
	"crmsync/internal/metrics"
	"crmsync/sms"
)

// Accounts with credentials have a client, with metrics and a budget of its own.
func TestJustCallOfAnAccount(t *testing.T) {
	t.Parallel()
	fake := justcalltest.NewServer(justcalltest.Options{API: "v2.1"})
	t.Cleanup(fake.Close)
	fake.AddUser(justcalltest.User{ID: 42, Email: "bob@example.com", Lines: []sms.Phone{justcalltest.Line}})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	c := parse(t, `
justcall:
  main: { webhook: { token: a-token-that-is-long }, api: { base_url: "`+server.URL+`", version: v2.1, key: key, secret: secret, plan: pro } }
  other: { webhook: { token: a-token-that-is-long } }
connectors: { crm: { type: sandbox, base_url: http://127.0.0.1:1, accounts: [main, other] } }
`)
	memory, err := ledger.Open(ledger.Options{URL: devtest.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = memory.Close() })
	require.ElementsMatch(t, []string{"crm", "justcall:main", "justcall:other"}, called(c))
	measures, err := metrics.New(metrics.Options{Connectors: called(c)})
	require.NoError(t, err)
	all := openJustCall(c, way{metrics: measures, budgets: budget.New(memory)}, hclog.NewNullLogger())
	require.Len(t, all, 1)
	d := daemon{apis: all}
	require.NoError(t, measures.Watch(metrics.Sources{
		Redis: func() bool { return true }, Lanes: d.pauses, Budgets: d.budgets,
	}))

	apis, people := forActivities(all)
	_, err = apis["main"].Texts(t.Context(), api.Query{}, "")
	require.NoError(t, err)
	require.Equal(t, "bob@example.com", people["main"].Line(t.Context(), justcalltest.Line))
	page := httptest.NewRecorder()
	measures.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`crmsync_crm_requests_total{connector="justcall:main",method="GET",status="2xx"} 3`,
		`crmsync_budget_used{connector="justcall:main",limit="burst"} 3`,
		`crmsync_budget_share{connector="justcall:main",limit="burst"} 48`,
		`crmsync_budget_share{connector="justcall:main",limit="hourly"} 2880`,
	} {
		require.Contains(t, page.Body.String(), want)
	}
}
