package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

// crms has two accounts and three connectors, to which routes are added.
const crms = `
justcall: { main: { insecure: true }, second: { insecure: true } }
connectors:
  zoho:    { type: zoho, accounts: [main] }
  hubspot: { type: hubspot, accounts: [main, second] }
  close:   { type: close, accounts: [second] }
`

func TestWithoutRoutesATextGoesToAllOfItsAccount(t *testing.T) {
	t.Parallel()
	c := parse(t, crms)
	require.Equal(t, []string{"hubspot", "zoho"}, c.Targets(config.RouteInput{Account: "main"}))
	require.Equal(t, []string{"close", "hubspot"}, c.Targets(config.RouteInput{Account: "second"}))
	require.Empty(t, c.Targets(config.RouteInput{Account: "other"}))
}

func TestRoutesChooseConnectors(t *testing.T) {
	t.Parallel()
	c := parse(t, crms+`
routes:
  - { when: 'account == "main" && line in ["+15125550100", "+15125550101"]', to: [zoho, hubspot] }
  - { when: 'direction == "outbound" and medium contains "Automation"', to: [hubspot] }
  - { when: 'agent endsWith "@example.com"', to: [close, zoho] }
`)
	tests := map[string]struct {
		in   config.RouteInput
		want []string
	}{
		"no route matches":           {config.RouteInput{Account: "main", Line: "+15125550199"}, nil},
		"the order of the route":     {config.RouteInput{Account: "main", Line: "+15125550101"}, []string{"zoho", "hubspot"}},
		"every match applies, once":  {config.RouteInput{Account: "main", Line: "+15125550100", Direction: "outbound", Medium: "Zoho Automation"}, []string{"zoho", "hubspot"}},
		"only the account's own":     {config.RouteInput{Account: "second", Agent: "ann@example.com"}, []string{"close"}},
		"a route of another account": {config.RouteInput{Account: "second", Line: "+15125550100"}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, c.Targets(tt.in))
		})
	}
}

func TestConsentGoesEverywhere(t *testing.T) {
	t.Parallel()
	c := parse(t, crms+"routes: [ { when: 'false', to: [zoho] } ]")
	require.Equal(t, []string{"hubspot", "zoho"}, c.AccountConnectors("main"))
}

func TestARouteThatFailsDropsNothing(t *testing.T) {
	t.Parallel()
	c := parse(t, crms+`
routes:
  - { when: 'int(agent) > 5', to: [zoho] }
`)
	targets, err := c.Route(config.RouteInput{Account: "main", Agent: "6"})
	require.NoError(t, err)
	require.Equal(t, []string{"zoho"}, targets)

	in := config.RouteInput{Account: "main", Agent: "ann@example.com"}
	targets, err = c.Route(in)
	require.ErrorContains(t, err, "crmsync.yaml:9: routes[0].when: ")
	require.Equal(t, []string{"hubspot", "zoho"}, targets)
	require.Equal(t, targets, c.Targets(in))
}

func TestARouteThatWasNotReadDropsNothing(t *testing.T) {
	t.Parallel()
	c := parse(t, crms)
	c.Routes = []config.Route{{When: "true", To: []string{"zoho"}}}
	targets, err := c.Route(config.RouteInput{Account: "main"})
	require.Error(t, err)
	require.Equal(t, []string{"hubspot", "zoho"}, targets)
}

func BenchmarkTargets(b *testing.B) {
	c, err := config.Parse("crmsync.yaml", []byte(crms+`routes: [ { when: 'line == "+15125550100"', to: [zoho] } ]`), world())
	require.NoError(b, err)
	in := config.RouteInput{Account: "main", Line: "+15125550100"}
	for b.Loop() {
		c.Targets(in)
	}
}
