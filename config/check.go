package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Problems answers what keeps the daemon from running although the file is well
// formed: nothing to read from or to write to, and accounts whose webhooks
// nothing authenticates, unless they say `insecure: true`.
func (c *Config) Problems() []Problem {
	var problems []Problem
	if len(c.JustCall) == 0 {
		problems = append(problems, c.doc.problem("justcall", "no account is configured, so there is nothing to receive"))
	}
	if len(c.Connectors) == 0 {
		problems = append(problems, c.doc.problem("connectors", "no connector is configured, so there is nowhere to deliver to"))
	}
	for _, name := range sortedKeys(c.JustCall) {
		if a := c.JustCall[name]; !a.Webhook.Authenticated() && !a.Insecure {
			problems = append(problems, c.doc.problem("justcall."+name+".webhook",
				"has neither a token nor a signing secret, so anyone could post events; set one, or insecure: true at the account"))
		}
	}
	return problems
}

// Warnings answers what is allowed but probably not meant, each in the form of
// a [Problem].
func (c *Config) Warnings() []string {
	w := &warner{doc: c.doc}
	if len(c.Privacy.Keys) == 0 {
		w.warn("privacy.keys", "is not set: texts are kept unencrypted in Temporal, and hashes of phone numbers can be guessed")
	}
	if host, _, err := net.SplitHostPort(c.Server.Admin); err == nil && !loopback(host) {
		w.warn("server.admin", "is reachable from other machines; it has no login of its own")
	}
	for _, name := range sortedKeys(c.JustCall) {
		c.warnAccount(w, name, c.JustCall[name])
	}
	c.warnRoutes(w)
	return w.warnings
}

type warner struct {
	doc      *document
	warnings []string
}

func (w *warner) warn(path, format string, args ...any) {
	w.warnings = append(w.warnings, w.doc.problem(path, format, args...).Error())
}

// shortToken is the length below which a token can be found by trying.
const shortToken = 16

func (c *Config) warnAccount(w *warner, name string, a Account) {
	path := "justcall." + name
	if len(c.AccountConnectors(name)) == 0 && len(c.Connectors) > 0 {
		w.warn(path, "no connector lists this account, so its events are delivered nowhere")
	}
	if a.Insecure {
		text := "anyone who finds the URL can post events"
		if a.Webhook.Authenticated() {
			text = "has no effect beside a token or a signing secret"
		}
		w.warn(path+".insecure", "%s", text)
	}
	if t := a.Webhook.Token.Reveal(); t != "" && len(t) < shortToken {
		w.warn(path+".webhook.token", "is shorter than %d characters and could be guessed", shortToken)
	}
	if u, err := url.Parse(a.Webhook.PublicURL.Reveal()); err == nil && u.Host != "" && loopback(u.Hostname()) {
		w.warn(path+".webhook.public_url", "names this machine, which JustCall cannot reach")
	}
	if u, err := url.Parse(a.API.BaseURL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		w.warn(path+".api.base_url", "sends the API key in the clear; use https")
	}
}

// warnRoutes names routes that can match nothing and connectors that no text
// reaches.
func (c *Config) warnRoutes(w *warner) {
	if len(c.Routes) == 0 {
		return
	}
	reached := map[string]bool{}
	for i, r := range c.Routes {
		path := fmt.Sprintf("routes[%d].when", i)
		if reason := c.neverMatches(r); reason != "" {
			w.warn(path, "%s", reason)
			continue
		}
		for _, to := range r.To {
			reached[to] = true
		}
	}
	for _, name := range sortedKeys(c.Connectors) {
		if !reached[name] {
			w.warn("connectors."+name, "no route leads here, so it gets consent but no texts")
		}
	}
}

// numberPattern is the canonical form of a line: E.164, a short code or an
// alphanumeric sender.
var numberPattern = regexp.MustCompile(`^(\+[1-9][0-9]{5,14}|[0-9]{3,8}|[0-9 ]*[A-Z][0-9A-Z .&_-]*)$`)

// onlyEquals tells expressions that are one comparison, in which a value that
// cannot occur makes the whole route empty.
var onlyEquals = regexp.MustCompile(`^\s*[a-z]+\s*==\s*("[^"]*"|'[^']*')\s*$`)

// neverMatches says why a route matches no text, as far as that can be seen.
func (c *Config) neverMatches(r Route) string {
	if strings.TrimSpace(r.When) == "false" {
		return "matches no text"
	}
	for _, cmp := range comparisons(r.When) {
		if cmp.field == "line" && !numberPattern.MatchString(cmp.value) {
			return "a line is never written like that; write it as +15125550100"
		}
		if cmp.field == "account" && onlyEquals.MatchString(r.When) && !c.serveAny(r.To, cmp.value) {
			return "matches no text, since none of its connectors lists that account"
		}
	}
	return ""
}

func (c *Config) serveAny(connectors []string, account string) bool {
	served := c.AccountConnectors(account)
	return slices.ContainsFunc(connectors, func(name string) bool { return slices.Contains(served, name) })
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
