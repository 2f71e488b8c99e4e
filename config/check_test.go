package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

func TestProblemsKeepTheDaemonFromRunning(t *testing.T) {
	t.Parallel()
	c := parse(t, `
justcall:
  open: {}
  meant: { insecure: true }
  token: { webhook: { token: 0123456789abcdef } }
  signed: { webhook: { signing_secrets: [abc], public_url: https://h/webhooks/justcall/signed } }
`)
	var got []string
	for _, p := range c.Problems() {
		got = append(got, p.Error())
	}
	require.Equal(t, []string{
		"crmsync.yaml: connectors: no connector is configured, so there is nowhere to deliver to",
		"crmsync.yaml:3: justcall.open.webhook: has neither a token nor a signing secret, so anyone could post events; " +
			"set one, or insecure: true at the account",
	}, got)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"no key":           {"", ": privacy.keys: is not set"},
		"admin for all":    {"server: { admin: ':9090' }", ":1: server.admin: is reachable"},
		"useless insecure": {"justcall: { main: { insecure: true, webhook: { token: abc } } }", ":1: justcall.main.insecure: has no effect"},
		"insecure":         {"justcall: { main: { insecure: true } }", ":1: justcall.main.insecure: anyone"},
		"short token":      {"justcall: { main: { webhook: { token: abc } } }", ":1: justcall.main.webhook.token: is shorter"},
		"local URL":        {"justcall: { main: { webhook: { public_url: 'https://localhost/webhooks/justcall/main' } } }", "public_url: names this machine"},
		"API over http":    {"justcall: { main: { api: { base_url: 'http://api.example.com' } } }", "base_url: sends the API key"},
		"unserved account": {"justcall: { a: {}, b: {} }\nconnectors: { c: { type: t, accounts: [a] } }", ":1: justcall.b: no connector lists"},
		"unreached":        {crms + "routes: [ { when: 'true', to: [zoho, close] } ]", ":5: connectors.hubspot: no route leads here"},
		"never":            {crms + "routes: [ { when: 'false', to: [zoho] } ]", ":7: routes[0].when: matches no text"},
		"line without +":   {crms + `routes: [ { when: 'line == "15125550100"', to: [zoho] } ]`, ":7: routes[0].when: a line is never"},
		"line with spaces": {crms + `routes: [ { when: 'line in ["+1 512 555 0100"]', to: [zoho] } ]`, ":7: routes[0].when: a line is never"},
		"wrong account":    {crms + `routes: [ { when: 'account == "second"', to: [zoho] } ]`, ":7: routes[0].when: matches no text, since"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(parse(t, tt.text).Warnings(), "\n"), tt.want)
		})
	}
}

func TestShortCodesAndSendersAreLines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"72345", "ACME", "+15125550100"} {
		c := parse(t, crms+`routes: [ { when: 'line == "`+line+`"', to: [zoho, hubspot, close] } ]`)
		require.NotContains(t, strings.Join(c.Warnings(), "\n"), "a line is never", line)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(config.Example))
	f.Add([]byte(crms))
	for _, seed := range []string{
		"", "a", "a: &a [*a]", "- x", "name: ${", "name: ${NAME}", "? [a]\n: b", "a: !!binary x", "---\n---\n",
		"connectors: { a: { type: t, <<: { x: y } } }", "routes: [ { when: '1 / 0 == 1', to: [a] } ]",
		"routes: [ { when: 'map(1..9, # * 2) == []', to: [a] } ]", "\uE0001\uE001", "justcall: { ? : 1 }",
	} {
		f.Add([]byte(seed))
	}
	lookup := config.Lookup{
		Env:  func(name string) (string, bool) { return "s3cret-" + name, name == "NAME" },
		File: func(string) ([]byte, error) { return []byte("s3cret-file"), nil },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("crmsync.yaml", data, lookup)
		if err != nil {
			require.Nil(t, c)
			for line := range strings.Lines(err.Error()) {
				require.NotEmpty(t, strings.TrimSpace(line))
			}
			if !strings.Contains(string(data), "s3cret") {
				require.NotContains(t, err.Error(), "s3cret")
			}
			return
		}
		c.Warnings()
		c.Problems()
		for name := range c.JustCall {
			targets := c.Targets(config.RouteInput{Account: name, Line: "+15125550100", Direction: "inbound"})
			require.Subset(t, c.AccountConnectors(name), targets)
		}
	})
}
