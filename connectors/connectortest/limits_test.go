package connectortest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

func searches(r *http.Request) int {
	if strings.HasSuffix(r.URL.Path, "/search") {
		return 1
	}
	return 0
}

func TestLimitIsRolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{Limit: connectors.Limit{Amount: 2, Window: 10 * time.Second}}
		fits := func(after time.Duration) bool {
			<-time.After(after)
			l.expire(time.Now())
			ok := l.used+1 <= l.Amount
			if ok {
				l.take(time.Now(), 1)
			}
			return ok
		}
		require.True(t, fits(0))
		require.True(t, fits(9*time.Second))
		require.False(t, fits(999*time.Millisecond))
		require.True(t, fits(time.Millisecond), "what is one window old is out of it")
		require.False(t, fits(8999*time.Millisecond))
		require.True(t, fits(time.Millisecond))
	})
}

func TestLimitOfADay(t *testing.T) {
	t.Parallel()
	l := newLimiters([]connectors.Limit{{Amount: 10, Midnight: "America/New_York"}})[0]
	at := time.Date(2026, 11, 21, 4, 59, 59, 0, time.UTC)
	l.take(at, 7)
	l.expire(at)
	require.Equal(t, 3, l.left())
	l.expire(at.Add(time.Second))
	require.Equal(t, 10, l.left())
}

func TestLimitsAreEnforced(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{Limits: []connectors.Limit{
		{Name: "all", Amount: 3, Window: time.Hour},
		{Name: "search", Amount: 1, Window: time.Hour, Cost: searches},
	}})
	c := client(t, crm)
	_, err := c.FindContacts(t.Context(), []sms.Phone{phone(1)})
	require.NoError(t, err)
	crm.SetFaults(func(f *Faults) { f.RetryAfter = 7 * time.Second })
	_, err = c.FindContacts(t.Context(), []sms.Phone{phone(1)})
	e := connectors.AsError("", err)
	require.Equal(t, connectors.RateLimited, e.Kind)
	require.Equal(t, 7*time.Second, e.RetryAfter)
	_, err = c.Check(t.Context())
	require.NoError(t, err, "a request that was refused took nothing")
	require.Equal(t, 1, crm.Spend("all", 5), "others get what is left")
	require.Zero(t, crm.Spend("unknown", 1))
	_, err = c.Check(t.Context())
	require.Equal(t, connectors.RateLimited, connectors.AsError("", err).Kind)
	require.Equal(t, map[string]int{"search": 1, "all": 1}, crm.Limited())
	require.Equal(t, map[string]int{"check": 2, "find_contacts": 2}, crm.Requests(), "refused ones count as arrived")
}

func TestAnswersSayWhatIsLeft(t *testing.T) {
	t.Parallel()
	crm := NewCRM(CRMOptions{Limits: []connectors.Limit{
		{Name: "all", Amount: 3, Window: time.Hour},
		{Name: "search", Amount: 1, Window: time.Hour, Cost: searches},
	}})
	response, err := http.Get(crm.Start(t) + "/check")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, []connectors.Usage{{Limit: "all", Remaining: 2}}, Definition(Options{}).Usage(response.Header))
	require.Nil(t, Definition(Options{Silent: true}).Usage)
}
