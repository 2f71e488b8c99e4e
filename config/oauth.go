package config

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// Grants says where the grants of signing in are kept.
type Grants struct {
	// File keeps them in a file that only the daemon's user can read, for
	// deployments on one machine; empty keeps them in Redis, encrypted with the
	// privacy keys.
	File string `yaml:"file"`
}

// Flow is a way to get a grant.
type Flow string

// The flows.
const (
	FlowCode   Flow = "authorization_code" // a person signs in
	FlowClient Flow = "client_credentials" // the application itself
	FlowJWT    Flow = "jwt_bearer"         // a signed assertion
)

// OAuth says how to sign in to a vendor with OAuth 2.0. What is empty is as the
// connector's definition says.
type OAuth struct {
	ClientID     string `yaml:"client_id"`
	ClientSecret Secret `yaml:"client_secret"`
	Flow         Flow   `yaml:"flow"`
	// Scopes take the place of the connector's.
	Scopes       []string `yaml:"scopes"`
	AuthorizeURL string   `yaml:"authorize_url"`
	TokenURL     string   `yaml:"token_url"`
	RevokeURL    string   `yaml:"revoke_url"`
	// Redirect is where the browser is sent once a person has signed in, as
	// registered with the vendor.
	Redirect string `yaml:"redirect"`
	// Params stand for names in braces of the connector's URLs; others are sent
	// along.
	Params map[string]string `yaml:"params"`
	// PrivateKey (PEM), Subject and Audience are those of a signed assertion.
	PrivateKey Secret `yaml:"private_key"`
	Subject    string `yaml:"subject"`
	Audience   string `yaml:"audience"`
}

func (v *validator) grants() {
	if file := v.c.Grants.File; v.c.doc.has("grants.file") && !filepath.IsAbs(file) {
		v.fail("grants.file", "must begin with /, so that every process finds it, such as /var/lib/crmsync/grants.json")
	}
}

func (v *validator) oauth(path string, o *OAuth) {
	if o == nil {
		return
	}
	if o.ClientID == "" {
		v.fail(path+".client_id", "is missing: register an application with the vendor, and copy its id")
	}
	if o.Flow != "" {
		oneOf(v, path+".flow", o.Flow, FlowCode, FlowClient, FlowJWT)
	}
	for key, value := range map[string]string{"authorize_url": o.AuthorizeURL, "token_url": o.TokenURL, "revoke_url": o.RevokeURL} {
		v.endpoint(path+"."+key, value)
	}
	if o.Flow == FlowClient && o.ClientSecret == "" {
		v.fail(path+".client_secret", "is missing: flow client_credentials needs it")
	}
	v.assertion(path, o)
	if o.Redirect != "" {
		v.redirect(path+".redirect", o.Redirect)
	}
}

// assertion checks what only a signed assertion needs.
func (v *validator) assertion(path string, o *OAuth) {
	switch block, _ := pem.Decode([]byte(o.PrivateKey.Reveal())); {
	case o.Flow == FlowJWT && o.PrivateKey == "":
		v.fail(path+".private_key", "is missing: flow jwt_bearer signs with it, such as ${file:/run/secrets/key.pem}")
	case o.PrivateKey == "":
	case o.Flow != FlowJWT:
		v.fail(path+".private_key", "has no effect unless flow is jwt_bearer")
	case block == nil || !rsaKey(block.Bytes):
		v.fail(path+".private_key", "must be an RSA key in PEM, without a passphrase")
	}
	if o.Flow != FlowJWT && o.Subject != "" {
		v.fail(path+".subject", "has no effect unless flow is jwt_bearer")
	}
}

func rsaKey(der []byte) bool {
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParsePKCS8PrivateKey(der)
	return err == nil
}

// endpoint checks a URL that is sent secrets; only one of this machine may be in
// the clear.
func (v *validator) endpoint(path, raw string) {
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		v.fail(path, "must be an https URL without credentials")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		v.fail(path, "must be https, since secrets are sent there")
	}
}

func (v *validator) redirect(path, raw string) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		v.fail(path, "must be a URL such as http://localhost:8912/callback, as registered with the vendor")
		return
	}
	if _, port, err := net.SplitHostPort(u.Host); u.Scheme == "http" && (err != nil || port == "0" || !loopback(u.Hostname())) {
		v.fail(path, "must name a port of this machine, such as http://localhost:8912/callback, or be https")
	}
	if !strings.HasPrefix(u.Scheme, "http") {
		v.fail(path, "must be http on this machine, or https")
	}
}
