package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Visit is one person's visit to the vendor's sign-in page.
type Visit struct {
	source          *Source
	state, verifier string
}

// Visit begins a sign-in.
func (s *Source) Visit() *Visit {
	return &Visit{source: s, state: rand.Text(), verifier: oauth2.GenerateVerifier()}
}

// URL is the page to open.
func (v *Visit) URL() string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(v.verifier)}
	for name, value := range v.source.Settings.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return v.source.Settings.code().AuthCodeURL(v.state, options...)
}

// errNotOurs: a redirect that does not belong to this visit.
var errNotOurs = errors.New("this is not the answer to this sign-in (its state differs): open the page again")

// Finish takes the URL that the vendor redirected to, gets the grant, checks what
// was granted, and stores it.
func (v *Visit) Finish(ctx context.Context, redirected url.Values) (Grant, error) {
	if subtle.ConstantTimeCompare([]byte(redirected.Get("state")), []byte(v.state)) != 1 {
		return Grant{}, errNotOurs
	}
	if refusal := redirected.Get("error"); refusal != "" {
		if !codePattern.MatchString(refusal) {
			refusal = "for a reason that cannot be shown"
		}
		return Grant{}, fmt.Errorf("the CRM did not sign in: %s", refusal)
	}
	s := v.source
	ctx, cancel := context.WithTimeout(ctx, s.Lease)
	defer cancel()
	g, err := s.Settings.exchange(ctx, s.client, redirected.Get("code"), v.verifier)
	if err != nil {
		e, _ := s.Settings.verdict(err)
		return Grant{}, fmt.Errorf("the sign-in was not completed: %w", e.Err)
	}
	if err := s.Settings.granted(g); err != nil {
		return Grant{}, err
	}
	return g, s.Keep(ctx, g)
}

// granted reports what a grant lacks.
func (s Settings) granted(g Grant) error {
	if g.RefreshToken == "" && !g.Expiry.IsZero() {
		return errors.New("the CRM gave no refresh token, so that the sign-in would end at " + g.Expiry.Format(time.RFC3339) +
			": allow offline access for the application")
	}
	var missing []string
	for _, scope := range s.Scopes {
		// Vendors leave out the names of what the refresh token itself shows.
		if scope == "offline_access" || scope == "refresh_token" || slices.Contains(g.Scopes, scope) {
			continue
		}
		missing = append(missing, scope)
	}
	if len(g.Scopes) > 0 && len(missing) > 0 {
		return fmt.Errorf("the CRM did not grant %s: allow it for the application and sign in again, or list what is wanted in oauth.scopes",
			strings.Join(missing, ", "))
	}
	return nil
}

// Keep stores a grant that a person's sign-in gave, in the place of any other.
func (s *Source) Keep(ctx context.Context, g Grant) error {
	l, err := s.lock(ctx, s.Lease+s.AskTimeout)
	if err != nil {
		return err
	}
	defer s.unlock(ctx)
	_, err = s.keep(ctx, l.fence, g)
	return err
}

// SignOut forgets the grant, and has the vendor revoke it where it can. revoked
// says whether it did.
func (s *Source) SignOut(ctx context.Context) (revoked bool, err error) {
	l, err := s.lock(ctx, s.Lease+s.AskTimeout)
	if err != nil {
		return false, err
	}
	defer s.unlock(ctx)
	if !l.grant.Zero() && s.Settings.RevokeURL != "" {
		if err := s.revoke(ctx, l.grant); err != nil {
			return false, err
		}
		revoked = true
	}
	s.hold(Grant{}, l.fence, false)
	return revoked, s.Store.WriteGrant(ctx, s.Connector, l.fence, nil)
}

// revoke takes the grant back (RFC 7009).
func (s *Source) revoke(ctx context.Context, g Grant) error {
	ctx, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	form := url.Values{"token": {g.RefreshToken}, "token_type_hint": {"refresh_token"}}
	if g.RefreshToken == "" {
		form = url.Values{"token": {g.AccessToken}, "token_type_hint": {"access_token"}}
	}
	if !s.Settings.Basic {
		form.Set("client_id", s.Settings.ClientID)
		form.Set("client_secret", s.Settings.clientSecret.Reveal())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Settings.RevokeURL, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("oauth.revoke_url: is not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.Settings.Basic {
		r.SetBasicAuth(url.QueryEscape(s.Settings.ClientID), url.QueryEscape(s.Settings.clientSecret.Reveal()))
	}
	response, err := s.client.Do(r)
	if err != nil {
		return errors.New("the CRM's revocation endpoint does not answer")
	}
	drain(response)
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the CRM did not revoke the sign-in (HTTP %d)", response.StatusCode)
	}
	return nil
}

// Callback is where the vendor sends the browser, on this machine.
type Callback struct {
	server  *http.Server
	address net.Addr
	arrived chan url.Values
}

// Local reports whether the redirect leads to this machine, so that Listen can
// take it.
func (s Settings) Local() bool {
	u, err := url.Parse(s.Redirect)
	return err == nil && u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

// Listen waits for browsers at the settings' redirect, on this machine alone.
func (v *Visit) Listen() (*Callback, error) {
	u, err := url.Parse(v.source.Settings.Redirect)
	if err != nil {
		return nil, err
	}
	listener, err := listenLocal(u)
	if err != nil {
		return nil, err
	}
	c := &Callback{address: listener.Addr(), arrived: make(chan url.Values, 1)}
	path := u.Path
	if path == "" {
		path = "/"
	}
	c.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		v.receive(w, r, c.arrived)
	})}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

func listenLocal(u *url.URL) (net.Listener, error) {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// receive hands the first redirect on that belongs to the visit.
func (v *Visit) receive(w http.ResponseWriter, r *http.Request, arrived chan<- url.Values) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the code
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(v.state)) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintln(w, errNotOurs)
		return
	}
	select {
	case arrived <- q:
	default: // a page that was loaded again
	}
	_, _ = fmt.Fprintln(w, "crmsync has the answer. Close this page and look at the terminal.")
}

// Wait answers the redirect.
func (c *Callback) Wait(ctx context.Context) (url.Values, error) {
	select {
	case q := <-c.arrived:
		return q, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops listening, once the page has been sent.
func (c *Callback) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.server.Shutdown(ctx)
}
