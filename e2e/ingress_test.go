package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/devstack"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/internal/lane"
	"crmsync/internal/ledger"
	"crmsync/workflows"
)

// url is the webhook's with that token; without one it is the bare URL.
func (p *process) url(token string) string {
	url := "http://" + p.address + "/webhooks/justcall/main"
	if token != "" {
		url += "/" + token
	}
	return url
}

// request is a webhook; zero values are those of a good one.
type request struct {
	name         string
	method, path string
	header       http.Header
	body         string
	status       int
	result       string
}

const withToken = "/webhooks/justcall/main/" + token

// classic is a webhook of a received text with something changed.
func classic(change func(top, data map[string]any)) string {
	var top map[string]any
	_ = json.Unmarshal(inbound("msg_bad", "+15125551234", "hello").json(), &top)
	change(top, top["data"].(map[string]any))
	out, _ := json.Marshal(top)
	return string(out)
}

func withID(id any) string {
	return classic(func(_, data map[string]any) { data["message_id"] = id })
}

// TestBadInput posts what nobody should, and what JustCall might.
func TestBadInput(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{justcall: signedAccount})
	p := st.daemon()
	kept := 0
	for _, r := range badRequests() {
		a := p.request(t, r)
		require.Equal(t, r.status, a.Status, r.name)
		require.Equal(t, r.result, a.Result, r.name)
		if r.result == "quarantined" {
			kept++
			require.NotEmpty(t, a.Reason, r.name)
			require.Equal(t, r.body, string(st.quarantined(a.Key).Body), "%s: what was authentic is kept", r.name)
		}
	}
	eventually(t, time.Minute, "all that was kept is listed as parked", func() bool { return st.count(parkedBodies) == kept })
	require.Equal(t, kept, st.count("WorkflowType = 'Quarantine'"))
}

const parkedBodies = "crmsync_state = 'parked' AND WorkflowType = 'Quarantine' AND ExecutionStatus = 'Running'"

func badRequests() []request {
	good := string(inbound("msg_good", "+15125551234", "hello").json())
	v21 := string(justcalltest.Sample("v21_received"))
	forged := justcalltest.Sign("somebody else's secret", publicURL, "sms.received", time.Now())
	return []request{
		{name: "truncated JSON", path: withToken, body: good[:len(good)/2], status: 200, result: "quarantined"},
		{name: "no JSON", path: withToken, body: "message_id=1&from=2", status: 200, result: "quarantined"},
		{name: "a list", path: withToken, body: "[]", status: 200, result: "quarantined"},
		{name: "event of a wrong type", path: withToken, body: `{"event":7,"data":{}}`, status: 200, result: "quarantined"},
		{name: "data of a wrong type", path: withToken, body: classic(func(top, _ map[string]any) { top["data"] = []int{1} }), status: 200, result: "quarantined"},
		{name: "number of a wrong type", path: withToken, body: classic(func(_, data map[string]any) { data["from"] = []string{"+1"} }), status: 200, result: "quarantined"},
		{name: "no number", path: withToken, body: classic(func(_, data map[string]any) { delete(data, "from") }), status: 200, result: "quarantined"},
		{name: "no instant", path: withToken, body: classic(func(top, _ map[string]any) { delete(top, "timestamp") }), status: 200, result: "quarantined"},
		{name: "id with a control character", path: withToken, body: withID("msg\x07bell"), status: 200, result: "quarantined"},
		{name: "id with a line feed", path: withToken, body: withID("msg\n/sms.sent"), status: 200, result: "quarantined"},
		{name: "id of 2,000 characters", path: withToken, body: withID(strings.Repeat("x", 2000)), status: 200, result: "quarantined"},
		{name: "right token, wrong signature", path: withToken, header: forged, body: v21, status: 200, result: "quarantined"},

		{name: "10 MiB", path: withToken, body: strings.Repeat(" ", 10<<20), status: 413, result: "too_large"},
		{name: "unknown account", path: "/webhooks/justcall/nobody/" + token, body: good, status: 404, result: "unknown_account"},
		{name: "forged signature", path: "/webhooks/justcall/main", header: forged, body: v21, status: 401, result: "unauthorized"},
		{name: "forged signature and wrong token", path: "/webhooks/justcall/main/guess", header: forged, body: v21, status: 401, result: "unauthorized"},
		{name: "wrong token", path: "/webhooks/justcall/main/guess", body: good, status: 401, result: "unauthorized"},
		{name: "no token", path: "/webhooks/justcall/main", body: good, status: 401, result: "unauthorized"},
		{name: "wrong token and no JSON", path: "/webhooks/justcall/main/guess", body: "{", status: 401, result: "unauthorized"},
		{name: "unknown event", path: withToken, body: string(justcalltest.Sample("classic_other_type")), status: 200, result: "ignored"},

		{name: "no text but media", path: withToken, body: classic(func(_, data map[string]any) {
			data["message_id"], data["body"], data["media_urls"] = "msg_media", "", []string{"https://media.example.com/a.png"}
		}), status: 200, result: "accepted"},

		{name: "ping: empty body", path: withToken, status: 200, result: "ping"},
		{name: "ping: empty object", path: withToken, body: "{}", status: 200, result: "ping"},
		{name: "ping: names the webhook only", path: withToken, body: string(justcalltest.Sample("v21_ping")), status: 200, result: "ping"},
		{name: "ping: before a token is known", path: "/webhooks/justcall/main", body: "{}", status: 200, result: "ping"},
		{name: "GET", method: http.MethodGet, path: withToken, status: 200, result: "ping"},
		{name: "PUT", method: http.MethodPut, path: withToken, body: good, status: 405, result: "method_not_allowed"},
	}
}

func (p *process) request(t *testing.T, r request) answer {
	t.Helper()
	a, err := send(cmp.Or(r.method, http.MethodPost), "http://"+p.address+r.path, r.header, strings.NewReader(r.body))
	require.NoError(t, err, r.name)
	return a
}

// quarantined reads what a Quarantine workflow was started with.
func (st *stack) quarantined(id string) activities.Quarantined {
	st.t.Helper()
	st.begun(id)
	history := st.client.GetWorkflowHistory(st.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	require.True(st.t, history.HasNext())
	started, err := history.Next()
	require.NoError(st.t, err)
	var in workflows.QuarantineInput
	err = converter.GetDefaultDataConverter().FromPayloads(started.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	require.NoError(st.t, err)
	return in.Quarantined
}

// TestQuarantineIsRepaired skips one body, retries one that still cannot be
// read, and one whose signature was the only thing wrong.
func TestQuarantineIsRepaired(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{justcall: signedAccount})
	p := st.daemon()
	broken := p.request(t, request{path: withToken, body: `{"event":`}).Key
	unsure := p.request(t, request{
		path: withToken, body: string(justcalltest.Sample("v21_received")),
		header: justcalltest.Sign("a rotated secret", publicURL, "sms.received", time.Now()),
	}).Key
	eventually(t, time.Minute, "both are parked", func() bool { return st.count(parkedBodies) == 2 })

	require.NoError(t, st.update(unsure, workflows.UpdateRetry, workflows.Repair{}))
	require.Equal(t, activities.Admitted{Result: "accepted", Key: "main/90071992547409931/sms.received"}, st.admitted(unsure))
	require.Equal(t, connectors.Written, st.result("main/90071992547409931/sms.received").Deliveries["crm"].State)

	require.NoError(t, st.update(broken, workflows.UpdateRetry, workflows.Repair{}))
	eventually(t, time.Minute, "it was decoded again, in vain", func() bool {
		return st.happened(broken, enums.EVENT_TYPE_ACTIVITY_TASK_FAILED) == 1
	})
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, st.status(broken))
	eventually(t, time.Minute, "it is parked again", func() bool { return st.count(parkedBodies) == 1 })
	eventually(t, time.Minute, "it can be skipped", func() bool {
		return st.update(broken, workflows.UpdateSkip, workflows.Repair{Reason: "nonsense"}) == nil
	})
	require.Equal(t, activities.Admitted{Result: "skipped"}, st.admitted(broken))
	eventually(t, time.Minute, "none is parked any more", func() bool { return st.count(parkedBodies) == 0 })
	require.Len(t, st.crm.Messages(), 1)
}

// admitted waits for the end of a Quarantine workflow.
func (st *stack) admitted(id string) (out activities.Admitted) {
	st.t.Helper()
	require.NoError(st.t, st.client.GetWorkflow(st.t.Context(), id, "").Get(st.t.Context(), &out))
	return out
}

// happened counts the events of a type in a workflow's history.
func (st *stack) happened(id string, typ enums.EventType) (n int) {
	history := st.client.GetWorkflowHistory(st.t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return n
		}
		if event.GetEventType() == typ {
			n++
		}
	}
	return n
}

// update sends a workflow one of the updates that repair it.
func (st *stack) update(id, verb string, r workflows.Repair) error {
	handle, err := st.client.UpdateWorkflow(st.t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: verb, Args: []any{r}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(st.t.Context(), nil)
}

// TestSlowClients sends requests that never end.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the daemon's patience to end: 15 s")
	}
	p := newStack(t, setup{}).daemon()
	for name, c := range map[string]struct{ sent, answered string }{
		"in the header": {"POST " + withToken + " HTTP/1.1\r\nHost: x\r\nX-Slow: ", ""},
		"in the body":   {"POST " + withToken + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"event\"", "HTTP/1.1 503 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection, err := net.Dial("tcp", p.address)
			require.NoError(t, err)
			defer connection.Close()
			require.NoError(t, connection.SetDeadline(time.Now().Add(40*time.Second)))
			_, err = io.WriteString(connection, c.sent)
			require.NoError(t, err)
			answered, err := io.ReadAll(connection)
			require.NoError(t, err, "it is cut off before we lose patience")
			require.True(t, strings.HasPrefix(string(answered), c.answered), string(answered))
			require.Equal(t, c.answered == "", len(answered) == 0, string(answered))
		})
	}
}

// ownTemporal starts a server that the test may stop and kill.
func ownTemporal(t *testing.T, address string) *devstack.Temporal {
	t.Helper()
	return temporalIn(t, t.TempDir(), address)
}

// temporalIn is a server that keeps its data in the folder.
func temporalIn(t *testing.T, folder, address string) *devstack.Temporal {
	t.Helper()
	server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{
		DataFile: filepath.Join(folder, "temporal.sqlite"), Address: address, Fixed: address != "",
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Kill() })
	return server
}

// TestTemporalAway kills Temporal between two texts: the second one waits in
// Redis.
func TestTemporalAway(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{temporal: ownTemporal(t, "")})
	p := st.daemon()
	before := inbound("msg_before", "+15125551234", "before").json()
	meanwhile := inbound("msg_meanwhile", "+15125551234", "meanwhile").json()
	p.accepted(before)
	st.result("main/msg_before/sms.received")

	require.NoError(t, st.temporal.Kill())
	status, _, took := p.timed(t, meanwhile)
	t.Logf("accepted after %s", took)
	require.Equal(t, http.StatusOK, status)
	require.Less(t, took, 2*time.Second) // 150 ms, and what a busy machine adds
	require.True(t, p.isReady(), "the spool is enough")
	require.Equal(t, "duplicate", p.post(before).Result, "what was kept before is not asked for again")
	require.Equal(t, "quarantined", p.post([]byte(`{"event":`)).Result)

	require.NoError(t, st.temporal.Restart(t.Context()))
	p.ready()
	eventually(t, time.Minute, "it is delivered by itself", func() bool { return len(st.crm.Messages()) == 2 })
	eventually(t, time.Minute, "the body is parked", func() bool { return st.count(parkedBodies) == 1 })
	require.Equal(t, connectors.Written, st.result("main/msg_meanwhile/sms.received").Deliveries["crm"].State)
	require.Equal(t, "duplicate", p.post(meanwhile).Result)
	require.Empty(t, st.crm.Doubles())
}

// timed posts a webhook and answers the status, the header Retry-After, and how
// long that took.
func (p *process) timed(t *testing.T, body []byte) (int, string, time.Duration) {
	t.Helper()
	begun := time.Now()
	response, err := http.Post(p.url(token), "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After"), time.Since(begun)
}

// TestRedisAway kills Redis: texts are accepted and delivered as ever.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{})
	p := st.daemon()
	require.NoError(t, st.redis.Kill())
	for i := range 3 {
		id := fmt.Sprintf("msg_away%d", i)
		body := inbound(id, "+15125551234", "without Redis").json()
		p.taken(body)
		require.Equal(t, "duplicate", p.post(body).Result, "Temporal knows it")
		require.Equal(t, connectors.Written, st.result("main/" + id + "/sms.received").Deliveries["crm"].State)
	}
	require.Len(t, st.crm.Messages(), 3)
	require.Empty(t, st.crm.Doubles())
	require.Empty(t, st.crm.ContactDoubles())
	require.Equal(t, 1, strings.Count(p.log.String(), "redis is down"), "it is said once")
	require.False(t, p.detail().Redis.Up)
}

// readiness is the detail that the daemon shows to operators.
type readiness struct {
	Status   string
	Roles    []string
	Temporal bool
	Redis    ledger.State `json:"redis"`
	Spool    *struct{ Waiting int64 }
	Lanes    map[string]lane.State
}

func (p *process) detail() (d readiness) {
	p.st.t.Helper()
	response, err := http.Get("http://" + p.admin + "/readyz")
	require.NoError(p.st.t, err)
	defer response.Body.Close()
	require.NoError(p.st.t, json.NewDecoder(response.Body).Decode(&d))
	return d
}
