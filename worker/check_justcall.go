package worker

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"crmsync/config"
	"crmsync/sms"
)

// What has to be ticked in JustCall's settings, in either dialect.
const (
	classicEvents = "sms.received, sms.sent, sms.delivered, sms.failed, sms.optout, sms.optin"
	newerEvents   = "sms.received, sms.sent, sms.status_updated, jc.contact_status_updated"
)

func (f *findings) justcall(c *config.Config) {
	for _, name := range slices.Sorted(maps.Keys(c.JustCall)) {
		f.account(c, name)
	}
}

func (f *findings) account(c *config.Config, name string) {
	about, hook := "justcall."+name, c.JustCall[name].Webhook
	if len(c.AccountConnectors(name)) == 0 {
		f.warn(about, "no connector gets its events: all six kinds are accepted and ignored; add one under connectors")
		return
	}
	f.ok(about, "paste %s into JustCall's settings under Webhooks%s", webhookURL(name, hook),
		map[bool]string{true: ", with webhook.token in the place of TOKEN"}[hook.Token != ""])
	f.ok(about, "tick %s; in the newer webhooks %s (not sms.sent_received, which repeats the first two)", classicEvents, newerEvents)
	f.guard(about, hook)
	f.reach(c, about, name)
}

// webhookURL is what JustCall has to be told; TOKEN stands for the token.
func webhookURL(account string, hook config.Webhook) string {
	url := "https://YOUR-HOST/webhooks/justcall/" + account
	if hook.PublicURL != "" {
		url = strings.TrimSuffix(hook.PublicURL.Reveal(), "/")
		if hook.Token != "" {
			url = strings.TrimSuffix(url, "/"+hook.Token.Reveal())
		}
		url = config.URL(url).String() // which hides what else may be secret
	}
	if hook.Token != "" {
		url += "/TOKEN"
	}
	return url
}

// guard says what proves that a webhook is JustCall's. That nothing does is said
// by the configuration's own warnings.
func (f *findings) guard(about string, hook config.Webhook) {
	token, signed := hook.Token != "", len(hook.SigningSecrets) > 0
	switch {
	case token && signed:
		f.ok(about, "the token guards it, and the signature where there is one")
	case token:
		f.ok(about, "the token guards it; with signing_secrets, signatures are checked as well")
	case signed:
		f.warn(about, "only the signature guards it, and classic webhooks have none: they are refused with 401; tick the newer ones only, or add a token")
	}
}

// reach names the kinds of event that reach no connector. Consent reaches all.
func (f *findings) reach(c *config.Config, about, account string) {
	inbound, outbound := reached(c, account, sms.Inbound), reached(c, account, sms.Outbound)
	switch {
	case !inbound && !outbound:
		f.warn(about, "no route leads to a connector of this account: sms.received, sms.sent, sms.delivered and sms.failed reach none; add one with when: 'true'")
	case !inbound:
		f.warn(about, "no route takes inbound texts: sms.received reaches no connector")
	case !outbound:
		f.warn(about, "no route takes outbound texts: sms.sent, sms.delivered and sms.failed reach no connector")
	}
}

// plain tells expressions that only compare fields with texts: what they answer
// can be found out by trying the texts that they name.
var plain = regexp.MustCompile(`^(\s+|"[^"\\]*"|'[^'\\]*'|==|!=|&&|\|\||!|[()\[\],]|\b(account|line|direction|agent|medium|in|not|and|or|true|false)\b)*$`)

var literal = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)

// maxTried bounds the texts that are tried in each place.
const maxTried = 16

// reached reports whether some text of an account and direction may reach a
// connector, by trying all values that the routes name, and one that they do
// not. In doubt it may.
func reached(c *config.Config, account string, direction sms.Direction) bool {
	values := []string{"?"}
	leads := len(c.Routes) == 0
	for _, route := range c.Routes {
		if !slices.ContainsFunc(route.To, func(to string) bool { return slices.Contains(c.AccountConnectors(account), to) }) {
			continue
		}
		leads = true
		if !plain.MatchString(route.When) {
			return true
		}
		for _, found := range literal.FindAllStringSubmatch(route.When, -1) {
			values = append(values, found[1]+found[2])
		}
	}
	if !leads || len(values) > maxTried {
		return leads
	}
	return anyReaches(c, config.RouteInput{Account: account, Direction: string(direction)}, values)
}

func anyReaches(c *config.Config, in config.RouteInput, values []string) bool {
	for _, in.Line = range values {
		for _, in.Agent = range values {
			for _, in.Medium = range values {
				if len(c.Targets(in)) > 0 {
					return true
				}
			}
		}
	}
	return false
}
