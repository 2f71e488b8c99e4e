package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

const signedIn = "grants: { file: /var/lib/crmsync/grants.json }\njustcall: { main: {} }\nconnectors:\n  crm:\n    type: t\n    oauth: "

func TestOAuthIsRead(t *testing.T) {
	t.Parallel()
	c := parse(t, signedIn+`
      client_id: id
      client_secret: ${NAME}
      flow: authorization_code
      scopes: [a, b]
      redirect: http://localhost:9999/callback
      params: { tenant: acme }
      token_url: https://login.example.com/token
      authorize_url: http://127.0.0.1:8080/authorize
      audience: https://login.example.com
`)
	require.Equal(t, "/var/lib/crmsync/grants.json", c.Grants.File)
	require.Equal(t, &config.OAuth{
		ClientID: "id", ClientSecret: "crm", Flow: config.FlowCode, Scopes: []string{"a", "b"}, Redirect: "http://localhost:9999/callback",
		Params: map[string]string{"tenant": "acme"}, TokenURL: "https://login.example.com/token",
		AuthorizeURL: "http://127.0.0.1:8080/authorize", Audience: "https://login.example.com",
	}, c.Connectors["crm"].OAuth)
	require.Nil(t, parse(t, crms).Connectors["zoho"].OAuth)
	var vendor struct{}
	require.NoError(t, c.Connectors["crm"].Decode(&vendor), "it is not the vendor's")
}

func TestMistakesInOAuth(t *testing.T) {
	t.Parallel()
	for oauth, want := range map[string]string{
		"{}":                                                                "oauth.client_id: is missing",
		"{ client_id: id, flow: implicit }":                                 `oauth.flow: "implicit" is not one of authorization_code, client_credentials, jwt_bearer`,
		"{ client_id: id, clientid: x }":                                    "oauth.clientid: unknown key; did you mean client_id?",
		"{ client_id: id, client_secret: '' }":                              "oauth.client_secret: is empty",
		"{ client_id: id, token_url: a.com/t }":                             "oauth.token_url: must be an https URL",
		"{ client_id: id, token_url: 'http://a.example.com/t' }":            "oauth.token_url: must be https, since secrets are sent there",
		"{ client_id: id, redirect: 'http://sms.example.com/callback' }":    "oauth.redirect: must name a port of this machine",
		"{ client_id: id, redirect: 'http://localhost/callback' }":          "oauth.redirect: must name a port of this machine",
		"{ client_id: id, redirect: 'https://sms.example.com/callback?a' }": "oauth.redirect: must be a URL such as",
		"{ client_id: id, redirect: 'ftp://localhost:1/' }":                 "oauth.redirect: must be http on this machine, or https",
		"{ client_id: id, flow: client_credentials }":                       "oauth.client_secret: is missing",
		"{ client_id: id, flow: jwt_bearer }":                               "oauth.private_key: is missing",
		"{ client_id: id, flow: jwt_bearer, private_key: abc }":             "oauth.private_key: must be an RSA key in PEM",
		"{ client_id: id, private_key: abc }":                               "oauth.private_key: has no effect unless",
		"{ client_id: id, subject: abc }":                                   "oauth.subject: has no effect unless",
	} {
		require.Contains(t, mistakes(t, signedIn+oauth), ":6: connectors.crm."+want, oauth)
	}
}

func TestTheFileOfGrantsIsFoundByEveryProcess(t *testing.T) {
	t.Parallel()
	require.Contains(t, mistakes(t, "grants: { file: grants.json }"), ":1: grants.file: must begin with /")
}

func TestThePrivateKeyOfAnAssertion(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for kind, der := range map[string][]byte{"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(key), "PRIVATE KEY": pkcs8} {
		text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		world := config.Lookup{File: func(string) ([]byte, error) { return []byte(text), nil }}
		c, err := config.Parse("crmsync.yaml", []byte(signedIn+"{ client_id: id, flow: jwt_bearer, subject: a@example.com, private_key: '${file:/key.pem}' }"), world)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(text), strings.TrimSpace(c.Connectors["crm"].OAuth.PrivateKey.Reveal()))
	}
}
