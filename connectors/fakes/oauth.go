package fakes

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"crmsync/connectors"
)

// OAuth is a vendor's authorization server, as unkind as they come: single-use
// refresh tokens whose reuse ends the whole sign-in, tokens that expire, answers
// that are lost. A person always consents. A fake of a vendor mounts it beside
// its API, and asks [OAuth.Guard] to let nobody in without a token.
//
//	GET  /authorize   code flow, with PKCE
//	POST /token       authorization_code, refresh_token, client_credentials, jwt-bearer
//	POST /revoke      RFC 7009
//
// Its fields are set before it is used; its methods are safe for concurrent use.
type OAuth struct {
	// ClientID and ClientSecret are those of the only client.
	ClientID, ClientSecret string
	// Basic takes the client's credentials from the header only.
	Basic bool
	// Lifetime is that of an access token; 0: an hour.
	Lifetime time.Duration
	// NoExpiry leaves expires_in out of the answers.
	NoExpiry bool
	// SingleUse gives a new refresh token with each answer; a second use of the
	// old one ends the sign-in (Close, GoHighLevel).
	SingleUse bool
	// Scopes are what a person grants; nil: whatever is asked for.
	Scopes []string
	// Scheme stands before the token in the header Authorization; empty: Bearer.
	Scheme string
	// Fields come with each token, such as instance_url.
	Fields map[string]string
	// Key is what assertions are signed with; nil: they are refused.
	Key *rsa.PublicKey

	mu       sync.Mutex
	before   func(*http.Request)
	after    func(http.ResponseWriter, *http.Request) bool
	families []*family
	codes    map[string]authorization
	count    OAuthCount
}

// OAuthCount is what an OAuth has seen.
type OAuthCount struct {
	SignIns   int // codes that were exchanged
	Renewals  int // refresh tokens that were taken
	Reused    int // refresh tokens that were used before
	Minted    int // tokens without a person
	Refused   int // token requests that were refused
	Unguarded int // requests to the API with no valid token
}

// family is one sign-in.
type family struct {
	access  map[string]time.Time // until when
	refresh string               // the one that is valid
	used    map[string]bool
	ended   bool
	scopes  []string
}

// authorization is a person's consent, waiting for its code.
type authorization struct{ redirect, challenge, scope string }

// SignIn describes the server at base.
func (o *OAuth) SignIn(base string) connectors.SignIn {
	s := connectors.SignIn{
		AuthorizeURL: base + "/authorize", TokenURL: base + "/token", RevokeURL: base + "/revoke",
		Flows: []connectors.Flow{connectors.FlowCode, connectors.FlowClient, connectors.FlowJWT},
		Basic: o.Basic, Scheme: o.Scheme, NoExpiry: o.NoExpiry,
	}
	if o.Fields["instance_url"] != "" {
		s.InstanceField = "instance_url"
	}
	return s
}

// Intercept has before called with each token request before it is looked at, and
// after once it has taken effect and before the answer. after may send an answer
// itself, or none, and then answers true. Either may be nil.
func (o *OAuth) Intercept(before func(*http.Request), after func(http.ResponseWriter, *http.Request) (answered bool)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.before, o.after = before, after
}

// Count answers what was seen so far.
func (o *OAuth) Count() OAuthCount {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// Grant signs in without a person, and answers the tokens.
func (o *OAuth) Grant() (access, refresh string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.family(nil)
	return o.issue(f), f.refresh
}

// Expire makes every access token invalid from now on.
func (o *OAuth) Expire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.families {
		clear(f.access)
	}
}

// Revoke ends every sign-in.
func (o *OAuth) Revoke() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.families {
		f.end()
	}
}

// Intact reports whether a refresh token would be taken.
func (o *OAuth) Intact(refresh string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.byRefresh(refresh)
	return f != nil && !f.ended && f.refresh == refresh
}

// Guard answers 401 to those without a valid token.
func (o *OAuth) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.knows(r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (o *OAuth) knows(header string) bool {
	scheme := o.Scheme
	if scheme == "" {
		scheme = "Bearer"
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	token, ok := strings.CutPrefix(header, scheme+" ")
	for _, f := range o.families {
		if until, known := f.access[token]; ok && known && time.Now().Before(until) {
			return true
		}
	}
	o.count.Unguarded++
	return false
}

// ServeHTTP implements http.Handler.
func (o *OAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/authorize") && r.Method == http.MethodGet:
		o.authorize(w, r)
	case strings.HasSuffix(r.URL.Path, "/token") && r.Method == http.MethodPost:
		o.token(w, r)
	case strings.HasSuffix(r.URL.Path, "/revoke") && r.Method == http.MethodPost:
		o.revoke(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (o *OAuth) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if q.Get("client_id") != o.ClientID || err != nil || redirect.Host == "" {
		http.Error(w, "unknown client or redirect", http.StatusBadRequest) // and no redirect: RFC 6749 §4.1.2.1
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" {
		answer.Set("error", "invalid_request")
	} else {
		answer.Set("code", o.consent(authorization{q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("scope")}))
	}
	redirect.RawQuery = answer.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound) //nolint:gosec // G710: that is what such a page does; it is a fake
}

func (o *OAuth) consent(a authorization) (code string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.codes == nil {
		o.codes = map[string]authorization{}
	}
	code = rand.Text()
	o.codes[code] = a
	return code
}

func (o *OAuth) token(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	before, after := o.before, o.after
	o.mu.Unlock()
	if before != nil {
		before(r)
	}
	status, answer := o.answer(r)
	if after != nil && after(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (o *OAuth) answer(r *http.Request) (int, map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, problem := o.grant(r)
	if problem != "" {
		o.count.Refused++
		return http.StatusBadRequest, map[string]any{"error": problem, "error_description": "as the vendor says it"}
	}
	answer := map[string]any{"access_token": o.issue(f), "token_type": "bearer", "scope": strings.Join(f.scopes, " ")}
	if !o.NoExpiry {
		answer["expires_in"] = int(o.lifetime().Seconds())
	}
	if f.refresh != "" {
		answer["refresh_token"] = f.refresh
	}
	for name, value := range o.Fields {
		answer[name] = value
	}
	return http.StatusOK, answer
}

// grant decides on a token request, with the lock held.
func (o *OAuth) grant(r *http.Request) (*family, string) {
	kind := r.PostFormValue("grant_type")
	if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return o.assertion(r.PostFormValue("assertion"))
	}
	if !o.client(r) {
		return nil, "invalid_client"
	}
	switch kind {
	case "authorization_code":
		return o.exchange(r)
	case "refresh_token":
		return o.renew(r.PostFormValue("refresh_token"))
	case "client_credentials":
		return o.mint(strings.Fields(r.PostFormValue("scope"))), ""
	}
	return nil, "unsupported_grant_type"
}

func (o *OAuth) client(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	return id == o.ClientID && secret == o.ClientSecret && basic == o.Basic
}

func (o *OAuth) exchange(r *http.Request) (*family, string) {
	code := r.PostFormValue("code")
	a, known := o.codes[code]
	delete(o.codes, code) // RFC 6749 §4.1.2: once
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || a.redirect != r.PostFormValue("redirect_uri") || a.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return nil, "invalid_grant"
	}
	o.count.SignIns++
	scopes := strings.FieldsFunc(a.scope, func(c rune) bool { return c == ' ' || c == ',' })
	if o.Scopes != nil {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(o.Scopes, s) })
	}
	return o.family(scopes), ""
}

func (o *OAuth) renew(refresh string) (*family, string) {
	f := o.byRefresh(refresh)
	if f == nil || f.ended {
		return nil, "invalid_grant"
	}
	if refresh != f.refresh {
		o.count.Reused++
		f.end()
		return nil, "invalid_grant"
	}
	o.count.Renewals++
	if o.SingleUse {
		f.used[refresh] = true
		f.refresh = "refresh-" + rand.Text()
	}
	return f, ""
}

// assertion checks a signed JWT (RFC 7523 §3).
func (o *OAuth) assertion(raw string) (*family, string) {
	parts := strings.Split(raw, ".")
	if o.Key == nil || len(parts) != 3 {
		return nil, "invalid_grant"
	}
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var said struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	if json.Unmarshal(claims, &said) != nil || rsa.VerifyPKCS1v15(o.Key, crypto.SHA256, sum[:], signature) != nil {
		return nil, "invalid_grant"
	}
	if left := time.Until(time.Unix(said.Exp, 0)); said.Iss != o.ClientID || said.Sub == "" || said.Aud == "" || left < 0 || left > 3*time.Minute {
		return nil, "invalid_grant"
	}
	return o.mint(nil), ""
}

func (o *OAuth) mint(scopes []string) *family {
	o.count.Minted++
	f := o.family(scopes)
	f.refresh = ""
	return f
}

func (o *OAuth) revoke(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.client(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if f := o.byRefresh(r.PostFormValue("token")); f != nil {
		f.end()
	}
}

func (o *OAuth) family(scopes []string) *family {
	f := &family{access: map[string]time.Time{}, refresh: "refresh-" + rand.Text(), used: map[string]bool{}, scopes: scopes}
	o.families = append(o.families, f)
	return f
}

func (o *OAuth) issue(f *family) string {
	token := "access-" + rand.Text()
	maps.DeleteFunc(f.access, func(_ string, until time.Time) bool { return time.Now().After(until) })
	f.access[token] = time.Now().Add(o.lifetime())
	return token
}

func (o *OAuth) byRefresh(refresh string) *family {
	for _, f := range o.families {
		if refresh != "" && (f.refresh == refresh || f.used[refresh]) {
			return f
		}
	}
	return nil
}

func (o *OAuth) lifetime() time.Duration {
	if o.Lifetime == 0 {
		return time.Hour
	}
	return o.Lifetime
}

// end revokes a sign-in with all its tokens.
func (f *family) end() {
	f.ended = true
	clear(f.access)
}
