package ingress

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
)

// counts keeps what Metrics was told.
type counts struct {
	mu    sync.Mutex
	n     map[string]map[Outcome]int
	spool map[SpoolEvent]int
}

func (c *counts) Spool(what SpoolEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spool == nil {
		c.spool = map[SpoolEvent]int{}
	}
	c.spool[what]++
}

func (c *counts) spoolEvents() map[SpoolEvent]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.spool)
}

func (c *counts) Webhook(account string, o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]map[Outcome]int{}
	}
	if c.n[account] == nil {
		c.n[account] = map[Outcome]int{}
	}
	c.n[account][o]++
}

// TestOutcomes: every answer is one of a few, whatever was posted.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer Answer
		want   Outcome
	}{
		{Answer{Result: Accepted, Key: "main/msg_1/sms.received"}, Outcome{Accepted, ""}},
		{Answer{Result: Duplicate, Key: "main/msg_1/sms.received"}, Outcome{Duplicate, ""}},
		{Answer{Result: Quarantined, Reason: "webhook: body: not a JSON object"}, Outcome{Quarantined, ""}},
		{Answer{Result: Ping}, Outcome{Ping, ""}},
		{Answer{Result: Ignored, Reason: string(justcall.ReasonOtherType)}, Outcome{Ignored, "other_type"}},
		{Answer{Result: Ignored, Key: "main/msg_1/sms.received", Reason: "a sentence"}, Outcome{Ignored, "no_connector"}},
		{Answer{Result: Refused, Reason: "a sentence"}, Outcome{"refused", "unauthorized"}},
		{Answer{Result: Unavailable, Reason: "a sentence"}, Outcome{"refused", "unavailable"}},
	} {
		require.Equal(t, c.want, outcome(c.answer))
		require.Contains(t, Outcomes(), c.want)
	}
}

func TestWebhooksAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	told := &counts{}
	b.door.Metrics = told
	b.serve(http.MethodPost, good, strings.NewReader(string(classic("sms.received"))))
	b.serve(http.MethodPost, good, strings.NewReader(string(classic("sms.received"))))
	b.serve(http.MethodPost, good, strings.NewReader(`{"event":`))
	b.serve(http.MethodPost, good+"x", strings.NewReader(`{"event":`))
	b.serve(http.MethodPost, "/webhooks/justcall/nobody", nil)
	require.Equal(t, map[string]map[Outcome]int{
		"main":   {{Accepted, ""}: 1, {Duplicate, ""}: 1, {Quarantined, ""}: 1, {"refused", Refused}: 1},
		"nobody": {{"refused", NoAccount}: 1},
	}, told.n)
}
