package oauth

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/fakes"
	"crmsync/internal/codec"
	"crmsync/internal/devstack/devtest"
	"crmsync/internal/ledger"
)

// vendor is a running authorization server with an API behind it.
type vendor struct {
	*fakes.OAuth
	url   string
	calls []string // bodies that the API took

	mu    sync.Mutex
	under sync.RWMutex // held by each request under way
}

func startVendor(t testing.TB, o *fakes.OAuth) *vendor {
	o.ClientID, o.ClientSecret = "client", "client-s3cret"
	v := &vendor{OAuth: o}
	mux := http.NewServeMux()
	mux.Handle("/api/", o.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.calls = append(v.calls, string(body))
	})))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		v.under.RLock()
		defer v.under.RUnlock()
		o.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

// settle waits until no request is under way at the token server.
func (v *vendor) settle() {
	v.under.Lock()
	defer v.under.Unlock()
}

func (v *vendor) settings(t testing.TB, change ...func(*config.OAuth)) Settings {
	c := config.OAuth{ClientID: v.ClientID, ClientSecret: config.Secret(v.ClientSecret)}
	for _, f := range change {
		f(&c)
	}
	s, err := Resolve(c, v.SignIn(v.url))
	require.NoError(t, err)
	return s
}

// grant is a person's sign-in of a while ago.
func (v *vendor) grant(expiry time.Duration) Grant {
	access, refresh := v.Grant()
	now := time.Now().UTC()
	return Grant{
		AccessToken: access, RefreshToken: refresh, ClientID: v.ClientID,
		Obtained: now.Add(-time.Hour), SignedIn: now.Add(-time.Hour), Expiry: now.Add(expiry),
	}
}

// put stores a grant behind the sources' backs.
func put(t testing.TB, store Store, g Grant) {
	value, err := json.Marshal(g)
	require.NoError(t, err)
	fence, err := store.LockGrant(t.Context(), "crm", "test", 0, time.Minute)
	require.NoError(t, err)
	require.NoError(t, store.WriteGrant(t.Context(), "crm", fence, value))
	require.NoError(t, store.UnlockGrant(t.Context(), "crm", "test"))
}

// stored answers what a store holds.
func stored(t testing.TB, store Store) (g Grant, n note) {
	raw, err := store.ReadGrant(context.WithoutCancel(t.Context()), "crm")
	require.NoError(t, err)
	if len(raw.Value) > 0 {
		require.NoError(t, json.Unmarshal(raw.Value, &g))
	}
	if len(raw.Note) > 0 {
		require.NoError(t, json.Unmarshal(raw.Note, &n))
	}
	return g, n
}

func newMemory() Store { return &memory{table: table{}} }

func newFile(t testing.TB) *File { return NewFile(filepath.Join(t.TempDir(), "grants.json")) }

func newRedis(t testing.TB) *ledger.Grants {
	g, err := ledger.OpenGrants(ledger.Options{URL: devtest.Redis(t).URL, Ring: ring("a")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func (v *vendor) source(t testing.TB, store Store, change ...func(*Options)) *Source {
	o := Options{Connector: "crm", Settings: v.settings(t), Store: store, AskTimeout: 2 * time.Second, Lease: 6 * time.Second}
	for _, f := range change {
		f(&o)
	}
	s := NewSource(o)
	t.Cleanup(func() { s.Wait(context.Background()) })
	return s
}

func httpClient(s *Source) *http.Client {
	return &http.Client{Transport: s.Transport(http.DefaultTransport)}
}

// post sends a write to the vendor's API.
func (v *vendor) post(t testing.TB, s *Source, body string) (int, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url+"/api/texts", strings.NewReader(body))
	require.NoError(t, err)
	response, err := httpClient(s).Do(r)
	if err != nil {
		return 0, err
	}
	require.NoError(t, response.Body.Close())
	return response.StatusCode, nil
}

// auth requires that an error asks a person to run the command.
func auth(t testing.TB, err error) {
	t.Helper()
	e := connectors.AsError("", err)
	require.Equal(t, connectors.Auth, e.Kind, err)
	require.False(t, e.Ambiguous)
	require.ErrorContains(t, err, "run 'crmsync auth crm'")
	quiet(t, err)
}

// passing requires that an error comes and goes.
func passing(t testing.TB, err error) {
	t.Helper()
	e := connectors.AsError("", err)
	require.Equal(t, connectors.Unavailable, e.Kind, err)
	require.False(t, e.Ambiguous)
	quiet(t, err)
}

// quiet requires that an error holds no secret.
func quiet(t testing.TB, err error) {
	t.Helper()
	for _, secret := range []string{"access-", "refresh-", "s3cret"} {
		require.NotContains(t, err.Error(), secret)
	}
}

// readOnce is a body without a second copy.
func readOnce(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func ring(key string) *codec.Ring {
	r, err := codec.NewRing([][]byte{[]byte(strings.Repeat(key, 32))})
	if err != nil {
		panic(err)
	}
	return r
}

// linger lets time pass in a fake, or before a kill: points in time are what is
// tried here.
func linger(d time.Duration) { <-time.After(d) }
