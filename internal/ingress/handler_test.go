package ingress

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/internal/justcall/justcalltest"
)

// classic is the sample of an event in the classic dialect.
func classic(event string) []byte {
	return justcalltest.Sample("classic_" + strings.TrimPrefix(event, "sms."))
}

const (
	pathToken  = "the-path-token"
	secret     = "the-secret"
	oldSecret  = "the-old-secret"
	public     = "https://sms.example.com/webhooks/justcall/main"
	signedType = "sms.received"
)

func post(token string, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/justcall/main/"+token, nil)
	r.SetPathValue("account", "main")
	r.SetPathValue("token", token)
	maps.Copy(r.Header, header)
	return r
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	sign := func(secret, url string, at time.Time) http.Header {
		return justcalltest.Sign(secret, url, signedType, at)
	}
	open := config.Account{Insecure: true}
	tokened := config.Account{Webhook: config.Webhook{Token: pathToken}}
	signed := config.Account{Webhook: config.Webhook{SigningSecrets: []config.Secret{secret, oldSecret}, PublicURL: public}}
	both := signed
	both.Webhook.Token = pathToken
	bothAndInsecure := both
	bothAndInsecure.Insecure = true
	withToken := public + "/" + pathToken
	for name, c := range map[string]struct {
		account config.Account
		token   string
		header  http.Header
		want    verdict
	}{
		"nothing is asked for":             {open, "", nil, genuine},
		"nothing is asked for or allowed":  {config.Account{}, "", nil, forged},
		"empty token is no token":          {config.Account{}, "", sign("", public, now), forged},
		"token":                            {tokened, pathToken, nil, genuine},
		"wrong token":                      {tokened, "guess", nil, forged},
		"part of the token":                {tokened, pathToken[:5], nil, forged},
		"no token":                         {tokened, "", nil, forged},
		"a signature that nobody checks":   {tokened, pathToken, sign("other", withToken, now), genuine},
		"a signature instead of the token": {tokened, "", sign("other", public, now), forged},
		"signature":                        {signed, "", sign(secret, public, now), genuine},
		"signature of an old secret":       {signed, "", sign(oldSecret, public, now), genuine},
		"unsigned":                         {signed, "", nil, forged},
		"wrong secret":                     {signed, "", sign("other", public, now), forged},
		"signature of another URL":         {signed, "", sign(secret, public+"/x", now), forged},
		"stale signature":                  {signed, "", sign(secret, public, now.Add(-time.Hour)), forged},
		"empty secret":                     {signed, "", sign("", public, now), forged},
		"both right":                       {both, pathToken, sign(secret, withToken, now), genuine},
		"token, unsigned":                  {both, pathToken, nil, genuine},
		"signature without token":          {both, "", sign(secret, public, now), genuine},
		"signature with wrong token":       {both, "guess", sign(secret, public+"/guess", now), genuine},
		"token, wrong secret":              {both, pathToken, sign("rotated", withToken, now), doubtful},
		"token, signature without it":      {both, pathToken, sign(secret, public, now), doubtful},
		"token, stale signature":           {both, pathToken, sign(secret, withToken, now.Add(time.Hour)), doubtful},
		"both wrong":                       {both, "guess", sign("other", withToken, now), forged},
		"insecure has no effect beside":    {bothAndInsecure, "guess", nil, forged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.account.Webhook.Skew = 15 * time.Minute
			require.Equal(t, c.want, authenticate(c.account, post(c.token, c.header), signedType, now))
		})
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ configured, token, want string }{
		{public, "", public},
		{public + "/", "", public},
		{public, "abc", public + "/abc"},
		{public + "/", "abc", public + "/abc"},
		{public + "/abc", "abc", public + "/abc"},
		{public + "/abc/", "abc", public + "/abc"},
		{public + "/abc", "", public + "/abc"},
		{public + "/xabc", "abc", public + "/xabc/abc"},
	} {
		hook := config.Webhook{PublicURL: config.URL(c.configured)}
		require.Equal(t, c.want, publicURL(hook, post(c.token, nil)), c)
	}
}

func (b *bench) serve(method, path string, body io.Reader) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	NewHandler(b.door).ServeHTTP(w, httptest.NewRequest(method, path, body))
	return w
}

const good = "/webhooks/justcall/main/" + pathToken

// TestUnavailable: whatever is authentic is to come again while Temporal is
// away; what is not, and what needs no keeping, is answered as ever.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	b.temporal.refuse = always(errAway)
	for _, body := range []string{string(classic("sms.received")), string(classic("sms.delivered")), string(classic("sms.optout")), `{"event":`} {
		w := b.serve(http.MethodPost, good, strings.NewReader(body))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, retryAfter, w.Header().Get("Retry-After"))
		require.JSONEq(t, `{"result":"unavailable","reason":"the event cannot be kept now"}`, w.Body.String(), "it says nothing of what is behind")
	}
	require.Equal(t, http.StatusOK, b.serve(http.MethodPost, good, strings.NewReader("{}")).Code)
	require.Equal(t, http.StatusUnauthorized, b.serve(http.MethodPost, good+"x", strings.NewReader("{")).Code)
	require.Empty(t, b.redis.Keys())
}

// TestBodyBreaksOff: a 4xx would make JustCall give the event up.
func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	broken := io.MultiReader(strings.NewReader(`{"event":`), failing{})
	w := b.serve(http.MethodPost, good, broken)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Empty(t, b.temporal.taken())
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// TestLargestBody: one byte more is refused, before anything is kept.
func TestLargestBody(t *testing.T) {
	t.Parallel()
	for size, status := range map[int]int{MaxBody: http.StatusOK, MaxBody + 1: http.StatusRequestEntityTooLarge} {
		b := newBench(t, twoCRMs)
		w := b.serve(http.MethodPost, good, strings.NewReader(strings.Repeat("x", size)))
		require.Equal(t, status, w.Code)
		require.Equal(t, status == http.StatusOK, len(b.temporal.taken()) == 1)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	b := newBench(t, twoCRMs)
	for method, status := range map[string]int{
		http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK,
		http.MethodPut: http.StatusMethodNotAllowed, http.MethodDelete: http.StatusMethodNotAllowed, http.MethodPatch: http.StatusMethodNotAllowed,
	} {
		w := b.serve(method, good, strings.NewReader("{}"))
		require.Equal(t, status, w.Code, method)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Equal(t, status == http.StatusMethodNotAllowed, w.Header().Get("Allow") != "", method)
	}
	require.Equal(t, http.StatusNotFound, b.serve(http.MethodGet, "/webhooks/justcall/nobody", nil).Code)
}
