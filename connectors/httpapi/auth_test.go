package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/httpapi"
)

// opened is an instance whose only way out is the given transport, or the
// network.
func opened(t testing.TB, url, config string, way http.RoundTripper) connectors.Connector {
	t.Helper()
	c, err := httpapi.Definition().Open(connectortest.Config("crm", at(url, completed(config))), connectors.Env{Client: &http.Client{Transport: way}})
	require.NoError(t, err)
	return c
}

func check(t testing.TB, c connectors.Connector) *connectors.Error {
	t.Helper()
	_, err := c.Check(t.Context())
	if err == nil {
		return nil
	}
	e := connectors.AsError("check", err)
	require.NotContains(t, fmt.Sprintf("%+v %#v %v", e, e, e), secret)
	require.False(t, e.Ambiguous)
	return e
}

func TestCallsAreAuthenticated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		seen   func(*http.Request) string
		want   string
	}{
		"bearer": {"auth: { bearer: '${T}' }", func(r *http.Request) string { return r.Header.Get("Authorization") }, "Bearer " + secret},
		"basic": {"auth: { basic: { user: me, password: '${T}' } }", func(r *http.Request) string {
			user, password, _ := r.BasicAuth()
			return user + " " + password
		}, "me " + secret},
		"headers": {"auth: { headers: { x-key: '${T}', X-App: a } }", func(r *http.Request) string { return r.Header.Get("X-Key") + r.Header.Get("X-App") }, secret + "a"},
		"query":   {"auth: { query: { key: '${T}' } }", func(r *http.Request) string { return r.URL.RawQuery }, "key=" + secret},
		"none":    {"headers: { X-Tenant: '7' }", func(r *http.Request) string { return r.Header.Get("X-Tenant") + r.Header.Get("Authorization") }, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen string
			url := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = c.seen(r) }))
			require.Nil(t, check(t, opened(t, url, c.config, nil)))
			require.Equal(t, c.want, seen)
		})
	}
}

// authority gives out tokens, and is the API behind them.
type authority struct {
	issued, calls atomic.Int64
	lifetime      int
	refuse        atomic.Int64 // status of the token endpoint, 0 for none
	revoked       sync.Map
	form          sync.Map
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/token" {
		a.calls.Add(1)
		if _, revoked := a.revoked.Load(r.Header.Get("Authorization")); revoked || r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return
	}
	if status := a.refuse.Load(); status != 0 {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(status))
		_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s"}`, secret)
		return
	}
	_ = r.ParseForm()
	user, password, _ := r.BasicAuth()
	a.form.Store("got", fmt.Sprint(r.PostForm.Encode(), " ", user, " ", password))
	_, _ = fmt.Fprintf(w, `{"access_token":"%s-%d","token_type":"bearer","expires_in":%d}`, secret, a.issued.Add(1), a.lifetime)
}

func oauth(url, more string) string {
	return "auth: { oauth: { token_url: " + url + "/token, client_id: id, client_secret: '${SECRET}'" + more + " } }"
}

func TestOAuthTokenIsUsedUntilItEnds(t *testing.T) {
	t.Parallel()
	a := &authority{lifetime: 3600}
	url := start(t, a)
	c := opened(t, url, oauth(url, ", scopes: [a, b], params: { audience: x }"), nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, err := c.Check(context.Background()); _ = err })
	}
	wg.Wait()
	require.EqualValues(t, 1, a.issued.Load())
	require.EqualValues(t, 20, a.calls.Load())
	got, _ := a.form.Load("got")
	require.Equal(t, "audience=x&grant_type=client_credentials&scope=a+b id "+secret, got)

	a.revoked.Store("Bearer "+secret+"-1", true)
	e := check(t, c)
	require.Equal(t, connectors.Auth, e.Kind)
	require.EqualValues(t, 1, a.issued.Load(), "one attempt for each call")
	require.Nil(t, check(t, c), "the next call asks for a token of its own")
	require.EqualValues(t, 2, a.issued.Load())
}

// Some CRMs say in the body, or with a status of their own, that they do not
// know a token any more.
func TestOAuthTokenThatIsRefusedInOtherWords(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"verdict: 'body.ok ? \"\" : \"AUTH\"'", "check: { path: me, status: { 498: AUTH } }"} {
		a := &authority{lifetime: 3600}
		url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/token" || r.Header.Get("Authorization") == "":
				a.ServeHTTP(w, r)
			case r.Header.Get("Authorization") == "Bearer "+secret+"-2":
				_, _ = fmt.Fprint(w, `{"ok": true}`)
			default:
				w.WriteHeader(map[bool]int{true: 200, false: 498}[config[0] == 'v'])
				_, _ = fmt.Fprint(w, `{"ok": false}`)
			}
		}))
		c := opened(t, url, oauth(url, "")+"\n"+config+"\n", nil)
		require.Equal(t, connectors.Auth, check(t, c).Kind)
		require.Nil(t, check(t, c))
	}
}

func TestOAuthTokenThatEndsIsRenewed(t *testing.T) {
	t.Parallel()
	a := &authority{lifetime: 1} // within the margin, so over at once
	url := start(t, a)
	c := opened(t, url, oauth(url, ", client_auth: body"), nil)
	require.Nil(t, check(t, c))
	require.Nil(t, check(t, c))
	require.EqualValues(t, 2, a.issued.Load())
	got, _ := a.form.Load("got")
	require.Equal(t, "client_id=id&client_secret="+secret+"&grant_type=client_credentials  ", got)
}

func TestSignInThatFails(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]connectors.Kind{
		400: connectors.Auth, 401: connectors.Auth, 403: connectors.Auth, 404: connectors.Auth, 429: connectors.RateLimited,
		408: connectors.Unavailable, 500: connectors.Unavailable, 503: connectors.Unavailable,
	} {
		a := &authority{}
		a.refuse.Store(int64(status))
		url := start(t, a)
		c := opened(t, url, oauth(url, ""), nil)
		e := check(t, c)
		require.Equal(t, want, e.Kind, status)
		require.Equal(t, status, e.Status)
		require.Equal(t, 7*time.Second, e.RetryAfter)
		require.Zero(t, a.calls.Load())
		out := c.PutMessages(t.Context(), []connectors.Record{{Key: "main/1"}})[0]
		require.False(t, out.Err.Ambiguous, "nothing was sent")
		a.refuse.Store(0)
		require.Nil(t, check(t, c))
	}
}

// wayOut is a transport of a test.
type wayOut func(*http.Request) (*http.Response, error)

func (w wayOut) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func TestSignInOverABrokenWay(t *testing.T) {
	t.Parallel()
	refused := wayOut(func(*http.Request) (*http.Response, error) {
		return nil, &connectors.Error{Op: "budget", Kind: connectors.RateLimited, RetryAfter: time.Minute}
	})
	e := check(t, opened(t, "https://crm.example.com", oauth("https://crm.example.com", ""), refused))
	require.Equal(t, connectors.RateLimited, e.Kind, "a transport that refuses speaks for itself")
	require.Equal(t, time.Minute, e.RetryAfter)

	ctx, cancel := context.WithCancel(t.Context())
	hangs := wayOut(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	c := opened(t, "https://crm.example.com", oauth("https://crm.example.com", ""), hangs)
	_, err := c.Check(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, connectors.Unavailable, connectors.AsError("", err).Kind)
}
