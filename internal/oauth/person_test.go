package oauth

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// consent opens the page as a browser does, and answers where that ends.
func consent(t *testing.T, page string) url.Values {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(page)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	u, err := response.Location()
	require.NoError(t, err)
	return u.Query()
}

func TestASignInIsStored(t *testing.T) {
	t.Parallel()
	for _, basic := range []bool{false, true} {
		v := startVendor(t, &fakes.OAuth{SingleUse: true, Basic: basic})
		store := newMemory()
		s := v.source(t, store, func(o *Options) { o.Settings.Scopes = []string{"read", "offline_access"} })
		visit := s.Visit()
		g, err := visit.Finish(t.Context(), consent(t, visit.URL()))
		require.NoError(t, err)
		require.Equal(t, []string{"read", "offline_access"}, g.Scopes)
		status, err := v.post(t, v.source(t, store), "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, fakes.OAuthCount{SignIns: 1}, v.Count())
	}
}

func TestAnAnswerThatIsNotToThisSignInIsRefused(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	store := newMemory()
	put(t, store, v.grant(time.Hour))
	before, _ := stored(t, store)
	s := v.source(t, store)
	other, visit := s.Visit(), s.Visit()
	good := consent(t, visit.URL())
	for want, answer := range map[string]url.Values{
		"its state differs":      consent(t, other.URL()), // somebody else's answer
		"state differs":          {"code": good["code"]},
		"access_denied":          {"state": good["state"], "error": {"access_denied"}},
		"that cannot be shown":   {"state": good["state"], "error": {"<b>refresh-token"}},
		"was not completed: the": {"state": good["state"], "code": {"made-up"}},
	} {
		_, err := visit.Finish(t.Context(), answer)
		require.ErrorContains(t, err, want)
		quiet(t, err)
	}
	// A stolen code is of no use without the verifier.
	thief := s.Visit()
	_, err := thief.Finish(t.Context(), url.Values{"state": {thief.state}, "code": good["code"]})
	require.Error(t, err)
	after, _ := stored(t, store)
	require.Equal(t, before, after, "what was there is kept")
}

func TestWhatThePersonDidNotGrant(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := Settings{SignIn: connectors.SignIn{Scopes: []string{"a", "b", "offline_access"}}}
	for want, g := range map[string]Grant{
		"did not grant b:":     {RefreshToken: "r", Scopes: []string{"a", "c"}},
		"did not grant a, b:":  {RefreshToken: "r", Scopes: []string{"c"}},
		"gave no refresh toke": {Expiry: now, Scopes: []string{"a", "b"}},
	} {
		require.ErrorContains(t, s.granted(g), want)
	}
	for _, g := range []Grant{
		{RefreshToken: "r", Scopes: []string{"b", "a"}},
		{RefreshToken: "r"},          // as asked, says RFC 6749 §5.1
		{Scopes: []string{"a", "b"}}, // for ever
	} {
		require.NoError(t, s.granted(g))
	}
}

func TestTheBrowserComesBack(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	settings := v.settings(t, func(c *config.OAuth) { c.Redirect = "http://127.0.0.1:0/callback" })
	require.True(t, settings.Local())
	s := v.source(t, newMemory(), func(o *Options) { o.Settings = settings })
	visit := s.Visit()
	callback, err := visit.Listen()
	require.NoError(t, err)
	t.Cleanup(callback.Close)
	base := "http://" + callback.address.String()
	for path, want := range map[string]int{
		"/favicon.ico": 404, "/callback?state=wrong&code=a": 400, "/callback": 400, "/callback?code=a&state=" + visit.state: 200,
	} {
		response, err := http.Get(base + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	q, err := callback.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a", q.Get("code"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = callback.Wait(ctx)
	require.Error(t, err)
	require.False(t, Settings{Redirect: "https://sms.example.com/oauth"}.Local())
}

func TestSigningOut(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newMemory()
	g := v.grant(time.Hour)
	put(t, store, g)
	daemon, desk := v.source(t, store), v.source(t, store)
	_, err := v.post(t, daemon, "text")
	require.NoError(t, err)
	revoked, err := desk.SignOut(t.Context())
	require.NoError(t, err)
	require.True(t, revoked)
	require.False(t, v.Intact(g.RefreshToken))
	_, err = v.post(t, daemon, "text") // its token is refused
	auth(t, err)
	require.ErrorContains(t, err, "nobody has signed in yet")
	kept, _ := stored(t, store)
	require.True(t, kept.Zero())
}

func TestASignInThatCannotBeRevokedIsKept(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	store := newMemory()
	put(t, store, v.grant(time.Hour))
	s := v.source(t, store, func(o *Options) { o.Settings.RevokeURL = v.url + "/nowhere" })
	_, err := s.SignOut(t.Context())
	require.ErrorContains(t, err, "HTTP 404")
	kept, _ := stored(t, store)
	require.False(t, kept.Zero())
}

func TestStatus(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	store := newMemory()
	s := v.source(t, store, func(o *Options) { o.Settings.Unused = 60 * 24 * time.Hour })
	status, err := s.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, status.Problem, "nobody has signed in yet")
	require.Zero(t, status.Ends)
	g := v.grant(-time.Minute)
	put(t, store, g)
	status, err = s.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, status.Problem, "a token that has ended is renewed")
	require.Equal(t, g.Obtained.Add(60*24*time.Hour), status.Ends)
	v.Revoke()
	_, err = s.Grant(t.Context())
	auth(t, err)
	status, err = s.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, status.Problem, "invalid_grant")
	require.Zero(t, v.Count().SignIns)
}

func TestASignInThatNothingUsesIsRenewed(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newMemory()
	s := v.source(t, store, func(o *Options) { o.Settings.Unused = 4 * time.Hour })
	require.NoError(t, s.Tend(t.Context()), "nobody has signed in")
	g := v.grant(-time.Minute)
	g.Obtained = time.Now().Add(-50 * time.Minute)
	put(t, store, g)
	require.NoError(t, s.Tend(t.Context()))
	require.Zero(t, v.Count().Renewals, "not yet")
	g.Obtained = time.Now().Add(-70 * time.Minute)
	put(t, store, g)
	for range 2 {
		require.NoError(t, s.Tend(t.Context()))
	}
	require.Equal(t, 1, v.Count().Renewals)
	v.Revoke()
	g.Obtained = time.Now().Add(-70 * time.Minute)
	put(t, store, g)
	another := v.source(t, store, func(o *Options) { o.Settings = s.Settings })
	auth(t, another.Tend(t.Context()))
	require.NoError(t, another.Tend(t.Context()), "said once")
}
