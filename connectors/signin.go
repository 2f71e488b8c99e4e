package connectors

import "time"

// SignIn describes a vendor's OAuth 2.0 endpoints to the daemon, which signs in,
// keeps the grant, renews it, and puts the access token on every request of
// Env.Client. An instance uses it when its settings have the key oauth; its
// values there override these.
//
// A name in braces in one of the URLs, in Audience or in a scope, such as
// {tenant}, is replaced by that value of the setting oauth.params, else of
// Params.
type SignIn struct {
	// AuthorizeURL and TokenURL are the vendor's endpoints (RFC 6749). The former
	// may be empty where FlowCode is not among the Flows.
	AuthorizeURL, TokenURL string
	// RevokeURL takes a token back (RFC 7009); empty where the vendor cannot.
	RevokeURL string
	// Flows are those that the vendor has; the first is the default.
	Flows []Flow
	// Scopes are what the connector needs; joined by ScopeSeparator, a space
	// when empty. A scope that the vendor says it has not granted fails the
	// sign-in.
	Scopes         []string
	ScopeSeparator string
	// Basic sends the client's id and secret in the header (client_secret_basic)
	// in place of the form.
	Basic bool
	// Params are sent with the authorization request, such as
	// access_type=offline, and with the token request of FlowClient, except those
	// that stand for a name in braces.
	Params map[string]string
	// Audience is the claim aud of FlowJWT; empty: TokenURL.
	Audience string
	// Scheme stands before the token in the header Authorization; empty: Bearer.
	Scheme string
	// InstanceField names the field of the token's answer that holds the address
	// of the API, such as instance_url; empty: there is none.
	InstanceField string
	// NoExpiry says that the vendor does not tell when an access token expires
	// (Salesforce), or not rightly: it is used until it is refused.
	NoExpiry bool
	// Unused is how long a grant lives that is not renewed (Pipedrive: 60 days):
	// the daemon renews it in time though nothing is delivered, and check warns
	// of one that is about to end; 0: for ever.
	Unused time.Duration
	// Refused are the vendor's own words for invalid_grant, in the field error,
	// code or status of an answer, such as BAD_REFRESH_TOKEN.
	Refused []string
}

// Flow is a way to get a grant.
type Flow string

// The flows.
const (
	// FlowCode: a person signs in (RFC 6749 section 4.1, with PKCE, RFC 7636).
	FlowCode Flow = "authorization_code"
	// FlowClient: the application itself (RFC 6749 section 4.4).
	FlowClient Flow = "client_credentials"
	// FlowJWT: a signed assertion (RFC 7523).
	FlowJWT Flow = "jwt_bearer"
)
