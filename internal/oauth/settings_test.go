package oauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/fakes"
)

// The vendors that differ most, as their connectors describe or will describe
// them.
var (
	zoho = connectors.SignIn{
		AuthorizeURL: "https://accounts.zoho.{dc}/oauth/v2/auth", TokenURL: "https://accounts.zoho.{dc}/oauth/v2/token",
		Flows: []connectors.Flow{connectors.FlowCode}, Scopes: []string{"ZohoCRM.modules.ALL", "ZohoCRM.settings.ALL"}, ScopeSeparator: ",",
		Params: map[string]string{"dc": "com", "access_type": "offline", "prompt": "consent"}, Scheme: "Zoho-oauthtoken", InstanceField: "api_domain",
	}
	closeCRM = connectors.SignIn{
		AuthorizeURL: "https://app.close.com/oauth2/authorize/", TokenURL: "https://api.close.com/oauth2/token/",
		Flows: []connectors.Flow{connectors.FlowCode}, Scopes: []string{"all.full_access", "offline_access"},
	}
	dynamics = connectors.SignIn{
		TokenURL: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
		Flows:    []connectors.Flow{connectors.FlowClient}, Scopes: []string{"https://{org}.crm.dynamics.com/.default"},
	}
	salesforce = connectors.SignIn{
		AuthorizeURL: "https://{domain}/services/oauth2/authorize", TokenURL: "https://{domain}/services/oauth2/token",
		Flows: []connectors.Flow{connectors.FlowCode, connectors.FlowClient, connectors.FlowJWT}, InstanceField: "instance_url", NoExpiry: true,
		Audience: "https://login.salesforce.com",
	}
)

func TestAddressesOfEachVendor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		vendor    connectors.SignIn
		config    config.OAuth
		authorize string // its query without redirect, state and PKCE
		token     string
	}{
		{
			zoho,
			config.OAuth{Params: map[string]string{"dc": "eu"}},
			"https://accounts.zoho.eu/oauth/v2/auth?access_type=offline&client_id=id&prompt=consent&response_type=code&scope=ZohoCRM.modules.ALL%2CZohoCRM.settings.ALL",
			"https://accounts.zoho.eu/oauth/v2/token",
		},
		{
			zoho,
			config.OAuth{Scopes: []string{"ZohoCRM.users.READ"}, Params: map[string]string{"prompt": "login"}},
			"https://accounts.zoho.com/oauth/v2/auth?access_type=offline&client_id=id&prompt=login&response_type=code&scope=ZohoCRM.users.READ",
			"https://accounts.zoho.com/oauth/v2/token",
		},
		{
			closeCRM,
			config.OAuth{},
			"https://app.close.com/oauth2/authorize/?client_id=id&response_type=code&scope=all.full_access+offline_access",
			"https://api.close.com/oauth2/token/",
		},
		{
			salesforce,
			config.OAuth{Params: map[string]string{"domain": "acme.my.salesforce.com"}},
			"https://acme.my.salesforce.com/services/oauth2/authorize?client_id=id&response_type=code",
			"https://acme.my.salesforce.com/services/oauth2/token",
		},
	} {
		c.config.ClientID = "id"
		settings, err := Resolve(c.config, c.vendor)
		require.NoError(t, err)
		require.Equal(t, c.token, settings.TokenURL)
		require.True(t, settings.Shared())
		page, err := url.Parse(NewSource(Options{Settings: settings, Store: newMemory()}).Visit().URL())
		require.NoError(t, err)
		q := page.Query()
		require.Equal(t, "S256", q.Get("code_challenge_method"))
		require.GreaterOrEqual(t, len(q.Get("state")), 20)
		require.Equal(t, DefaultRedirect, q.Get("redirect_uri"))
		for _, own := range []string{"code_challenge_method", "code_challenge", "state", "redirect_uri"} {
			q.Del(own)
		}
		page.RawQuery = q.Encode()
		require.Equal(t, c.authorize, page.String())
	}
	settings, err := Resolve(config.OAuth{ClientID: "id", ClientSecret: "s", Params: map[string]string{"tenant": "t", "org": "acme"}}, dynamics)
	require.NoError(t, err)
	require.False(t, settings.Shared())
	require.Equal(t, []string{"https://acme.crm.dynamics.com/.default"}, settings.Scopes)
	require.Empty(t, settings.client().EndpointParams, "what stands in an address is not sent")
	require.Equal(t, []string{"https://{org}.crm.dynamics.com/.default"}, dynamics.Scopes, "the definition is left alone")
}

func TestResolveSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		config config.OAuth
		vendor connectors.SignIn
	}{
		"params: lacks tenant, org, which":              {config.OAuth{ClientSecret: "s"}, dynamics},
		"flow: this CRM has authorization_code":         {config.OAuth{Flow: config.FlowClient, ClientSecret: "s"}, zoho},
		"client_secret: is missing":                     {config.OAuth{Params: map[string]string{"tenant": "t", "org": "o"}}, dynamics},
		"private_key: is missing":                       {config.OAuth{Flow: config.FlowJWT, Params: map[string]string{"domain": "d"}}, salesforce},
		"authorize_url: is missing":                     {config.OAuth{}, connectors.SignIn{TokenURL: "https://a", Flows: []connectors.Flow{connectors.FlowCode}}},
		"token_url: is missing":                         {config.OAuth{}, connectors.SignIn{Flows: []connectors.Flow{connectors.FlowCode}}},
		"params: lacks domain, which stands in the add": {config.OAuth{}, salesforce},
	} {
		_, err := Resolve(c.config, c.vendor)
		require.ErrorContains(t, err, want)
	}
}

func TestASignedAssertion(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	v := startVendor(t, &fakes.OAuth{Key: &key.PublicKey, NoExpiry: true, Fields: map[string]string{"instance_url": "https://acme.example.com"}})
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	settings := v.settings(t, func(c *config.OAuth) {
		c.Flow, c.PrivateKey, c.Subject, c.Audience = config.FlowJWT, config.Secret(text), "sync@acme.example.com", "https://login.salesforce.com"
	})
	s := v.source(t, nil, func(o *Options) { o.Settings = settings })
	status, err := v.post(t, s, "text")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	g, err := s.Grant(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://acme.example.com", g.InstanceURL)

	s.mu.Lock()
	s.held.Obtained = s.held.Obtained.Add(-time.Hour)
	s.mu.Unlock()
	s.Store.(*memory).table = table{}
	v.Expire() // the session ended
	status, err = v.post(t, s, "text")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 2, v.Count().Minted)

	settings.subject = ""
	refused := v.source(t, nil, func(o *Options) { o.Settings = settings })
	_, err = refused.Grant(t.Context())
	require.Equal(t, connectors.Auth, connectors.AsError("", err).Kind)
	require.ErrorContains(t, err, "invalid_grant")
}

func TestAGrantShowsNoToken(t *testing.T) {
	t.Parallel()
	g := Grant{AccessToken: "access-s3cret", RefreshToken: "refresh-s3cret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, g), "s3cret")
		require.NotContains(t, fmt.Sprintf(verb, []any{g, &g}), "s3cret")
	}
}
