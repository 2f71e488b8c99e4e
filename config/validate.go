package config

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

var (
	deploymentPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	instancePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)
	tokenChars        = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)
)

// validator checks what the types cannot say. It reports at most one problem
// for a key, and none for or below a key that could not be read.
type validator struct {
	c          *Config
	problems   []Problem
	reported   map[string]bool
	unreadable map[string]bool
}

func newValidator(c *Config, problems []Problem) *validator {
	v := &validator{c: c, problems: problems, reported: map[string]bool{}, unreadable: map[string]bool{}}
	for _, p := range problems {
		v.unreadable[p.Key] = true
	}
	return v
}

func (v *validator) fail(path, format string, args ...any) {
	for above := path; above != ""; above = parentPath(above) {
		if v.unreadable[above] {
			return
		}
	}
	if !v.reported[path] {
		v.reported[path] = true
		v.problems = append(v.problems, v.c.doc.problem(path, format, args...))
	}
}

func (v *validator) config() {
	if !deploymentPattern.MatchString(v.c.Name) {
		v.fail("name", "%s must be a lower-case letter and then up to 30 of a-z, 0-9 and -", v.c.doc.show("name", v.c.Name))
	}
	v.temporal()
	v.redis()
	v.spool()
	v.address("server.listen", v.c.Server.Listen)
	v.address("server.admin", v.c.Server.Admin)
	if v.c.Server.Listen == v.c.Server.Admin && !strings.HasSuffix(v.c.Server.Admin, ":0") {
		v.fail("server.admin", "must differ from server.listen, since it is not for the world")
	}
	oneOf(v, "log.level", v.c.Log.Level, "trace", "debug", "info", "warn", "error")
	oneOf(v, "log.format", v.c.Log.Format, TextLog, JSONLog)
	v.privacy()
	v.grants()
	for _, name := range sortedKeys(v.c.JustCall) {
		v.account(name, v.c.JustCall[name])
	}
	for _, name := range sortedKeys(v.c.Connectors) {
		v.connector(name, v.c.Connectors[name])
	}
	for i := range v.c.Routes {
		v.route(i)
	}
}

// oneOf reports a value that is none of those allowed.
func oneOf[T ~string](v *validator, path string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	v.fail(path, "%s is not one of %s", v.c.doc.show(path, string(value)), strings.Join(words, ", "))
}

func (v *validator) temporal() {
	t := v.c.Temporal
	v.address("temporal.address", t.Address)
	if t.Namespace == "" {
		v.fail("temporal.namespace", "is empty")
	}
	if t.TLS != nil && (t.TLS.Cert == "") != (t.TLS.Key == "") {
		v.fail("temporal.tls", "cert and key must be given together")
	}
}

// address checks host:port, where the host may be empty, and port 0 takes any
// that is free.
func (v *validator) address(path, value string) {
	_, port, err := net.SplitHostPort(value)
	if _, numeric := strconv.ParseUint(port, 10, 16); err != nil || numeric != nil {
		v.fail(path, "%s must be host:port, such as localhost:7233 or :8080", v.c.doc.show(path, value))
	}
}

func (v *validator) redis() {
	r := v.c.Redis
	oneOf(v, "redis.mode", r.Mode, Single, Sentinel, Cluster)
	u, err := url.Parse(r.URL.Reveal())
	if err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		v.fail("redis.url", "must be redis://[user:password@]host:port/database, or rediss:// for TLS")
		return
	}
	database := strings.Trim(u.Path, "/")
	if _, err := strconv.ParseUint(cmp.Or(database, "0"), 10, 16); err != nil {
		v.fail("redis.url", "must end in the number of a database, such as /0")
	}
	if r.Mode == Cluster && cmp.Or(database, "0") != "0" {
		v.fail("redis.url", "must not name a database: a cluster has only number 0")
	}
	if named := u.Query().Has("master_name"); named != (r.Mode == Sentinel) {
		v.fail("redis.url", "must carry ?master_name=... if and only if redis.mode is sentinel")
	}
}

func (v *validator) privacy() {
	if v.c.doc.has("privacy.keys") && len(v.c.Privacy.Keys) == 0 {
		v.fail("privacy.keys", "is empty: list a key or remove the line")
	}
	seen := map[string]bool{}
	for i, key := range v.c.Privacy.Keys {
		path := "privacy.keys[" + strconv.Itoa(i) + "]"
		b, err := parseKey(key)
		switch {
		case err != nil:
			v.fail(path, "%s", err.Error())
		case seen[string(b)]:
			v.fail(path, "is the same as one before it")
		}
		seen[string(b)] = true
	}
}

// The bounds of reconcile.every: each run costs requests of JustCall's API, and
// somebody has to notice silence.
const (
	minReconcile = time.Minute
	maxReconcile = 24 * time.Hour
)

func (v *validator) account(name string, a Account) {
	path := "justcall." + name
	if !instancePattern.MatchString(name) {
		v.fail(path, "an account's name must be up to 40 of a-z, 0-9, _ and -, and begin with a letter or digit")
	}
	if !phonenumbers.GetSupportedRegions()[a.Region] {
		v.fail(path+".region", "%s is not an ISO 3166-1 country code of two capital letters, such as US or GB",
			v.c.doc.show(path+".region", a.Region))
	}
	v.webhook(name, path+".webhook", a.Webhook)
	v.api(path+".api", a.API)
	v.consent(path+".consent", a)
	if every := a.Reconcile.Every; every != 0 && (every < minReconcile || every > maxReconcile) {
		v.fail(path+".reconcile.every", "must be 0, for never, or between %s and %s", minReconcile, maxReconcile)
	}
	v.staff(path, a)
}

// minCompare keeps the comparison, a request for every hundred numbers, from
// using up the API's limits.
const minCompare = 10 * time.Minute

func (v *validator) consent(path string, a Account) {
	oneOf(v, path+".scope", a.Consent.Scope, ScopeAccount, ScopeNumber)
	if a.Consent.Compare != 0 && a.Consent.Compare < minCompare {
		v.fail(path+".compare", "must be at least 10m, or 0s for never")
	}
}

// staff checks who an account's agents and lines are.
func (v *validator) staff(path string, a Account) {
	for _, agent := range sortedKeys(a.Agents) {
		v.email(path+".agents."+agent, a.Agents[agent])
	}
	for _, line := range sortedKeys(a.Lines) {
		at := path + ".lines." + line
		v.email(at, a.Lines[line])
		if !numberPattern.MatchString(line) {
			v.fail(at, "a line is never written like that; write it as +15125550100")
		}
	}
}

var emailPattern = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)

func (v *validator) email(path, address string) {
	if !emailPattern.MatchString(address) {
		v.fail(path, "must be the e-mail address of a CRM user")
	}
}

func (v *validator) webhook(account, path string, w Webhook) {
	if w.Token != "" && !tokenChars.MatchString(w.Token.Reveal()) {
		v.fail(path+".token", "must be up to 128 letters, digits and . _ ~ - since it stands in a URL's path")
	}
	if v.c.doc.has(path+".signing_secrets") && len(w.SigningSecrets) == 0 {
		v.fail(path+".signing_secrets", "is empty: list a secret or remove the line")
	}
	if len(w.SigningSecrets) > 0 && w.PublicURL == "" {
		v.fail(path+".public_url", "is missing: a signature covers the URL that JustCall calls")
	}
	if w.Skew <= 0 {
		v.fail(path+".skew", "must be longer than 0s, such as 15m")
	}
	if v.c.doc.has(path + ".public_url") {
		v.publicURL(account, path+".public_url", w)
	}
}

func (v *validator) publicURL(account, path string, w Webhook) {
	want := webhookPath + account
	u, err := url.Parse(w.PublicURL.Reveal())
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		v.fail(path, "must be https://host%s, since JustCall calls nothing else", want)
		return
	}
	token, tokened := strings.CutPrefix(u.Path, want+"/")
	switch {
	case u.Path == want:
	case !tokened:
		v.fail(path, "must have the path %s or %s/{token}", want, want)
	case token != w.Token.Reveal():
		v.fail(path, "must end in the token of webhook.token, or have the path %s", want)
	}
}

func (v *validator) api(path string, a API) {
	oneOf(v, path+".version", a.Version, V2, V21)
	oneOf(v, path+".auth", a.Auth, Bearer, Plain, Basic)
	oneOf(v, path+".plan", a.Plan, Team, Pro, Business)
	u, err := url.Parse(a.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		v.fail(path+".base_url", "must be an https URL without credentials, such as https://api.justcall.io")
	}
	if a.Key == "" && a.Secret != "" {
		v.fail(path+".key", "is missing: key and secret are given together")
	}
	if a.Key != "" && a.Secret == "" {
		v.fail(path+".secret", "is missing: key and secret are given together")
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
