package justcalltest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

// fast makes the half hour that JustCall waits 180 ms.
const fast = 0.0001

var begin = time.Date(2026, 3, 12, 14, 30, 0, 0, time.UTC)

// hook is our side: it answers what answer says to the n-th call from 1, 0 hangs
// up, and decodes what it takes.
type hook struct {
	*httptest.Server
	calls atomic.Int32
	keys  chan string
}

func newHook(t *testing.T, dialect justcall.Dialect, answer func(n int) int) *hook {
	t.Helper()
	h := &hook{keys: make(chan string, 1000)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := answer(int(h.calls.Add(1)))
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		env, err := justcall.Parse(body)
		if err == nil && dialect == justcall.V21 {
			err = justcall.Verify([]string{"signing"}, "https://sms.example.com/hook", env.Type(), r.Header, time.Now(), 0)
		}
		d, decodeErr := env.Decode(justcall.Input{Account: "main", Region: "US", Received: time.Now()})
		if err != nil || decodeErr != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(status)
		if status/100 == 2 {
			h.keys <- d.Event.Key()
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func sending(t *testing.T, dialect justcall.Dialect, url string) *justcalltest.Server {
	t.Helper()
	s := justcalltest.NewServer(justcalltest.Options{
		Dialect: dialect, URL: url, SignedURL: "https://sms.example.com/hook", SigningSecret: "signing", Scale: fast,
	})
	t.Cleanup(s.Close)
	return s
}

func quiet(t *testing.T, s *justcalltest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.True(t, s.Idle(ctx))
}

var dialects = []justcall.Dialect{justcall.Classic, justcall.V21}

// Every kind of event is posted in a form that the product understands.
func TestEveryKindIsPosted(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		h := newHook(t, dialect, func(int) int { return 200 })
		s := sending(t, dialect, h.URL)
		texts := justcalltest.MakeTexts(4, 1001, begin, time.Minute)
		s.Post(texts...)
		s.Deliver("1002", sms.StatusDelivered, "")
		s.Deliver("1004", sms.StatusFailed, "no route")
		s.Consent("+15125551234", true, begin)
		s.Consent("+15125551234", false, begin.Add(48*time.Hour))
		quiet(t, s)
		got := map[string]int{}
		for range 8 {
			got[<-h.keys]++
		}
		for _, key := range []string{
			"main/1001/sms.received", "main/1002/sms.sent", "main/1003/sms.received", "main/1004/sms.sent",
			"main/1002/sms.delivered", "main/1004/sms.failed",
		} {
			require.Equal(t, 1, got[key], key)
		}
		require.Len(t, got, 8)
		require.Len(t, s.Deliveries(), 8)
		for _, d := range s.Deliveries() {
			require.True(t, d.Answered)
			require.Len(t, d.Attempts, 1)
			if d.Kind.Text() {
				require.Positive(t, got[d.Key("main")])
			}
		}
		require.False(t, s.Paused())
		require.Empty(t, s.Lost())
		require.Equal(t, "Active", s.Status())
	}
}

// Classic: 30 s, 5 min and 30 min after any answer but 2xx, and then no more.
func TestClassicPauses(t *testing.T) {
	t.Parallel()
	patient := newHook(t, justcall.Classic, func(n int) int { return []int{404, 0, 503, 200}[n-1] })
	s := sending(t, justcall.Classic, patient.URL)
	s.Post(justcalltest.MakeTexts(1, 1001, begin, 0)...)
	quiet(t, s)
	require.Empty(t, s.Lost())
	require.False(t, s.Paused())
	attempts := s.Deliveries()[0].Attempts
	require.Len(t, attempts, 4)
	for i, wait := range []time.Duration{3 * time.Millisecond, 30 * time.Millisecond, 180 * time.Millisecond} {
		require.GreaterOrEqual(t, attempts[i+1].At.Sub(attempts[i].At), wait)
	}

	down := newHook(t, justcall.Classic, func(n int) int {
		if n <= 4 {
			return 503
		}
		return 200
	})
	s = sending(t, justcall.Classic, down.URL)
	s.Post(justcalltest.MakeTexts(1, 1001, begin, 0)...)
	quiet(t, s)
	require.True(t, s.Paused())
	s.Post(justcalltest.MakeTexts(2, 1002, begin, 0)...)
	quiet(t, s)
	require.Len(t, s.Lost(), 3, "nothing is posted any more")
	require.Len(t, s.Texts(), 3, "and all of it is in the API")
	require.EqualValues(t, 4, down.calls.Load())
	s.Reactivate()
	s.Post(justcalltest.MakeTexts(1, 1004, begin, 0)...)
	quiet(t, s)
	require.Equal(t, "main/1004/sms.received", <-down.keys)
	require.Len(t, s.Lost(), 3)
}

// 2.1: five attempts after some answers, one after others, and blacklisted at last.
func TestNewerDropsAndBlacklists(t *testing.T) {
	t.Parallel()
	for status, attempts := range map[int]int{500: 5, 502: 5, 503: 5, 504: 5, 429: 5, 400: 1, 401: 1, 404: 1, 501: 1, 302: 1} {
		h := newHook(t, justcall.V21, func(int) int { return status })
		s := sending(t, justcall.V21, h.URL)
		s.Post(justcalltest.MakeTexts(1, 1001, begin, 0)...)
		quiet(t, s)
		require.Len(t, s.Lost(), 1)
		require.Len(t, s.Lost()[0].Attempts, attempts, "%d", status)
		require.False(t, s.Paused())
	}
	h := newHook(t, justcall.V21, func(n int) int {
		if n <= 3 || n > 4 && n <= 14 {
			return 400
		}
		return 200
	})
	s := sending(t, justcall.V21, h.URL)
	for i, want := range []string{"Active", "Active", "Warning", "Active", "Active", "Active", "Warning"} {
		s.Post(justcalltest.MakeTexts(1, 1001+i, begin, 0)...)
		quiet(t, s)
		require.Equal(t, want, s.Status())
	}
	s.Post(justcalltest.MakeTexts(7, 1101, begin, 0)...)
	quiet(t, s)
	require.Equal(t, "Blacklisted", s.Status())
	require.True(t, s.Paused())
}

// Close gives up what waits to be tried again.
func TestClose(t *testing.T) {
	t.Parallel()
	h := newHook(t, justcall.Classic, func(int) int { return 503 })
	s := justcalltest.NewServer(justcalltest.Options{URL: h.URL})
	s.Post(justcalltest.MakeTexts(3, 1001, begin, 0)...)
	require.Eventually(t, func() bool { return h.calls.Load() == 3 }, 30*time.Second, time.Millisecond)
	s.Close()
	quiet(t, s)
	require.Len(t, s.Lost(), 3)
}
