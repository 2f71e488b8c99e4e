package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ written, want string }{
		"an environment variable":           {`${NAME}`, "crm"},
		"in quotes":                         {`"${NAME}"`, "crm"},
		"in single quotes":                  {`'${NAME}'`, "crm"},
		"inside a value":                    {`a-${NAME}-b`, "a-crm-b"},
		"several":                           {`${NAME}${NAME}`, "crmcrm"},
		"a number is a text":                {`${NUMBER}`, "12345"},
		"null is a text":                    {`${NULL}`, "null"},
		"adds no keys":                      {`${INJECT}`, "a, b: {c}\nd: e"},
		"$$ is a dollar":                    {`a$$b`, "a$b"},
		"$$ keeps a reference from working": {`"$${NAME}"`, "${NAME}"},
		"a lone dollar stays":               {`a$b`, "a$b"},
		"a block":                           {"|-\n    ${NAME}\n    x", "crm\nx"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := parse(t, "connectors:\n  a:\n   type: t\n   accounts: [main]\n   text: "+tt.written+"\njustcall: { main: {} }")
			var s struct{ Text string }
			require.NoError(t, c.Connectors["a"].Decode(&s))
			require.Equal(t, tt.want, s.Text)
		})
	}
}

func TestReferencesWorkInsideOfBrackets(t *testing.T) {
	t.Parallel()
	c := parse(t, "justcall: { main: { webhook: { token: ${NAME}, signing_secrets: [ ${NAME}, ${NUMBER} ], "+
		"public_url: https://h/webhooks/justcall/main/${NAME} } } } # ${NOT_SET} in a comment")
	require.Equal(t, []config.Secret{"crm", "12345"}, c.JustCall["main"].Webhook.SigningSecrets)
	require.Equal(t, "https://h/webhooks/justcall/main/crm", c.JustCall["main"].Webhook.PublicURL.Reveal())
}

func TestReferencesToNumbersAndShares(t *testing.T) {
	t.Parallel()
	c := parse(t, "justcall: { main: {} }\nconnectors: { a: { type: t, budget: { share: ${PERCENT} }, size: ${NUMBER} } }")
	var s struct{ Size int }
	require.NoError(t, c.Connectors["a"].Decode(&s))
	require.Equal(t, 12345, s.Size)
	require.InDelta(t, 60, float64(c.Connectors["a"].Budget.Share), 0)
}

func TestWhatComesFromOutsideIsNotRepeated(t *testing.T) {
	t.Parallel()
	lookup := config.Lookup{Env: func(string) (string, bool) { return "s3cret value", true }}
	text := `
name: ${X}
temporal: { address: "${X}", namespace: ${X} }
redis: { url: ${X}, mode: ${X} }
log: { level: ${X} }
privacy: { keys: [ ${X} ] }
justcall: { main: { region: ${X}, insecure: ${X}, webhook: { token: ${X}, skew: ${X}, public_url: ${X} }, api: { base_url: ${X} } } }
connectors: { a: { type: t, accounts: [ ${X} ], since: ${X}, budget: { share: ${X} }, owner: { from: [ ${X} ] } } }
routes: [ { when: ${X}, to: [ ${X} ] }, { when: 'account == "${X}"', to: [a] } ]
`
	_, err := config.Parse("crmsync.yaml", []byte(text), lookup)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
	require.Contains(t, err.Error(), "justcall.main.region: the value is not an ISO 3166-1 country code")
}

func TestPrivateUseCharactersAreRefused(t *testing.T) {
	t.Parallel()
	require.Contains(t, mistakes(t, "name: x\nlog: { level: \"\uE0000\uE001\" }"), "crmsync.yaml:2: holds a character")
}

func TestSystemReadsTheProcess(t *testing.T) {
	t.Setenv("CRMSYNC_CONFIG_TEST", "from-env")
	c, err := config.Parse("x.yaml", []byte("name: ${CRMSYNC_CONFIG_TEST}"), config.System())
	require.NoError(t, err)
	require.Equal(t, "from-env", c.Name)
}

func TestALookupWithoutFunctionsFindsNothing(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("x.yaml", []byte("name: ${A}\nlog: { level: ${file:/b} }"), config.Lookup{})
	require.EqualError(t, err, "x.yaml:1: name: the environment variable A is not set\n"+
		"x.yaml:2: log.level: the file /b cannot be read here")
}
