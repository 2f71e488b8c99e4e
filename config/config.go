// Package config reads crmsync's one YAML file into a typed, validated
// configuration. example.yaml, which is [Example], shows every key.
//
// # Values from outside
//
// ${NAME} stands for an environment variable and ${file:/path} for a file's
// content without its trailing newline, anywhere in a value; $$ is a literal $.
// What is read this way is always one value: it cannot add keys, and error
// messages never repeat it.
//
// # Errors
//
// [Load] reports everything that is wrong at once. Each problem has the form
//
//	crmsync.yaml:12: connectors.hubspot.budget.share: what to do
//
// and is a [Problem] in the joined error. Unknown keys, keys without a value,
// keys given twice, and settings that contradict each other are errors.
// [Config.Problems] are those that only keep the daemon from running, and
// [Config.Warnings] are worth a look.
//
// # Connectors
//
// A connector's mapping holds the settings that all connectors have and those
// of its vendor, side by side. Package config knows the former; the vendor's
// code reads the latter with [Connector.Decode].
//
// # Routes
//
// A route's `when` is an expression of the language at https://expr-lang.org
// over the fields of [RouteInput] in lower case: account, line, direction,
// agent and medium, all strings. It is compiled and type-checked when the file
// is read.
package config

import (
	_ "embed" // for Example
	"net/url"
	"strings"
	"time"
)

// Example is a commented configuration that shows every key.
//
//go:embed example.yaml
var Example string

// Config is the whole configuration, with defaults filled in.
type Config struct {
	// Name is the prefix of task queues, search attributes and Redis keys, so
	// that two deployments can share servers.
	Name     string   `yaml:"name"`
	Temporal Temporal `yaml:"temporal"`
	Redis    Redis    `yaml:"redis"`
	Spool    Spool    `yaml:"spool"`
	Server   Server   `yaml:"server"`
	Log      Log      `yaml:"log"`
	Privacy  Privacy  `yaml:"privacy"`
	Grants   Grants   `yaml:"grants"`
	// JustCall holds the accounts that events come from, by name.
	JustCall map[string]Account `yaml:"justcall"`
	// Connectors holds the CRMs that events go to, by name.
	Connectors map[string]*Connector `yaml:"connectors"`
	// Routes choose connectors for texts. Without any, a text goes to all
	// connectors of its account.
	Routes []Route `yaml:"routes"`

	doc *document
}

// Temporal says how to reach the Temporal server.
type Temporal struct {
	Address   string `yaml:"address"`
	Namespace string `yaml:"namespace"`
	// TLS is nil for a plain connection, or with an API key, which always makes
	// a TLS one; its zero value uses the system's certificate authorities.
	TLS    *TLS   `yaml:"tls"`
	APIKey Secret `yaml:"api_key"`
}

// TLS names certificate files. Cert and Key are given together or not at all.
type TLS struct {
	CA         string `yaml:"ca"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"`
}

// RedisMode says what kind of Redis the URL names.
type RedisMode string

// The kinds of Redis. The URL of a sentinel carries master_name, and further
// nodes of a sentinel or a cluster are given as addr, both in its query.
const (
	Single   RedisMode = "single"
	Sentinel RedisMode = "sentinel"
	Cluster  RedisMode = "cluster"
)

// Redis says how to reach Redis.
type Redis struct {
	URL  URL       `yaml:"url"`
	Mode RedisMode `yaml:"mode"`
}

// Server holds the addresses to listen on.
type Server struct {
	// Listen serves webhooks and health to the world.
	Listen string `yaml:"listen"`
	// Admin serves metrics, readiness detail and pages to operators.
	Admin string `yaml:"admin"`
}

// LogFormat is how log lines look.
type LogFormat string

// The formats of a log.
const (
	TextLog LogFormat = "text"
	JSONLog LogFormat = "json"
)

// Log says what is logged and how.
type Log struct {
	// Level is trace, debug, info, warn or error.
	Level  string    `yaml:"level"`
	Format LogFormat `yaml:"format"`
}

// Account is one JustCall account.
type Account struct {
	// Region (ISO 3166-1 alpha-2) is used for numbers without a +.
	Region  string  `yaml:"region"`
	Webhook Webhook `yaml:"webhook"`
	API     API     `yaml:"api"`
	Consent Consent `yaml:"consent"`
	// Reconcile says how often JustCall's own list is compared, by the API.
	Reconcile Reconcile `yaml:"reconcile"`
	// Agents are the e-mail addresses, in the CRMs, of the account's agents: by
	// id, name or e-mail address at JustCall.
	Agents map[string]string `yaml:"agents"`
	// Lines are the e-mail addresses of those who own the company's numbers.
	Lines map[string]string `yaml:"lines"`
	// Insecure allows webhooks that nothing authenticates.
	Insecure bool `yaml:"insecure"`
}

// Webhook says what proves that a webhook comes from JustCall.
type Webhook struct {
	// Token is the secret last segment of the webhook's path.
	Token Secret `yaml:"token"`
	// SigningSecrets are the secrets that a signature may be made with: two
	// while one replaces the other.
	SigningSecrets []Secret `yaml:"signing_secrets"`
	// PublicURL is the URL that JustCall signs, with or without the token.
	PublicURL URL `yaml:"public_url"`
	// Skew is how old a signature may be.
	Skew time.Duration `yaml:"skew"`
}

// Authenticated reports whether a token or a signature is asked for.
func (w Webhook) Authenticated() bool { return w.Token != "" || len(w.SigningSecrets) > 0 }

// At reports whether an address that JustCall posts to is this webhook of the
// account.
func (w Webhook) At(account, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	if public, err := url.Parse(w.PublicURL.Reveal()); err == nil && public.Host != "" && public.Host != u.Host {
		return false
	}
	path := strings.TrimSuffix(u.Path, "/")
	return path == webhookPath+account || w.Token != "" && path == webhookPath+account+"/"+w.Token.Reveal()
}

// APIVersion is a version of JustCall's API.
type APIVersion string

// The versions of JustCall's API.
const (
	V2  APIVersion = "v2"
	V21 APIVersion = "v2.1"
)

// APIAuth is how the credentials stand in the Authorization header.
type APIAuth string

// The schemes of JustCall's API.
const (
	Bearer APIAuth = "bearer" // Bearer key:secret, the default of v2
	Plain  APIAuth = "plain"  // key:secret, the default of v2.1
	Basic  APIAuth = "basic"  // HTTP Basic
)

// APIPlan is JustCall's plan, as far as its API goes.
type APIPlan string

// The plans, from the one that allows the least.
const (
	Team     APIPlan = "team"     // 1800 requests an hour, 30 a minute
	Pro      APIPlan = "pro"      // 3600 and 60
	Business APIPlan = "business" // 5400 and 90
)

// API says how to reach JustCall's API. It is optional.
type API struct {
	BaseURL string     `yaml:"base_url"`
	Version APIVersion `yaml:"version"`
	Key     Secret     `yaml:"key"`
	Secret  Secret     `yaml:"secret"`
	Auth    APIAuth    `yaml:"auth"`
	// Plan decides how many requests JustCall allows.
	Plan APIPlan `yaml:"plan"`
}

// Configured reports whether there are credentials for the API.
func (a API) Configured() bool { return a.Key != "" && a.Secret != "" }

// Scope is what a STOP holds for.
type Scope string

// The scopes of consent. Either way a contact has one state in a CRM.
const (
	ScopeAccount Scope = "account" // the latest word counts, whichever line it was said to
	ScopeNumber  Scope = "number"  // a contact is opted out while it is so at any line
)

// Consent says how an account's opt-outs and opt-ins are understood.
type Consent struct {
	Scope Scope `yaml:"scope"`
	// Compare is how often the numbers on JustCall's do-not-message list are
	// compared with those that are opted out here; 0: never. It needs API v2.1.
	Compare time.Duration `yaml:"compare"`
}

// Reconcile says how an account is reconciled with JustCall's own list.
type Reconcile struct {
	// Every is how often; 0: never.
	Every time.Duration `yaml:"every"`
}

// Route sends the texts that When holds for to the connectors in To.
type Route struct {
	When string   `yaml:"when"`
	To   []string `yaml:"to"`

	rule *rule
}

// RouteInput is what a route may look at.
type RouteInput struct {
	// Account is the JustCall account's name.
	Account string `expr:"account"`
	// Line is the company's number as in sms.Message.
	Line string `expr:"line"`
	// Direction is inbound or outbound.
	Direction string `expr:"direction"`
	// Agent is the agent's e-mail address, else the agent's id, else empty.
	Agent string `expr:"agent"`
	// Medium tells which product wrote an outbound text, where known.
	Medium string `expr:"medium"`
}
