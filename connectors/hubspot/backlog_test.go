package hubspot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/hubspot"
	"crmsync/connectors/hubspot/fake"
	"crmsync/sms"
)

// badLine loses requests and answers, one in a hundred each, and answers as many
// in other ways.
type badLine struct {
	fake   *fake.Fake
	random *rand.Rand
	sent   int
	met    int
}

var errLost = errors.New("connection reset by peer")

// RoundTrip implements http.RoundTripper.
func (x *badLine) RoundTrip(r *http.Request) (*http.Response, error) {
	x.sent++
	w := httptest.NewRecorder()
	what := x.random.IntN(100)
	if what < 7 {
		x.met++
	}
	switch what {
	case 0:
		return nil, errLost
	case 1:
		x.fake.ServeHTTP(w, r)
		return nil, errLost
	case 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 3:
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.WriteString(`{"status":"error","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}`)
	case 4:
		x.fake.ServeHTTP(httptest.NewRecorder(), r)
		_, _ = w.WriteString("<html>maintenance</html>")
	case 5:
		w.WriteHeader(http.StatusLocked)
	case 6:
		whole := httptest.NewRecorder()
		x.fake.ServeHTTP(whole, r)
		w.WriteHeader(whole.Code)
		_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	default:
		x.fake.ServeHTTP(w, r)
	}
	return w.Result(), nil
}

// backlog drives a connector as the daemon does.
type backlog struct {
	t *testing.T
	*hubspot.Connector
	line *badLine
}

// wait is for as long as an error asks, and a second.
func (b backlog) wait(err *connectors.Error) {
	require.False(b.t, err.Kind.Permanent(), "%v", err)
	time.Sleep(err.RetryAfter + time.Second) //nolint:forbidigo // in the bubble's own time
}

func (b backlog) find(numbers []sms.Phone) [][]connectors.Contact {
	for {
		found, err := b.FindContacts(b.t.Context(), numbers)
		if err == nil {
			return found
		}
		b.wait(connectors.AsError("", err))
	}
}

// ensure finds or creates a contact: before a second attempt it waits until
// searches have seen the first.
func (b backlog) ensure(p sms.Phone) connectors.Ref {
	for {
		if found := b.find([]sms.Phone{p}); len(found[0]) > 0 {
			return found[0][0].Ref
		}
		made, err := b.CreateContact(b.t.Context(), connectors.NewContact{Key: string(p), Phone: p})
		if err == nil {
			return made.Ref
		}
		b.wait(connectors.AsError("", err))
		time.Sleep(hubspot.Definition().SearchLag) //nolint:forbidigo // in the bubble's own time
	}
}

// until repeats a batch for what has failed in it.
func until[T any](b backlog, batch []T, do func([]T) []connectors.Outcome) {
	for len(batch) > 0 {
		var failed []T
		var last *connectors.Error
		for i, o := range do(batch) {
			if o.State == connectors.Failed {
				failed, last = append(failed, batch[i]), o.Err
			}
		}
		if batch = failed; last != nil {
			b.wait(last)
		}
	}
}

// A backlog arrives exactly once, though one request in fifteen goes wrong, for
// what docs/connectors/hubspot.md says that texts cost.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const people, strangers, each, full = 1000, 100, 10, 100
	synctest.Test(t, func(t *testing.T) {
		line := &badLine{
			fake:   fake.New(fake.Options{Latency: 300 * time.Millisecond, SearchLag: 45 * time.Second}),
			random: rand.New(rand.NewPCG(1, 2)),
		}
		settings := line.fake.Config("http://hubspot.test")
		opened, err := hubspot.Definition().Open(connectortest.Config("x", settings), connectors.Env{Client: &http.Client{Transport: line}})
		require.NoError(t, err)
		b := backlog{t, opened.(*hubspot.Connector), line}

		var numbers []sms.Phone
		for i := range people {
			numbers = append(numbers, sms.Phone(fmt.Sprintf("+1512555%04d", i)))
			if i >= strangers {
				line.fake.AddContact(connectortest.Contact{Name: "Ann", Phones: []string{fmt.Sprintf("(512) 555-%04d", i)}})
			}
		}
		var known []connectors.Ref
		for part := range slices.Chunk(numbers, full) {
			for i, found := range b.find(part) {
				if len(found) == 0 {
					known = append(known, b.ensure(part[i]))
					continue
				}
				require.Len(t, found, 1)
				known = append(known, found[0].Ref)
			}
		}
		resolved := line.sent
		var records []connectors.Record
		var changes []connectors.StatusChange
		for i := range people * each {
			r := text(i, known[i%people])
			records = append(records, r)
			changes = append(changes, connectors.StatusChange{Key: r.Key, Status: sms.StatusDelivered})
		}
		for part := range slices.Chunk(records, full) {
			until(b, part, func(batch []connectors.Record) []connectors.Outcome { return b.PutMessages(t.Context(), batch) })
		}
		written := line.sent
		for part := range slices.Chunk(changes, full) {
			until(b, part, func(batch []connectors.StatusChange) []connectors.Outcome { return b.UpdateStatus(t.Context(), batch) })
		}

		seen := map[string]bool{}
		for _, m := range line.fake.Messages() {
			require.False(t, seen[m.Key], "%s stands twice", m.Key)
			require.NotEmpty(t, m.Contact)
			require.Equal(t, string(sms.StatusDelivered), m.Status)
			seen[m.Key] = true
		}
		require.Len(t, seen, people*each)
		require.Len(t, line.fake.Contacts(), people)
		t.Logf("requests for %d texts: %d to find %d contacts and create %d, %d to write, %d for as many statuses: %.4f a text; %d faults",
			len(records), resolved, people, strangers, written-resolved, line.sent-written, float64(line.sent)/float64(len(records)), line.met)
		require.Positive(t, line.met)
		require.LessOrEqual(t, float64(written)/float64(len(records)), 0.05, "requests a text")
	})
}
