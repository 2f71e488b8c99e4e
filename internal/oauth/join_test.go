package oauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/fakes"
	"crmsync/internal/ledger"
)

// Who was refused a token may come while another reads that token from the store,
// and must not be given it again.
func TestARefusedTokenIsNoAnswerToWhoWasRefusedIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{OAuth: &fakes.OAuth{SingleUse: true, ClientID: "client", ClientSecret: "client-s3cret"}, url: "https://vendor.example"}
		store := slow{newMemory(), make(chan struct{})}
		old := v.grant(time.Hour)
		put(t, store, old)
		s := v.source(t, store, func(o *Options) { o.Transport = direct{v.OAuth} })
		tokens := make(chan string, 2)
		for _, refused := range []string{"", old.AccessToken} {
			go func() {
				g, _ := s.renew(t.Context(), refused)
				tokens <- g.AccessToken
			}()
			synctest.Wait() // it reads, or waits for who does
		}
		close(store.release)
		got := []string{<-tokens, <-tokens}
		require.Contains(t, got, old.AccessToken, "it was fresh")
		require.NotEqual(t, got[0], got[1])
		require.Equal(t, 1, v.Count().Renewals)
	})
}

// slow is a store that answers reads only after its release.
type slow struct {
	Store
	release chan struct{}
}

// ReadGrant implements Store.
func (s slow) ReadGrant(ctx context.Context, connector string) (ledger.Grant, error) {
	<-s.release
	return s.Store.ReadGrant(ctx, connector)
}

// direct asks a handler without a network.
type direct struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}
