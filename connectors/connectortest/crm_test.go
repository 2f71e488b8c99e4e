package connectortest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

// client opens testcrm on a CRM, as a worker in another process would.
func client(t *testing.T, crm *CRM) *testcrm {
	t.Helper()
	text := "base_url: " + crm.Start(t) + "\nclass: " + string(crm.options.Class) + "\ntoken: " + crm.options.Token
	c, err := openTestCRM(Config("t", text), connectors.Env{Client: &http.Client{Transport: &http.Transport{}}})
	require.NoError(t, err)
	return c
}

func TestFaultsThatRefuse(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{Token: "tok"})
	c := client(t, crm)
	r := record(1, connectors.Ref{})
	for _, f := range []struct {
		set        func(*Faults)
		kind       connectors.Kind
		retryAfter time.Duration
	}{
		{func(f *Faults) { f.Down = true }, connectors.Unavailable, 0},
		{func(f *Faults) { f.DownUntil = time.Now().Add(time.Hour) }, connectors.Unavailable, 0},
		{func(f *Faults) { f.Limited, f.RetryAfter = true, 1500*time.Millisecond }, connectors.RateLimited, 2 * time.Second},
		{func(f *Faults) { f.LimitEvery = 1 }, connectors.RateLimited, 0},
		{func(f *Faults) { f.Unauthorized = true }, connectors.Auth, 0},
		{func(f *Faults) { f.CutEvery = 1 }, connectors.Unavailable, 0},
		{func(f *Faults) { f.PageEvery = 1 }, connectors.Unavailable, 0},
		{func(f *Faults) { f.Poison = []string{"msg_1"} }, connectors.Invalid, 0},
	} {
		crm.SetFaults(f.set)
		out := c.PutMessages(t.Context(), []connectors.Record{r})[0]
		require.Equal(t, connectors.Failed, out.State)
		require.Equal(t, f.kind, out.Err.Kind)
		require.Equal(t, f.retryAfter, out.Err.RetryAfter)
		require.Empty(t, crm.Messages())
		crm.SetFaults(func(f *Faults) { *f = Faults{} })
	}
	crm.SetFaults(func(f *Faults) { f.UnauthorizedOnce = true })
	require.Equal(t, connectors.Auth, c.PutMessages(t.Context(), []connectors.Record{r})[0].Err.Kind)
	require.Equal(t, connectors.Written, c.PutMessages(t.Context(), []connectors.Record{r})[0].State)
	require.Equal(t, 10, crm.Requests()["put"])
}

func TestLostAnswerDoublesOnlyInClassD(t *testing.T) {
	t.Parallel()
	for class, want := range map[connectors.Class]int{"A": 1, "B": 1, "C": 1, "D": 2} {
		crm := NewCRM(CRMOptions{Class: class})
		c := client(t, crm)
		crm.SetFaults(func(f *Faults) { f.LoseEvery = 1 })
		r := []connectors.Record{record(1, connectors.Ref{})}
		out := c.PutMessages(t.Context(), r)[0]
		require.True(t, out.Err.Ambiguous)
		crm.SetFaults(func(f *Faults) { f.LoseEvery = 0 })
		c.PutMessages(t.Context(), r)
		require.Len(t, crm.Messages(), want, "class %s", class)
		require.Equal(t, want > 1, crm.Doubles()["main/msg_1"] == 2)
	}
}

func TestLateWriteLandsAfterSettle(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{Class: "D", Settle: 20 * time.Millisecond})
	c := client(t, crm)
	crm.SetFaults(func(f *Faults) { f.LateEvery = 1 })
	start := time.Now()
	out := c.PutMessages(t.Context(), []connectors.Record{record(1, connectors.Ref{})})[0]
	require.True(t, out.Err.Ambiguous)
	require.Eventually(t, func() bool { return crm.Pending() == 0 }, 5*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
	require.Len(t, crm.Messages(), 1)
}

func TestSearchLag(t *testing.T) {
	t.Parallel()
	for lag, seen := range map[time.Duration]bool{time.Hour: false, time.Millisecond: true} {
		crm := NewCRM(CRMOptions{Class: "D", SearchLag: lag, MessageLag: lag})
		c := client(t, crm)
		_, err := c.CreateContact(t.Context(), connectors.NewContact{Phone: phone(1)})
		require.NoError(t, err)
		text := []connectors.Record{record(1, connectors.Ref{})}
		c.PutMessages(t.Context(), text)
		found := func() bool {
			contacts, err := c.FindContacts(t.Context(), []sms.Phone{phone(1)})
			require.NoError(t, err)
			texts, err := c.FindMessages(t.Context(), text)
			require.NoError(t, err)
			return len(contacts[0]) == 1 && len(texts[0]) == 1
		}
		if seen {
			require.Eventually(t, found, 5*time.Second, 5*time.Millisecond)
		} else {
			require.False(t, found())
		}
	}
}

func TestContactDoublesMergeAndHistory(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{})
	c := client(t, crm)
	var refs []connectors.Ref
	for range 2 {
		contact, err := c.CreateContact(t.Context(), connectors.NewContact{Key: "k", Phone: phone(1)})
		require.NoError(t, err)
		refs = append(refs, contact.Ref)
	}
	require.Equal(t, map[sms.Phone]int{phone(1): 2}, crm.ContactDoubles())
	r := record(1, refs[0])
	c.PutMessages(t.Context(), []connectors.Record{r})
	c.UpdateStatus(t.Context(), []connectors.StatusChange{change(r, sms.StatusFailed)})
	crm.MergeContacts(refs[0].ID, refs[1].ID)
	require.Equal(t, refs[1].ID, crm.Messages()[0].Contact)
	require.Len(t, crm.Contacts(), 1)
	out := c.SetConsent(t.Context(), []connectors.ConsentChange{optOut(refs[0], 1)})[0]
	require.Equal(t, connectors.NotFound, out.Err.Kind, "the contact that was merged away")
	c.SetConsent(t.Context(), []connectors.ConsentChange{optOut(refs[1], 1)})
	history := crm.History()
	require.Len(t, history, 2)
	require.Equal(t, Change{Op: "status", Key: r.Key, Value: "failed", Reason: "unreachable", At: r.Message.At.Add(time.Minute)}, history[0])
	require.Equal(t, "out", history[1].Value)
}

func TestTooLargeABatchIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{MaxBatch: 1})
	out := client(t, crm).PutMessages(t.Context(), []connectors.Record{record(1, connectors.Ref{}), record(2, connectors.Ref{})})
	require.True(t, out[0].Err.WholeBatch)
	require.Empty(t, crm.Messages())
}

func TestChanceIsRepeatable(t *testing.T) {
	t.Parallel()
	draw := func() (out []bool) {
		crm := NewCRM(CRMOptions{Seed: 7})
		for range 64 {
			out = append(out, crm.oneIn(3))
		}
		return out
	}
	first, second := draw(), draw()
	require.Equal(t, first, second)
	require.Contains(t, first, true)
}

func TestConfigIsStrict(t *testing.T) {
	t.Parallel()
	var cfg testcrmConfig
	require.NoError(t, Config("x", "type: testcrm\nsince: 2026-01-01\nbase_url: http://x").Decode(&cfg))
	require.Equal(t, "http://x", cfg.BaseURL)
	require.ErrorContains(t, Config("x", "bse_url: http://x").Decode(&cfg), "bse_url")
	require.ErrorContains(t, Config("x", "[]").Decode(&cfg), "keys and values")
	require.NoError(t, Config("x", "").Decode(&cfg))
	require.Equal(t, "x", Config("x", "").Name())
}
