package connectors

// SignIn describes a vendor's OAuth 2.0 endpoints to the daemon, which signs in,
// keeps the grant, and puts the access token on every request of Env.Client. An
// instance uses it when its settings have the key oauth; its values there
// override these.
type SignIn struct {
	// AuthorizeURL and TokenURL are the vendor's endpoints (RFC 6749). A name in
	// braces, such as {tenant}, is replaced by that value of oauth.params.
	AuthorizeURL, TokenURL string
	// RevokeURL takes a token back (RFC 7009); empty where the vendor cannot.
	RevokeURL string
	// Flows are those that the vendor has; the first is the default.
	Flows []Flow
	// Scopes are what the connector needs; joined by ScopeSeparator, a space
	// when empty.
	Scopes         []string
	ScopeSeparator string
	// Basic sends the client's id and secret in the header (client_secret_basic)
	// in place of the form.
	Basic bool
	// Params are sent with the authorization request, such as access_type=offline.
	Params map[string]string
	// Scheme stands before the token in the header Authorization; empty: Bearer.
	Scheme string
	// InstanceField names the field of the token's answer that holds the address
	// of the API, such as instance_url; empty: there is none.
	InstanceField string
	// NoExpiry says that the vendor does not tell when an access token expires
	// (Salesforce): it is used until it is refused.
	NoExpiry bool
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
