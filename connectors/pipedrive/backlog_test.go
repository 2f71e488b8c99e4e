package pipedrive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/pipedrive"
	"crmsync/connectors/pipedrive/fake"
	"crmsync/sms"
)

// trouble loses requests and answers, one in a hundred each, and breaks as many
// answers in other ways. Its requests do not go over a network.
type trouble struct {
	fake   *fake.Fake
	random *rand.Rand
	sent   int
}

var errLost = errors.New("connection reset by peer")

// RoundTrip implements http.RoundTripper.
func (x *trouble) RoundTrip(r *http.Request) (*http.Response, error) {
	x.sent++
	w := httptest.NewRecorder()
	switch x.random.IntN(100) {
	case 0:
		return nil, errLost
	case 1:
		x.fake.ServeHTTP(w, r)
		return nil, errLost
	case 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 3:
		w.WriteHeader(http.StatusTooManyRequests)
	case 4:
		x.fake.ServeHTTP(httptest.NewRecorder(), r)
		_, _ = w.WriteString("<html>maintenance</html>")
	default:
		x.fake.ServeHTTP(w, r)
	}
	return w.Result(), nil
}

// A backlog arrives exactly once, though much goes wrong, for what
// docs/connectors/pipedrive.md says that a text costs.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const texts, people = 2000, 200
	x := &trouble{fake: fake.New(fake.Options{}), random: rand.New(rand.NewPCG(1, 2))}
	opened, err := pipedrive.Definition().Open(connectortest.Config("x", x.fake.Config("http://pipedrive.test")), connectors.Env{Client: &http.Client{Transport: x}})
	require.NoError(t, err)
	c := opened.(*pipedrive.Connector)
	known := map[sms.Phone]connectors.Ref{}
	for i := range texts {
		p := sms.Phone(fmt.Sprintf("+1512555%04d", 1000+i%people))
		if known[p].Zero() {
			known[p] = ensure(t, c, p)
		}
		r := text(known[p])
		r.Key = fmt.Sprintf("main/msg_%d", i)
		deliver(t, c, r)
	}
	seen := map[string]bool{}
	for _, m := range x.fake.Messages() {
		require.False(t, seen[m.Key], "%s stands twice", m.Key)
		seen[m.Key] = true
	}
	require.Len(t, seen, texts)
	require.Len(t, x.fake.Contacts(), people)
	t.Logf("%.3f requests and %.2f tokens per text", float64(x.sent)/texts, float64(x.fake.Spent())/texts)
	require.Less(t, x.sent, texts*13/10)
	require.Less(t, x.fake.Spent(), texts*9)
}

// ensure finds or creates a person, as the daemon does: after a doubtful creation
// it searches again.
func ensure(t *testing.T, c *pipedrive.Connector, p sms.Phone) connectors.Ref {
	t.Helper()
	for {
		found, err := c.FindContacts(t.Context(), []sms.Phone{p})
		if err != nil {
			continue
		}
		if len(found[0]) > 0 {
			return found[0][0].Ref
		}
		if made, err := c.CreateContact(t.Context(), connectors.NewContact{Key: string(p), Phone: p}); err == nil {
			return made.Ref
		}
	}
}

// deliver writes a text, as the daemon does: after a doubtful write it reads back.
func deliver(t *testing.T, c *pipedrive.Connector, r connectors.Record) {
	t.Helper()
	for {
		out := c.PutMessages(t.Context(), []connectors.Record{r})[0]
		if out.State == connectors.Written {
			return
		}
		require.False(t, out.Err.Kind.Permanent(), "%v", out.Err)
		for out.Err.Ambiguous {
			found, err := c.FindMessages(t.Context(), []connectors.Record{r})
			if err == nil && len(found[0]) > 0 {
				return
			}
			out.Err.Ambiguous = err != nil
		}
	}
}
