package oauth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"crmsync/config"
	"crmsync/connectors"
)

// DefaultRedirect is where the browser is sent after a sign-in unless
// oauth.redirect says otherwise.
const DefaultRedirect = "http://localhost:8912/callback"

// assertionLife is how long a signed assertion holds. Salesforce takes at most
// three minutes
// (https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm).
const assertionLife = 2 * time.Minute

// Settings are how one instance signs in.
type Settings struct {
	connectors.SignIn
	Flow         connectors.Flow
	ClientID     string
	Redirect     string
	clientSecret config.Secret
	privateKey   config.Secret
	subject      string
}

// Resolve puts an instance's settings over those of the vendor. Its errors begin
// with the key, below oauth, that they are about.
func Resolve(c config.OAuth, vendor connectors.SignIn) (Settings, error) {
	s := Settings{
		SignIn: vendor, ClientID: c.ClientID, Redirect: cmp.Or(c.Redirect, DefaultRedirect),
		clientSecret: c.ClientSecret, privateKey: c.PrivateKey, subject: c.Subject,
	}
	s.AuthorizeURL = cmp.Or(c.AuthorizeURL, s.AuthorizeURL)
	s.TokenURL = cmp.Or(c.TokenURL, s.TokenURL)
	s.RevokeURL = cmp.Or(c.RevokeURL, s.RevokeURL)
	s.Audience = cmp.Or(c.Audience, s.Audience)
	s.Scopes = slices.Clone(s.Scopes)
	if len(c.Scopes) > 0 {
		s.Scopes = slices.Clone(c.Scopes)
	}
	if s.Flow = connectors.Flow(c.Flow); s.Flow == "" && len(vendor.Flows) > 0 {
		s.Flow = vendor.Flows[0]
	}
	s.Params = maps.Clone(vendor.Params)
	if s.Params == nil {
		s.Params = map[string]string{}
	}
	maps.Copy(s.Params, c.Params)
	return s, errors.Join(s.check(), s.fill())
}

// check refuses what cannot work.
func (s *Settings) check() error {
	switch {
	case !slices.Contains(s.Flows, s.Flow):
		return fmt.Errorf("flow: this CRM has %s", list(s.Flows))
	case s.TokenURL == "":
		return errors.New("token_url: is missing")
	case s.Flow == connectors.FlowCode && s.AuthorizeURL == "":
		return errors.New("authorize_url: is missing")
	case s.Flow == connectors.FlowClient && s.clientSecret == "":
		return errors.New("client_secret: is missing: flow client_credentials needs it")
	case s.Flow == connectors.FlowJWT && s.privateKey == "":
		return errors.New("private_key: is missing: flow jwt_bearer needs it")
	}
	return nil
}

func list(flows []connectors.Flow) string {
	words := make([]string, len(flows))
	for i, f := range flows {
		words[i] = string(f)
	}
	return strings.Join(words, ", ")
}

var braces = regexp.MustCompile(`\{([a-z_]+)\}`)

// fill replaces the names in braces, and keeps their values from being sent.
func (s *Settings) fill() error {
	var missing []string
	used := map[string]bool{}
	fill := func(text *string) {
		*text = braces.ReplaceAllStringFunc(*text, func(name string) string {
			name = strings.Trim(name, "{}")
			used[name] = true
			if s.Params[name] == "" && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			return s.Params[name]
		})
	}
	for _, text := range []*string{&s.AuthorizeURL, &s.TokenURL, &s.RevokeURL, &s.Audience} {
		fill(text)
	}
	for i := range s.Scopes {
		fill(&s.Scopes[i])
	}
	maps.DeleteFunc(s.Params, func(name, _ string) bool { return used[name] })
	if len(missing) > 0 {
		return fmt.Errorf("params: lacks %s, which stands in the addresses of this CRM", strings.Join(missing, ", "))
	}
	return nil
}

// Shared reports whether a person's grant is kept, which all processes share.
func (s Settings) Shared() bool { return s.Flow == connectors.FlowCode }

// scopes are joined as the vendor reads them.
func (s Settings) scopes() []string {
	if s.ScopeSeparator == "" || len(s.Scopes) == 0 {
		return s.Scopes
	}
	return []string{strings.Join(s.Scopes, s.ScopeSeparator)}
}

func (s Settings) style() oauth2.AuthStyle {
	if s.Basic {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

func (s Settings) code() *oauth2.Config {
	return &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: s.clientSecret.Reveal(), RedirectURL: s.Redirect, Scopes: s.scopes(),
		Endpoint: oauth2.Endpoint{AuthURL: s.AuthorizeURL, TokenURL: s.TokenURL, AuthStyle: s.style()},
	}
}

func (s Settings) client() *clientcredentials.Config {
	params := url.Values{}
	for name, value := range s.Params {
		params.Set(name, value)
	}
	return &clientcredentials.Config{
		ClientID: s.ClientID, ClientSecret: s.clientSecret.Reveal(), TokenURL: s.TokenURL, Scopes: s.scopes(),
		EndpointParams: params, AuthStyle: s.style(),
	}
}

func (s Settings) assertion() *jwt.Config {
	return &jwt.Config{
		Email: s.ClientID, PrivateKey: []byte(s.privateKey.Reveal()), Subject: s.subject, Scopes: s.scopes(),
		TokenURL: s.TokenURL, Expires: assertionLife, Audience: s.Audience,
	}
}

// authorization is the value of the header of that name.
func (s Settings) authorization(token string) string {
	return cmp.Or(s.Scheme, "Bearer") + " " + token
}

// tokenClient calls the token endpoint. It follows no redirect, since what it
// sends is secret.
func tokenClient(next http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     next,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
