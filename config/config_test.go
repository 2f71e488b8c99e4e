package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
)

var update = flag.Bool("update", false, "write the golden files")

// aKey is 32 bytes in base64.
const aKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// world is what the test files' references stand for.
func world() config.Lookup {
	env := map[string]string{
		"EMPTY": "", "KEY": aKey, "NAME": "crm", "NUMBER": "12345", "PERCENT": "60%", "NULL": "null", "INJECT": "a, b: {c}\nd: e",
		"TEMPORAL_API_KEY": "temporal-key", "WEBHOOK_TOKEN": "webhook-token-0123", "HUBSPOT_TOKEN": "hubspot-token",
		"JUSTCALL_API_KEY": "justcall-key", "JUSTCALL_API_SECRET": "justcall-secret",
	}
	files := map[string]string{"/run/secrets/crmsync-key": aKey + "\n"}
	return config.Lookup{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		File: func(path string) ([]byte, error) {
			if content, ok := files[path]; ok {
				return []byte(content), nil
			}
			return nil, os.ErrNotExist
		},
	}
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("crmsync.yaml", []byte(text), world())
	require.NoError(t, err)
	return c
}

// mistakes answers the messages that a text is refused with.
func mistakes(t *testing.T, text string) string {
	t.Helper()
	_, err := config.Parse("crmsync.yaml", []byte(text), world())
	require.Error(t, err)
	return err.Error()
}

func TestNothingConfiguredGivesTheDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n# only a comment\n", "---\n", "{}"} {
		c := parse(t, text)
		require.Equal(t, "crmsync", c.Name)
		require.Equal(t, config.Temporal{Address: "localhost:7233", Namespace: "default"}, c.Temporal)
		require.Equal(t, config.Redis{URL: "redis://localhost:6379/0", Mode: config.Single}, c.Redis)
		require.Equal(t, config.Server{Listen: ":8080", Admin: "127.0.0.1:9090"}, c.Server)
		require.Equal(t, config.Log{Level: "info", Format: config.TextLog}, c.Log)
		require.Len(t, c.Problems(), 2)
	}
}

func TestAccountsAndConnectorsHaveDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, "justcall: { main: {}, new: { api: { version: v2.1 } } }\nconnectors: { hubspot: { type: hubspot, accounts: [main] } }")
	require.Equal(t, config.Account{
		Region:  "US",
		Webhook: config.Webhook{Skew: 15 * time.Minute},
		Consent: config.Consent{Scope: config.ScopeAccount, Compare: 6 * time.Hour},
		API:     config.API{BaseURL: "https://api.justcall.io", Version: config.V2, Auth: config.Bearer, Plan: config.Team},

		Reconcile: config.Reconcile{Every: 15 * time.Minute},
	}, c.JustCall["main"])
	require.Equal(t, config.Plain, c.JustCall["new"].API.Auth)
	hubspot := c.Connectors["hubspot"]
	require.Equal(t, config.Contacts{Several: "sticky", None: "create", CreateWhen: "inbound"}, hubspot.Contacts)
	require.Equal(t, []config.OwnerSource{"agent", "line", "contact"}, hubspot.Owner.From)
	require.InDelta(t, 0.8, hubspot.Budget.Share.Fraction(), 1e-9)
	require.Equal(t, "hubspot", hubspot.Budget.Account)
	require.False(t, hubspot.Adopt)
	require.Equal(t, 2*time.Minute, hubspot.AdoptWait)
	require.True(t, hubspot.Since.IsZero())
}

func TestTheContractsSampleIsRead(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/full.yaml")
	require.NoError(t, err)
	c := parse(t, string(data))
	require.Equal(t, &config.TLS{CA: "/etc/ca.pem", ServerName: "temporal.example.com"}, c.Temporal.TLS)
	require.Equal(t, "temporal-key", c.Temporal.APIKey.Reveal())
	require.Equal(t, "01234567890123456789012345678901", string(c.Privacy.HashKey()))
	main := c.JustCall["main"]
	require.Equal(t, "webhook-token-0123", main.Webhook.Token.Reveal())
	require.Equal(t, []config.Secret{"justcall-secret"}, main.Webhook.SigningSecrets)
	require.Equal(t, "https://sms.example.com/webhooks/justcall/main", main.Webhook.PublicURL.Reveal())
	require.True(t, main.API.Configured())
	hubspot := c.Connectors["hubspot"]
	require.Equal(t, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), hubspot.Since)
	require.Equal(t, "60%", hubspot.Budget.Share.String())
	require.Equal(t, "acme-hubspot", hubspot.Budget.Account)
	require.Equal(t, []string{"main"}, c.Connectors["ourcrm"].Accounts, "the only account is the default")
	require.Empty(t, c.Problems())
	require.Empty(t, c.Warnings())
}

func TestTheExampleIsRead(t *testing.T) {
	t.Parallel()
	c := parse(t, config.Example)
	require.Empty(t, c.Problems())
	require.Empty(t, c.Warnings())
}

// What the example gives as a default must be one.
func TestTheExamplesCommentedDefaultsAreRight(t *testing.T) {
	t.Parallel()
	text := config.Example
	for _, line := range []string{"name: crmsync", "mode: single", "spool: { max_events: 1000000, max_bytes: 1GiB }", "skew: 15m", "auth: bearer", "reconcile: { every: 15m }", "insecure: false", "adopt: false"} {
		require.Contains(t, text, "# "+line)
		text = strings.Replace(text, "# "+line, line, 1)
	}
	want, got := parse(t, config.Example), parse(t, text)
	require.Equal(t, want.Redis, got.Redis)
	require.Equal(t, want.Spool, got.Spool)
	require.Equal(t, want.JustCall, got.JustCall)
	require.Equal(t, want.Name, got.Name)
}

func TestMistakesAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad_*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			got := mistakes(t, string(data)) + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".errors"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestAProblemIsFoundInTheError(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("crmsync.yaml", []byte("\nnane: x"), world())
	p, ok := errors.AsType[config.Problem](err)
	require.True(t, ok)
	require.Equal(t, config.Problem{File: "crmsync.yaml", Line: 2, Key: "nane", Text: "unknown key; did you mean name?"}, p)
}

func TestLoadReadsAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(secret, []byte("from-a-file\r\n"), 0o600))
	file := filepath.Join(dir, "my.yaml")
	require.NoError(t, os.WriteFile(file, []byte("justcall: { main: { webhook: { token: ${file:"+secret+"} } } }"), 0o600))
	c, err := config.Load(file)
	require.NoError(t, err)
	require.Equal(t, "from-a-file", c.JustCall["main"].Webhook.Token.Reveal())

	require.NoError(t, os.WriteFile(file, []byte("name: 5 5"), 0o600))
	_, err = config.Load(file)
	require.ErrorContains(t, err, "my.yaml:1: name: ")
	_, err = config.Load(filepath.Join(dir, "other.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOldestKeyMakesTheHashes(t *testing.T) {
	t.Parallel()
	hexKey := strings.Repeat("0f", 32)
	c := parse(t, "privacy: { keys: [ "+hexKey+", ${KEY} ] }")
	keys := c.Privacy.EncryptionKeys()
	require.Len(t, keys, 2)
	require.Equal(t, strings.Repeat("\x0f", 32), string(keys[0]))
	require.Equal(t, keys[1], c.Privacy.HashKey())
	require.Equal(t, parse(t, "privacy: { keys: [ ${KEY} ] }").Privacy.HashKey(), c.Privacy.HashKey(),
		"a new first key changes no hash")
}

func TestWithoutKeysTheHashKeyBelongsToTheDeployment(t *testing.T) {
	t.Parallel()
	one, other := parse(t, "name: one"), parse(t, "name: other")
	require.Len(t, one.Privacy.HashKey(), 32)
	require.Equal(t, one.Privacy.HashKey(), parse(t, "name: one").Privacy.HashKey())
	require.NotEqual(t, one.Privacy.HashKey(), other.Privacy.HashKey())
}

func TestKeysAreReadInEveryFlavour(t *testing.T) {
	t.Parallel()
	raw := []string{
		"-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8",
		"-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=",
		"+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=",
		"fbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbffbff",
	}
	want := parse(t, `privacy: { keys: ["`+raw[0]+`"] }`).Privacy.HashKey()
	for _, text := range raw {
		require.Equal(t, want, parse(t, `privacy: { keys: ["`+text+`"] }`).Privacy.HashKey(), text)
	}
}
