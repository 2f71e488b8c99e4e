package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

type thing struct {
	Name string `json:"name"`
}

func serve(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func failure(t *testing.T, err error) *connectors.Error {
	t.Helper()
	e, ok := err.(*connectors.Error) //nolint:errorlint // a wrapped one breaks the contract
	require.True(t, ok, "%T is no *connectors.Error", err)
	return e
}

var (
	write = rest.Request{Op: "put", Method: "POST", Path: "things", Body: thing{"a"}, Into: &thing{}}
	read  = rest.Request{Op: "get", Path: "things", Into: &thing{}}
)

func TestCallSendsAndReadsJSON(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"name":"out"}`)
	})
	api := rest.New(http.DefaultClient, base+"/api/", rest.Bearer("tok"), rest.Header("X-Client", "one"))
	var out thing
	answer, err := api.Do(t.Context(), rest.Request{
		Op: "put", Method: "PUT", Path: rest.Path("things", "a/b?", ".."), Query: url.Values{"q": {"1 2"}},
		Header: http.Header{"X-Call": {"two"}}, Body: thing{"in"}, Into: &out,
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, answer.Status)
	require.Equal(t, "out", out.Name)
	require.Equal(t, "/api/things/a%2Fb%3F/%2E%2E", got.URL.EscapedPath())
	require.Equal(t, "q=1+2", got.URL.RawQuery)
	require.JSONEq(t, `{"name":"in"}`, string(body))
	require.Equal(t, "Bearer tok", got.Header.Get("Authorization"))
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "one", got.Header.Get("X-Client"))
	require.Equal(t, "two", got.Header.Get("X-Call"))
}

func TestFormIsSentInPlaceOfJSON(t *testing.T) {
	t.Parallel()
	var kind, got string
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		kind, got = r.Header.Get("Content-Type"), r.PostFormValue("text")
	})
	_, err := rest.New(http.DefaultClient, base).Do(t.Context(), rest.Request{
		Op: "put", Method: "POST", Path: "things", Form: url.Values{"text": {"a&b=c\n"}},
	})
	require.NoError(t, err)
	require.Equal(t, "application/x-www-form-urlencoded", kind)
	require.Equal(t, "a&b=c\n", got)
}

func TestWatchShowsAllButHeaders(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 400) })
	var seen []rest.Exchange
	ctx := rest.Watch(t.Context(), func(e rest.Exchange) { seen = append(seen, e) })
	api := rest.New(http.DefaultClient, base, rest.Bearer("tok"))
	for _, r := range []rest.Request{write, {Op: "get", Path: "things", Query: url.Values{"a": {"b"}}}} {
		_, err := api.Do(ctx, r)
		require.Error(t, err)
	}
	require.Equal(t, []rest.Exchange{
		{Method: "POST", URL: base + "/things", Sent: []byte(`{"name":"a"}`), Status: 400, Answer: []byte("no\n")},
		{Method: "GET", URL: base + "/things?a=b", Sent: []byte{}, Status: 400, Answer: []byte("no\n")},
	}, seen)
	_, err := rest.New(nil, "http://127.0.0.1:1").Do(ctx, read)
	require.Error(t, err)
	require.Zero(t, seen[2].Status)
}

func TestStatusBecomesKind(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]connectors.Kind{
		400: connectors.Invalid, 401: connectors.Auth, 403: connectors.Forbidden, 404: connectors.NotFound,
		408: connectors.Unavailable, 409: connectors.Conflict, 410: connectors.NotFound, 413: connectors.Invalid,
		418: connectors.Unknown, 414: connectors.Invalid, 422: connectors.Invalid, 425: connectors.Unavailable, 429: connectors.RateLimited, 431: connectors.Invalid,
		300: connectors.Unknown, 500: connectors.Unavailable, 502: connectors.Unavailable, 503: connectors.Unavailable,
		526: connectors.Unavailable,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>secret</html>", status) })
			for _, request := range []rest.Request{read, write} {
				answer, err := rest.New(nil, base).Do(t.Context(), request)
				e := failure(t, err)
				require.Equal(t, want, e.Kind)
				require.Equal(t, status, e.Status)
				require.Equal(t, status, answer.Status)
				require.Equal(t, status >= 500 && request.Method == http.MethodPost, e.Ambiguous)
				require.Equal(t, status == 413, e.WholeBatch)
				require.NotContains(t, e.Error(), "secret")
			}
		})
	}
}

func TestRefusalOfSeveralItemsIsWholeBatch(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(422) })
	several := write
	several.Items = 2
	_, err := rest.New(nil, base).Do(t.Context(), several)
	require.True(t, failure(t, err).WholeBatch)
	several.Items = 1
	_, err = rest.New(nil, base).Do(t.Context(), several)
	require.False(t, failure(t, err).WholeBatch)
}

func TestJudgeOverridesTheVerdict(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(403)
		fmt.Fprint(w, `{"code":"REQUEST_LIMIT_EXCEEDED"}`)
	})
	limited := func(a *rest.Answer, e *connectors.Error) *connectors.Error {
		if strings.Contains(string(a.Body), "REQUEST_LIMIT_EXCEEDED") {
			e.Kind = connectors.RateLimited
		}
		return e
	}
	api := rest.New(nil, base, rest.WithJudge(limited))
	_, err := api.Do(t.Context(), write)
	require.Equal(t, connectors.RateLimited, failure(t, err).Kind)
	one := write
	one.Judge = func(*rest.Answer, *connectors.Error) *connectors.Error { return nil }
	_, err = api.Do(t.Context(), one)
	require.Equal(t, connectors.Forbidden, failure(t, err).Kind)
}

// A 2xx that says nothing must never pass for a success.
func TestSuccessThatIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, body string
		want       connectors.Kind
	}{
		"empty":          {"application/json", "", connectors.Unknown},
		"login page":     {"text/html; charset=utf-8", "<!doctype html>", connectors.Unavailable},
		"unmarked page":  {"application/json", " <html>", connectors.Unavailable},
		"not JSON":       {"text/plain", "OK", connectors.Unavailable},
		"half JSON":      {"application/json", `{"name":"a`, connectors.Unavailable},
		"another form":   {"application/json", `{"name":15125550100}`, connectors.Unknown},
		"beyond a limit": {"application/json", `{"name":"` + strings.Repeat("a", 100) + `"}`, connectors.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				fmt.Fprint(w, c.body)
			})
			api := rest.New(nil, base, rest.WithMaxAnswer(64))
			for _, request := range []rest.Request{read, write} {
				_, err := api.Do(t.Context(), request)
				e := failure(t, err)
				require.Equal(t, c.want, e.Kind)
				require.Equal(t, request.Method == http.MethodPost, e.Ambiguous)
				require.NotContains(t, e.Error(), "15125550100")
			}
		})
	}
}

func TestNoResultExpected(t *testing.T) {
	t.Parallel()
	bodies := map[string]bool{"": true, "OK": true, "<html>log in</html>": false}
	for body, ok := range bodies {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		request := write
		request.Into = nil
		_, err := rest.New(nil, base).Do(t.Context(), request)
		require.Equal(t, ok, err == nil, body)
	}
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	request := read
	request.EmptyOK = true
	_, err := rest.New(nil, base).Do(t.Context(), request)
	require.NoError(t, err)
}

func TestLostAnswerOfAWriteIsAmbiguous(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]http.HandlerFunc{
		"cut before the answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut within the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"name":`)
		},
		"not HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprint(conn, "token=s3cret\r\n\r\n")
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, lose)
			for _, request := range []rest.Request{read, write} {
				_, err := rest.New(&http.Client{Transport: &http.Transport{}}, base).Do(t.Context(), request)
				e := failure(t, err)
				require.Equal(t, connectors.Unavailable, e.Kind)
				require.Equal(t, request.Method == http.MethodPost, e.Ambiguous)
				require.NotContains(t, e.Error(), "s3cret")
				require.NotContains(t, e.Error(), "/things")
			}
		})
	}
}

func TestWhatNeverLeftIsNotAmbiguous(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	stuck := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	t.Cleanup(stop)
	nobody := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "crm.invalid", IsNotFound: true}
	}}
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		ctx    context.Context
		client *http.Client
		base   string
	}{
		"connection refused":      {t.Context(), nil, closed.URL},
		"no such host":            {t.Context(), &http.Client{Transport: nobody}, "http://crm.invalid"},
		"context ended before":    {ended, nil, plain},
		"timed out while dialing": {short, &http.Client{Transport: stuck}, plain},
		"token with a newline":    {t.Context(), &http.Client{Transport: headerTransport{}}, plain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rest.New(c.client, c.base).Do(c.ctx, rest.Request{Op: "put", Method: "POST", Query: url.Values{"api_token": {"s3cret"}}})
			e := failure(t, err)
			require.NotContains(t, e.Error(), "s3cret")
			if name != "token with a newline" {
				require.Equal(t, connectors.Unavailable, e.Kind)
				require.False(t, e.Ambiguous)
			}
		})
	}
}

type headerTransport struct{}

func (headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer s3cret\n")
	return http.DefaultTransport.RoundTrip(r)
}

func TestTimeoutAfterSendingIsAmbiguous(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := rest.New(nil, base).Do(ctx, write)
	e := failure(t, err)
	require.Equal(t, connectors.Unavailable, e.Kind)
	require.True(t, e.Ambiguous)
	require.ErrorIs(t, e, context.Canceled)
}

func TestTransportSpeaksForItself(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: refuses{&connectors.Error{Op: "sign in", Kind: connectors.Auth, Err: errors.New("the grant was withdrawn")}}}
	_, err := rest.New(client, "http://crm.invalid").Do(t.Context(), write)
	e := failure(t, err)
	require.Equal(t, connectors.Auth, e.Kind)
	require.Equal(t, "put", e.Op)
	require.False(t, e.Ambiguous)
}

type refuses struct{ err error }

func (r refuses) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("followed to another host") })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		case "/moved":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/here":
			fmt.Fprint(w, `{"name":"`+r.Method+`"}`)
		}
	})
	api := rest.New(nil, base)
	var out thing
	_, err := api.Do(t.Context(), rest.Request{Op: "get", Path: "moved", Into: &out})
	require.NoError(t, err)
	require.Equal(t, "GET", out.Name)

	_, err = api.Do(t.Context(), rest.Request{Op: "get", Path: "other", Into: &out})
	require.Equal(t, http.StatusTemporaryRedirect, failure(t, err).Status)
	// A POST that became a GET would answer 200 and have written nothing.
	_, err = api.Do(t.Context(), rest.Request{Op: "put", Method: "POST", Path: "moved", Into: &out})
	require.Equal(t, http.StatusFound, failure(t, err).Status)
}

func TestEmptySegmentIsRefused(t *testing.T) {
	t.Parallel()
	base := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("addressed the collection") })
	for _, path := range []string{rest.Path("contacts", ""), rest.Path("contacts", "", "notes")} {
		_, err := rest.New(nil, base).Do(t.Context(), rest.Request{Op: "delete", Method: "DELETE", Path: path})
		require.Equal(t, connectors.Invalid, failure(t, err).Kind)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"1.5":                           1500 * time.Millisecond,
		"-3":                            0,
		"NaN":                           0,
		"1e300":                         rest.MaxRetryAfter,
		"soon":                          0,
		"Sat, 21 Nov 2026 12:01:00 GMT": time.Minute,
		"Sat, 21 Nov 2026 11:00:00 GMT": 0,
	} {
		require.Equal(t, want, rest.RetryAfter(http.Header{"Retry-After": {raw}}, now), raw)
	}
	ownClock := http.Header{
		"Date":        {"Sat, 21 Nov 2026 11:59:00 GMT"},
		"Retry-After": {"Sat, 21 Nov 2026 12:01:00 GMT"},
	}
	require.Equal(t, 2*time.Minute, rest.RetryAfter(ownClock, now))
}

func TestCheckBase(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://127.0.0.1:8080", "https://crm.example.com/api/"} {
		require.NoError(t, rest.CheckBase(good))
	}
	for _, bad := range []string{"", "crm.example.com", "ftp://x", "https://u:p@x", "https://x?y=1", "https://x#y", "http://[::1"} {
		require.Error(t, rest.CheckBase(bad), bad)
	}
}

func TestAddressComesWithTheGrant(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"name":"out"}`) })
	refused := &connectors.Error{Op: "sign in", Kind: connectors.Auth}
	for name, c := range map[string]struct {
		grant connectors.Grant
		err   error
		want  connectors.Kind
	}{
		"":                 {grant: connectors.Grant{InstanceURL: base + "/"}},
		"no address":       {want: connectors.Invalid},
		"the grant is out": {err: refused, want: connectors.Auth},
	} {
		api := rest.New(nil, "", rest.AtGrant(func(context.Context) (connectors.Grant, error) { return c.grant, c.err }))
		_, err := api.Do(t.Context(), read)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, c.want, failure(t, err).Kind, name)
	}
}
