package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// Auth is how calls are authenticated: one of its ways, or none.
type Auth struct {
	Bearer  connectors.Secret            `yaml:"bearer"`
	Basic   *Basic                       `yaml:"basic"`
	Headers map[string]connectors.Secret `yaml:"headers"`
	// Query parameters are for APIs that know nothing better: they end up in
	// the CRM's access logs.
	Query map[string]connectors.Secret `yaml:"query"`
	OAuth *OAuth                       `yaml:"oauth"`
}

// Basic is a name and a password (RFC 7617).
type Basic struct {
	User     string            `yaml:"user"`
	Password connectors.Secret `yaml:"password"`
}

// OAuth is the grant of client credentials (RFC 6749 §4.4).
type OAuth struct {
	TokenURL     string            `yaml:"token_url"`
	ClientID     string            `yaml:"client_id"`
	ClientSecret connectors.Secret `yaml:"client_secret"`
	Scopes       []string          `yaml:"scopes"`
	Params       map[string]string `yaml:"params"`
	// ClientAuth says how id and secret are sent: header (the default) or body.
	ClientAuth string `yaml:"client_auth"`
}

func (a Auth) validate() error {
	ways := 0
	for _, given := range []bool{a.Bearer != "", a.Basic != nil, len(a.Headers) > 0, len(a.Query) > 0, a.OAuth != nil} {
		if given {
			ways++
		}
	}
	var errs []error
	if ways > 1 {
		errs = append(errs, errors.New("auth: takes one of bearer, basic, headers, query and oauth"))
	}
	if err := plainHeader(a.Bearer.Reveal()); err != nil {
		errs = append(errs, fmt.Errorf("auth.bearer: %w", err))
	}
	for name, value := range a.Headers {
		if !headerName.MatchString(name) {
			errs = append(errs, errors.New("auth.headers: holds what is not the name of a header"))
		} else if err := plainHeader(value.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("auth.headers.%s: %w", name, err))
		}
	}
	if a.OAuth != nil {
		errs = append(errs, a.OAuth.validate())
	}
	return errors.Join(errs...)
}

func (o OAuth) validate() error {
	var errs []error
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, errors.New("auth.oauth.token_url: must be an absolute http or https URL"))
	}
	if o.ClientID == "" || o.ClientSecret == "" {
		errs = append(errs, errors.New("auth.oauth: needs client_id and client_secret"))
	}
	if o.ClientAuth != "" && o.ClientAuth != "header" && o.ClientAuth != "body" {
		errs = append(errs, errors.New("auth.oauth.client_auth: must be header or body"))
	}
	return errors.Join(errs...)
}

// authenticated answers a client that authenticates its calls over the given
// one, and what to call once the CRM refuses that.
func (a Auth) authenticated(client *http.Client) (_ *http.Client, refused func(context.Context)) {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	next := own.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	if a.OAuth == nil {
		own.Transport = transport(func(r *http.Request) (*http.Response, error) { return next.RoundTrip(a.signed(r)) })
		return &own, func(context.Context) {}
	}
	plain := own
	g := newGrant(*a.OAuth, &plain, next)
	own.Transport = g
	return &own, g.drop
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// signed answers a copy of r that carries the credentials. A transport sees the
// hops of a redirect, too, which stay on one host.
func (a Auth) signed(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	switch {
	case a.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+a.Bearer.Reveal())
	case a.Basic != nil:
		pair := base64.StdEncoding.EncodeToString([]byte(a.Basic.User + ":" + a.Basic.Password.Reveal()))
		r.Header.Set("Authorization", "Basic "+pair)
	}
	for name, value := range a.Headers {
		r.Header.Set(name, value.Reveal())
	}
	if len(a.Query) > 0 {
		query := r.URL.Query()
		for name, value := range a.Query {
			query.Set(name, value.Reveal())
		}
		r.URL.RawQuery = query.Encode()
	}
	return r
}

// grant is a transport that signs calls with a token, which it asks for when
// there is none that is valid. It is safe for concurrent use.
type grant struct {
	config clientcredentials.Config
	client *http.Client // for the token
	next   http.RoundTripper
	// token holds the token that is in use, nil for none; whoever takes it out
	// puts one back.
	token chan *oauth2.Token
}

func newGrant(o OAuth, client *http.Client, next http.RoundTripper) *grant {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	g := &grant{client: client, next: next, token: make(chan *oauth2.Token, 1), config: clientcredentials.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), TokenURL: o.TokenURL, Scopes: o.Scopes,
		EndpointParams: url.Values{}, AuthStyle: oauth2.AuthStyleInHeader,
	}}
	for name, value := range o.Params {
		g.config.EndpointParams.Set(name, value)
	}
	if o.ClientAuth == "body" {
		g.config.AuthStyle = oauth2.AuthStyleInParams
	}
	g.token <- nil
	return g
}

// RoundTrip implements http.RoundTripper.
func (g *grant) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := g.valid(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	return g.next.RoundTrip(r)
}

// valid answers the token, or asks for one. Others who need it wait meanwhile,
// as long as their contexts do.
func (g *grant) valid(ctx context.Context) (*oauth2.Token, error) {
	select {
	case token := <-g.token:
		defer func() { g.token <- token }()
		if token.Valid() {
			return token, nil
		}
		fresh, err := g.config.Token(context.WithValue(ctx, oauth2.HTTPClient, g.client))
		if err != nil {
			return nil, signInError(ctx, err)
		}
		token = fresh
		return token, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// drop makes the next call ask for a new token. Only the verdict on an answer
// tells that this one is refused: it need not come as a 401.
func (g *grant) drop(ctx context.Context) {
	select {
	case <-g.token:
		g.token <- nil
	case <-ctx.Done(): // somebody asks for a new one already
	}
}

// signInError says why there is no token, in words that hold nothing of the
// answer.
func signInError(ctx context.Context, err error) error {
	if own, ok := errors.AsType[*connectors.Error](err); ok {
		return own // of a transport that refuses to send
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	e := &connectors.Error{Op: "sign in", Kind: connectors.Unavailable, Err: errors.New("no token came from auth.oauth.token_url")}
	switch {
	case ctx.Err() != nil:
		e.Err = ctx.Err()
	case !ok || refused.Response == nil:
	default:
		e.Status = refused.Response.StatusCode
		e.RetryAfter = rest.RetryAfter(refused.Response.Header, time.Now())
		if kind := rest.KindOf(e.Status); kind == connectors.RateLimited {
			e.Kind = kind
		} else if e.Status/100 == 2 || e.Status/100 == 4 && kind != connectors.Unavailable {
			e.Kind, e.Err = connectors.Auth, errors.New("auth.oauth.token_url refuses client_id and client_secret, or the scopes")
		}
	}
	return e
}
