package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/ledger"
)

const (
	eventKey   = "main/msg_abc123/sms.received"
	messageKey = "main/msg_abc123"
	numberHash = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	emailHash  = "00112233445566778899aabbccddeeff"
)

var (
	contact = ledger.Contact{Ref: connectors.Ref{Type: "contact", ID: "1", Parent: "9", URL: "https://crm.example.com/1"}, OwnerID: "7", How: "found"}
	record  = connectors.Ref{Type: "communication", ID: "77"}
)

// patient is a time limit that a busy machine does not reach.
const patient = 5 * time.Second

// counter keeps what OnOp was told.
type counter struct {
	mu      sync.Mutex
	last    map[string]error
	n       map[string]int
	skipped map[string]int
}

func (c *counter) onOp(op string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last, c.n, c.skipped = map[string]error{}, map[string]int{}, map[string]int{}
	}
	c.last[op] = err
	c.n[op]++
	if errors.Is(err, ledger.ErrSkipped) {
		c.skipped[op]++
	}
}

func (c *counter) lastOf(op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[op]
}

func open(t *testing.T, o ledger.Options) *ledger.Ledger {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	l, err := ledger.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func openMini(t *testing.T) (*ledger.Ledger, *miniredis.Miniredis, *counter) {
	t.Helper()
	m, c := miniredis.RunT(t), &counter{}
	l := open(t, ledger.Options{URL: "redis://" + m.Addr(), Name: "test", OnOp: c.onOp})
	l.Bind("ns1")
	return l, m, c
}

func TestRemembers(t *testing.T) {
	t.Parallel()
	l, m, c := openMini(t)
	remembers(t, l)
	require.Equal(t, []string{
		"test:ns1:contact:hubspot:" + numberHash,
		"test:ns1:intent:hubspot:" + messageKey,
		"test:ns1:line:main:" + numberHash,
		"test:ns1:owner:hubspot:" + emailHash,
		"test:ns1:record:hubspot:" + messageKey,
		"test:ns1:seen:" + eventKey,
	}, m.Keys(), "names are persisted: append-only")
	require.Equal(t, 24*time.Hour, m.TTL("test:ns1:contact:hubspot:"+numberHash))
	for _, key := range []string{"intent:hubspot:" + messageKey, "record:hubspot:" + messageKey, "seen:" + eventKey} {
		require.Equal(t, 30*24*time.Hour, m.TTL("test:ns1:"+key))
	}
	require.Equal(t, map[string]int{
		"seen": 2, "mark_seen": 1, "contact": 4, "remember_contact": 2, "forget_contact": 1,
		"record": 4, "remember_record": 2, "forget_record": 1, "win_intent": 3, "mark_line": 1, "line": 3, "owner": 3, "remember_owner": 1,
	}, c.n)
}

// remembers goes through every kind of memory once and leaves all of them
// behind.
func remembers(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	ctx := t.Context()

	require.False(t, l.Seen(ctx, eventKey))
	l.MarkSeen(ctx, eventKey)
	require.True(t, l.Seen(ctx, eventKey))

	require.False(t, l.Line(ctx, "main", numberHash))
	l.MarkLine(ctx, "main", numberHash)
	require.True(t, l.Line(ctx, "main", numberHash))
	require.False(t, l.Line(ctx, "other", numberHash), "another account's line")

	_, found := l.Contact(ctx, "hubspot", numberHash)
	require.False(t, found)
	l.RememberContact(ctx, "hubspot", numberHash, contact)
	got, found := l.Contact(ctx, "hubspot", numberHash)
	require.True(t, found)
	require.Equal(t, contact, got)
	_, found = l.Contact(ctx, "close", numberHash)
	require.False(t, found, "another connector's contact")
	l.ForgetContact(ctx, "hubspot", numberHash)
	_, found = l.Contact(ctx, "hubspot", numberHash)
	require.False(t, found)
	l.RememberContact(ctx, "hubspot", numberHash, contact)

	_, found = l.Record(ctx, "hubspot", messageKey)
	require.False(t, found)
	l.RememberRecord(ctx, "hubspot", messageKey, record)
	ref, found := l.Record(ctx, "hubspot", messageKey)
	require.True(t, found)
	require.Equal(t, record, ref)
	_, found = l.Record(ctx, "close", messageKey)
	require.False(t, found)
	l.ForgetRecord(ctx, "hubspot", messageKey)
	_, found = l.Record(ctx, "hubspot", messageKey)
	require.False(t, found)
	l.RememberRecord(ctx, "hubspot", messageKey, record)
	l.RememberRecord(ctx, "hubspot", messageKey, connectors.Ref{})

	_, found = l.Owner(ctx, "hubspot", emailHash)
	require.False(t, found)
	l.RememberOwner(ctx, "hubspot", emailHash, "42")
	id, found := l.Owner(ctx, "hubspot", emailHash)
	require.True(t, found)
	require.Equal(t, "42", id)
	_, found = l.Owner(ctx, "close", emailHash)
	require.False(t, found, "another connector's user")

	require.True(t, l.WinIntent(ctx, "hubspot", messageKey))
	require.False(t, l.WinIntent(ctx, "hubspot", messageKey), "the second one loses")
	require.False(t, l.WinIntent(ctx, "hubspot", messageKey))
}

func TestIntentHasOneWinner(t *testing.T) {
	t.Parallel()
	l, _, _ := openMini(t)
	var wins sync.Map
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if l.WinIntent(t.Context(), "hubspot", messageKey) {
				wins.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n)
}

func TestContactIsNotRenewedByUse(t *testing.T) {
	t.Parallel()
	l, m, _ := openMini(t)
	l.RememberContact(t.Context(), "hubspot", numberHash, contact)
	m.FastForward(23 * time.Hour)
	_, found := l.Contact(t.Context(), "hubspot", numberHash)
	require.True(t, found)
	m.FastForward(2 * time.Hour)
	_, found = l.Contact(t.Context(), "hubspot", numberHash)
	require.False(t, found)
}

// Whoever is made a user of the CRM because his texts lack an owner does not
// wait for a day.
func TestThatThereIsNoOwnerIsForgottenSooner(t *testing.T) {
	t.Parallel()
	l, m, _ := openMini(t)
	ctx := t.Context()
	l.RememberOwner(ctx, "hubspot", emailHash, "42")
	l.RememberOwner(ctx, "close", emailHash, "")
	id, found := l.Owner(ctx, "close", emailHash)
	require.True(t, found)
	require.Empty(t, id)
	m.FastForward(2 * time.Hour)
	_, found = l.Owner(ctx, "close", emailHash)
	require.False(t, found)
	_, found = l.Owner(ctx, "hubspot", emailHash)
	require.True(t, found)
	m.FastForward(23 * time.Hour)
	_, found = l.Owner(ctx, "hubspot", emailHash)
	require.False(t, found)
}

func TestBeforeBindNothingIsKnown(t *testing.T) {
	t.Parallel()
	m, c := miniredis.RunT(t), &counter{}
	l := open(t, ledger.Options{URL: "redis://" + m.Addr(), OnOp: c.onOp})
	ctx := t.Context()

	l.MarkSeen(ctx, eventKey)
	l.RememberContact(ctx, "hubspot", numberHash, contact)
	l.RememberRecord(ctx, "hubspot", messageKey, record)
	require.False(t, l.Seen(ctx, eventKey))
	require.False(t, l.WinIntent(ctx, "hubspot", messageKey))
	require.Empty(t, m.Keys())
	require.ErrorIs(t, c.lastOf("seen"), ledger.ErrUnbound)
	require.True(t, l.State().Up)
	require.NoError(t, l.Ping(ctx))
}

// A Temporal that was set up anew must not be hidden behind old keys, nor one
// deployment behind another's.
func TestNamespacesAndDeploymentsAreApart(t *testing.T) {
	t.Parallel()
	l, m, _ := openMini(t)
	ctx := t.Context()
	l.MarkSeen(ctx, eventKey)
	require.True(t, l.WinIntent(ctx, "hubspot", messageKey))

	l.Bind("ns2")
	require.False(t, l.Seen(ctx, eventKey))
	require.True(t, l.WinIntent(ctx, "hubspot", messageKey))

	other := open(t, ledger.Options{URL: "redis://" + m.Addr(), Name: "other"})
	other.Bind("ns1")
	require.False(t, other.Seen(ctx, eventKey))

	l.Bind("ns1")
	require.True(t, l.Seen(ctx, eventKey))
}

func TestDefaultNameIsCrmsync(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	l := open(t, ledger.Options{URL: "redis://" + m.Addr()})
	l.Bind("ns1")
	l.MarkSeen(t.Context(), eventKey)
	require.Equal(t, []string{"crmsync:ns1:seen:" + eventKey}, m.Keys())
}

// What somebody else wrote under our name is a miss, not a failure.
func TestUnreadableValueIsAMiss(t *testing.T) {
	t.Parallel()
	l, m, _ := openMini(t)
	for _, value := range []string{"not json", `{"ref":5}`, "[]", ""} {
		require.NoError(t, m.Set("test:ns1:contact:hubspot:"+numberHash, value))
		got, found := l.Contact(t.Context(), "hubspot", numberHash)
		require.False(t, found, value)
		require.Zero(t, got)
	}
	require.NoError(t, m.Set("test:ns1:record:hubspot:"+messageKey, "{}"))
	_, found := l.Record(t.Context(), "hubspot", messageKey)
	require.False(t, found, "a reference to nothing")
	require.True(t, l.State().Up)
}

func TestCallerWhoGivesUpSaysNothingOfRedis(t *testing.T) {
	t.Parallel()
	l, _, c := openMini(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, l.WinIntent(gone, "hubspot", messageKey))
	require.Error(t, c.lastOf("win_intent"))
	require.True(t, l.State().Up)
}

func TestClosedIsAMiss(t *testing.T) {
	t.Parallel()
	l, _, _ := openMini(t)
	l.MarkSeen(t.Context(), eventKey)
	require.NoError(t, l.Close())
	require.False(t, l.Seen(t.Context(), eventKey))
	require.False(t, l.WinIntent(t.Context(), "hubspot", messageKey))
}
