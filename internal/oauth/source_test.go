package oauth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/internal/ledger"
)

func TestAnExpiredTokenIsRenewedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true, Fields: map[string]string{"instance_url": "https://eu1.example.com"}})
	store := newMemory()
	put(t, store, v.grant(-time.Second))
	s := v.source(t, store)
	for range 3 {
		status, err := v.post(t, s, "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
	require.Equal(t, fakes.OAuthCount{Renewals: 1}, v.Count(), "one renewal, and no 401")
	kept, _ := stored(t, store)
	require.True(t, v.Intact(kept.RefreshToken))
	require.Equal(t, "https://eu1.example.com", kept.InstanceURL)
	require.False(t, kept.SignedIn.IsZero(), "what a renewal does not say is kept")
	g, err := s.Grant(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectors.Grant{Token: kept.AccessToken, InstanceURL: kept.InstanceURL}, g)
}

func TestATokenIsRenewedAheadOfItsEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		lifetime, left time.Duration
		fresh          bool
	}{
		{time.Hour, 6 * time.Minute, true},
		{time.Hour, 4 * time.Minute, false},
		{10 * time.Minute, 3 * time.Minute, true},
		{10 * time.Minute, time.Minute, false},
		{time.Hour, -time.Second, false},
	} {
		g := Grant{AccessToken: "a", Obtained: now.Add(c.left - c.lifetime), Expiry: now.Add(c.left)}
		require.Equal(t, c.fresh, g.fresh(now), "%s of %s left", c.left, c.lifetime)
	}
	require.True(t, Grant{AccessToken: "a"}.fresh(now), "nobody knows when it ends")
	require.False(t, Grant{}.fresh(now))
}

func TestARefusedTokenCostsOneRepetitionAndNoDuplicate(t *testing.T) {
	t.Parallel()
	for _, noExpiry := range []bool{false, true} {
		v := startVendor(t, &fakes.OAuth{SingleUse: true, NoExpiry: noExpiry})
		store := newMemory()
		put(t, store, v.grant(time.Hour))
		s := v.source(t, store)
		status, err := v.post(t, s, "first")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		v.Expire() // in the middle of a batch, before its time
		status, err = v.post(t, s, "second")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, []string{"first", "second"}, v.calls, "the whole body, once")
		require.Equal(t, fakes.OAuthCount{Renewals: 1, Unguarded: 1}, v.Count())
	}
}

func TestABodyThatCannotBeRepeatedIsNot(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newMemory()
	put(t, store, v.grant(time.Hour))
	s := v.source(t, store)
	v.Expire()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url+"/api/texts", http.NoBody)
	require.NoError(t, err)
	r.Body, r.GetBody = readOnce("text"), nil
	response, err := httpClient(s).Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	require.Empty(t, v.calls)
	status, err := v.post(t, s, "text")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "the next attempt has the new token")
	require.Equal(t, 1, v.Count().Renewals)
}

func TestARefusalOfANewTokenIsTheVendorsAnswer(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newMemory()
	put(t, store, v.grant(-time.Hour))
	s := v.source(t, store)
	status, err := v.post(t, s, "text")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	v.Expire()
	for range 3 {
		status, err = v.post(t, s, "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	require.Equal(t, 1, v.Count().Renewals, "a token just got is not renewed again and again")
}

func TestWithoutASignInTheCommandIsNamed(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	s := v.source(t, newMemory())
	_, err := v.post(t, s, "text")
	auth(t, err)
	require.ErrorContains(t, err, "nobody has signed in yet")
	_, err = s.Grant(t.Context())
	auth(t, err)
	require.Zero(t, v.Count(), "nothing was sent anywhere")
}

func TestASignInForAnotherApplicationIsNotUsed(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	store := newMemory()
	put(t, store, v.grant(time.Hour))
	s := v.source(t, store, func(o *Options) { o.Settings.ClientID = "another" })
	_, err := s.Grant(t.Context())
	auth(t, err)
	require.ErrorContains(t, err, "another oauth.client_id")
}

func TestARevokedSignInPausesUntilAPersonSignsIn(t *testing.T) {
	t.Parallel()
	for words, body := range map[string]string{
		"invalid_grant":     `{"error": "invalid_grant", "error_description": "a refresh-token"}`,
		"BAD_REFRESH_TOKEN": `{"status": "BAD_REFRESH_TOKEN", "message": "a refresh-token"}`,        // HubSpot
		"(invalid_grant)":   `{"success": false, "message": "Invalid grant: refresh-token is old"}`, // Pipedrive
	} {
		v := startVendor(t, &fakes.OAuth{SingleUse: true})
		v.Intercept(nil, answer(400, body))
		store := newMemory()
		put(t, store, v.grant(-time.Second))
		v.Revoke()
		settings := v.settings(t)
		settings.Refused = []string{"BAD_REFRESH_TOKEN"}
		s := v.source(t, store, func(o *Options) { o.Settings = settings })
		for range 5 { // a lane probes again and again
			_, err := v.post(t, s, "text")
			auth(t, err)
			require.ErrorContains(t, err, words)
			require.NotContains(t, err.Error(), "lost")
		}
		require.Equal(t, 1, v.Count().Refused, "the vendor is left alone")
		old, _ := stored(t, store)
		require.NotEmpty(t, old.RefreshToken, "kept, in case the vendor was wrong")

		v.Intercept(nil, nil)
		put(t, store, v.grant(time.Hour)) // crmsync auth, in another process
		status, err := v.post(t, s, "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
}

func TestARefusedSignInIsTriedAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	store := newMemory()
	put(t, store, v.grant(-time.Second))
	s := v.source(t, store)
	v.Intercept(nil, answer(400, `{"error": "invalid_grant"}`))
	_, err := s.Grant(t.Context())
	auth(t, err)
	v.Intercept(nil, nil)
	_, n := stored(t, store)
	n.Refused = n.Refused.Add(-retrial)
	raw, err := store.ReadGrant(t.Context(), "crm")
	require.NoError(t, err)
	s.note(t.Context(), raw.Version, n)
	_, err = s.Grant(t.Context())
	require.NoError(t, err, "the vendor was wrong")
}

// answer replaces the token server's answer.
func answer(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func TestTroubleOfTheTokenEndpointEndsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(*http.Request)
		after  func(http.ResponseWriter, *http.Request) bool
		want   connectors.Kind
	}{
		"503":              {after: answer(503, `{"error":"invalid_grant"}`)},
		"a page":           {after: answer(403, `<html>access-denied by s3cret firewall`)},
		"an empty success": {after: answer(200, `{}`)},
		"a broken success": {after: answer(200, `{"access_token":`)},
		"Zoho's limit":     {after: answer(400, `{"error":"Access Denied","status":"failure"}`)},
		"temporarily":      {after: answer(400, `{"error":"temporarily_unavailable"}`)},
		"too many":         {after: answer(429, `{"error":"slow_down"}`), want: connectors.RateLimited},
		"wrong client":     {after: answer(401, `{"error":"invalid_client"}`), want: connectors.Auth},
		"a lost answer":    {before: func(*http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := startVendor(t, &fakes.OAuth{}) // refresh tokens that can be used again
			store := newMemory()
			put(t, store, v.grant(-time.Second))
			before, _ := stored(t, store)
			v.Intercept(c.before, c.after)
			s := v.source(t, store)
			_, err := v.post(t, s, "text")
			quiet(t, err)
			if c.want == "" {
				passing(t, err)
			} else {
				require.Equal(t, c.want, connectors.AsError("", err).Kind)
			}
			after, _ := stored(t, store)
			require.Equal(t, before.RefreshToken, after.RefreshToken, "a good grant is never destroyed")

			v.Intercept(nil, nil)
			status, err := v.post(t, s, "text")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
		})
	}
}

func TestATokenThatStillHoldsIsUsedWhileTheEndpointIsAway(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	v.Intercept(nil, answer(503, ""))
	store := newMemory()
	put(t, store, v.grant(time.Minute)) // due
	s := v.source(t, store)
	_, err := v.post(t, s, "text")
	passing(t, err) // nothing was held yet
	s = v.source(t, store)
	g := v.grant(time.Minute)
	put(t, store, g)
	s.hold(g, 1<<20, false)
	for range 3 {
		status, err := v.post(t, s, "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
}

func TestAnEndpointThatHangsHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	v := startVendor(t, &fakes.OAuth{})
	v.Intercept(func(*http.Request) { <-release }, nil)
	store := newMemory()
	put(t, store, v.grant(-time.Second))
	s := v.source(t, store, func(o *Options) { o.AskTimeout = 100 * time.Millisecond })
	_, err := s.Grant(t.Context())
	passing(t, err)

	s = v.source(t, store, func(o *Options) { o.AskTimeout = time.Minute })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = s.Grant(ctx)
	passing(t, err)
	require.Less(t, time.Since(begun), 30*time.Second, "a caller leaves when it has to")
}

func TestALostAnswerIsToldFromARevocation(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	v.Intercept(nil, func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	store := newMemory()
	put(t, store, v.grant(-time.Second))
	s := v.source(t, store)
	_, err := s.Grant(t.Context())
	passing(t, err)
	v.Intercept(nil, nil)
	for range 2 {
		_, err = s.Grant(t.Context())
		auth(t, err)
		require.ErrorContains(t, err, "was lost")
	}
	require.Equal(t, 1, v.Count().Reused)
}

func TestEverybodyWaitsForOneRenewal(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]Store{"redis": newRedis(t), "file": newFile(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := startVendor(t, &fakes.OAuth{SingleUse: true})
			put(t, store, v.grant(-time.Second))
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range 5 { // as many processes
				s := v.source(t, store)
				for range 10 {
					wg.Go(func() {
						if _, err := s.Grant(t.Context()); err != nil {
							failed.Add(1)
						}
					})
				}
			}
			wg.Wait()
			require.Zero(t, failed.Load())
			require.Equal(t, fakes.OAuthCount{Renewals: 1}, v.Count())
			kept, _ := stored(t, store)
			require.True(t, v.Intact(kept.RefreshToken))
		})
	}
}

// failing is a store whose writes fail, or whose memory is lost.
type failing struct {
	Store
	writes atomic.Int64 // how many fail
}

func (f *failing) WriteGrant(ctx context.Context, connector string, fence int64, value []byte) error {
	if f.writes.Add(-1) >= 0 {
		return errors.New("the store is away")
	}
	return f.Store.WriteGrant(ctx, connector, fence, value)
}

func TestAGrantThatCannotBeStoredIsKeptAndNotUsed(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := &failing{Store: newMemory()}
	put(t, store, v.grant(-time.Second))
	store.writes.Store(1 << 40)
	s := v.source(t, store, func(o *Options) { o.AskTimeout = 150 * time.Millisecond })
	for range 2 {
		_, err := v.post(t, s, "text")
		passing(t, err)
	}
	require.Empty(t, v.calls)
	store.writes.Store(1) // back after one more failure
	status, err := v.post(t, s, "text")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, v.Count().Renewals, "the vendor was asked once")
	kept, _ := stored(t, store)
	require.True(t, v.Intact(kept.RefreshToken))
}

func TestAStoreThatLostAGrantIsGivenItBack(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	first := newMemory()
	put(t, first, v.grant(-time.Second))
	old := first.(*memory).table.row("crm").grant()
	s := v.source(t, first)
	_, err := s.Grant(t.Context())
	require.NoError(t, err)

	// Redis restarts with what it had on its disk: the grant before the renewal.
	restored := newMemory()
	require.NoError(t, restored.WriteGrant(t.Context(), "crm", old.Version, old.Value))
	s.Store = restored
	v.Expire()
	s.mu.Lock()
	s.held.Obtained, s.held.Expiry = s.held.Obtained.Add(-time.Hour), time.Now().Add(-time.Second)
	s.mu.Unlock()
	_, err = s.Grant(t.Context())
	require.NoError(t, err)
	require.Zero(t, v.Count().Reused, "the used token is not sent again")
	kept, _ := stored(t, restored)
	require.True(t, v.Intact(kept.RefreshToken))
}

func TestWhoeverSleptForLongerThanItsLeaseDoesNoHarm(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{}) // a vendor that lets an old token be used again
	store := newRedis(t)
	put(t, store, v.grant(-time.Second))
	asleep, woken := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	v.Intercept(nil, func(http.ResponseWriter, *http.Request) bool {
		if calls.Add(1) == 1 {
			close(asleep)
			<-woken
		}
		return false
	})
	slow := v.source(t, store, func(o *Options) { o.AskTimeout, o.Lease = time.Minute, 100*time.Millisecond })
	ended := make(chan error, 1)
	go func() {
		_, err := slow.Grant(context.Background())
		ended <- err
	}()
	<-asleep
	quick := v.source(t, store)
	_, err := quick.Grant(t.Context())
	require.NoError(t, err)
	newest, _ := stored(t, store)
	close(woken)
	passing(t, <-ended)
	after, _ := stored(t, store)
	require.Equal(t, newest.AccessToken, after.AccessToken, "not overwritten")
	g, err := slow.Grant(t.Context())
	require.NoError(t, err)
	require.Equal(t, newest.AccessToken, g.Token, "and used by whoever was late")
}

// A renewal that came too late is refused for the use of a token that another
// process has used meanwhile: the other's grant is taken.
func TestARefusalIsBelievedOnlyAfterReadingAgain(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newRedis(t)
	put(t, store, v.grant(-time.Second))
	asleep, woken := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	v.Intercept(func(*http.Request) {
		if calls.Add(1) == 1 {
			close(asleep)
			<-woken
		}
	}, nil)
	slow := v.source(t, store, func(o *Options) { o.AskTimeout, o.Lease = time.Minute, 100*time.Millisecond })
	ended := make(chan error, 1)
	go func() {
		_, err := slow.Grant(context.Background())
		ended <- err
	}()
	<-asleep
	_, err := v.source(t, store).Grant(t.Context())
	require.NoError(t, err)
	newest, _ := stored(t, store)
	close(woken)
	require.NoError(t, <-ended)
	require.Equal(t, 1, v.Count().Reused)
	after, n := stored(t, store)
	require.Equal(t, newest, after)
	require.Zero(t, n, "it is not taken for revoked")
	g, err := slow.Grant(t.Context())
	require.NoError(t, err)
	require.Equal(t, newest.AccessToken, g.Token)
}

func TestARenewalInTimeHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	v.Intercept(func(*http.Request) { <-release }, nil)
	store := newMemory()
	g := v.grant(time.Minute)
	put(t, store, g)
	s := v.source(t, store, func(o *Options) { o.AskTimeout = 20 * time.Second })
	s.hold(g, 1, false)
	begun := time.Now()
	for range 3 {
		status, err := v.post(t, s, "text")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
	require.Less(t, time.Since(begun), 3*hurry, "only the first waits, and not for long")
	close(release)
	s.Wait(t.Context())
	require.Equal(t, 1, v.Count().Renewals, "it went on meanwhile")
	held, usable, _ := s.holding()
	require.True(t, usable)
	require.NotEqual(t, g.AccessToken, held.AccessToken)
}

func TestALateAnswerIsStoredWhereNobodyElseHasOne(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	store := newRedis(t)
	put(t, store, v.grant(-time.Second))
	fence, err := store.LockGrant(t.Context(), "crm", "slow", 0, 20*time.Millisecond)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		younger, err := store.LockGrant(t.Context(), "crm", "quick", 0, 20*time.Millisecond)
		return err == nil && younger > fence
	}, time.Second, 5*time.Millisecond)
	require.NoError(t, store.WriteGrant(t.Context(), "crm", fence, []byte(`{"access_token":"late"}`)))
	g, _ := stored(t, store)
	require.Equal(t, "late", g.AccessToken)
}

func TestAStoreThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{SingleUse: true})
	away, err := ledger.OpenGrants(ledger.Options{URL: "redis://:s3cret@127.0.0.1:1/0", Ring: ring("a")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = away.Close() })
	s := v.source(t, away, func(o *Options) { o.AskTimeout = 100 * time.Millisecond })
	_, err = v.post(t, s, "text")
	passing(t, err)
	require.Zero(t, v.Count(), "nobody is asked without the lock")
	s.hold(v.grant(time.Hour), 1, false)
	status, err := v.post(t, s, "text")
	require.NoError(t, err, "a token that is held is enough")
	require.Equal(t, http.StatusOK, status)
}

func TestWithoutAPersonEachProcessAsksForItsOwnToken(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{Basic: true, Scheme: "Zoho-oauthtoken"})
	settings := v.settings(t, func(c *config.OAuth) { c.Flow = config.FlowClient })
	for range 2 {
		s := v.source(t, nil, func(o *Options) { o.Settings = settings })
		for range 3 {
			status, err := v.post(t, s, "text")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
		}
	}
	require.Equal(t, fakes.OAuthCount{Minted: 2}, v.Count())
	v.Expire()
}

func TestAWrongClientIsAQuestionOfConfiguration(t *testing.T) {
	t.Parallel()
	v := startVendor(t, &fakes.OAuth{})
	settings := v.settings(t, func(c *config.OAuth) { c.Flow, c.ClientSecret = config.FlowClient, "wrong-s3cret" })
	s := v.source(t, nil, func(o *Options) { o.Settings = settings })
	_, err := v.post(t, s, "text")
	require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
	require.ErrorContains(t, err, "invalid_client")
	quiet(t, err)
}
