package config_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"crmsync/config"
)

// everyWay prints a value in every way that a log or a message might.
func everyWay(t *testing.T, value any) string {
	t.Helper()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		fmt.Fprintf(&out, verb+"\n", value)
	}
	asJSON, err := json.Marshal(value)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(value)
	require.NoError(t, err)
	out.Write(asJSON)
	out.Write(asYAML)
	hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true}).Info("x", "value", value)
	hclog.New(&hclog.LoggerOptions{Output: &out}).Info("x", "value", value)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
	return out.String()
}

func requireNoSecret(t *testing.T, shown, secret string) {
	t.Helper()
	require.NotContains(t, shown, secret)
	require.NotContains(t, strings.ToLower(shown), hex.EncodeToString([]byte(secret)))
}

func TestASecretNeverShows(t *testing.T) {
	t.Parallel()
	s := config.Secret("s3cret")
	for _, value := range []any{s, &s, map[string]config.Secret{"a": s}, struct{ A []config.Secret }{[]config.Secret{s}}} {
		requireNoSecret(t, everyWay(t, value), "s3cret")
	}
	key := map[config.Secret]int{s: 1}
	requireNoSecret(t, fmt.Sprintf("%v %+v %#v", key, key, key), "s3cret")
	require.Equal(t, "***", fmt.Sprint(s))
	require.Empty(t, fmt.Sprint(config.Secret("")))
	require.Equal(t, "s3cret", s.Reveal())
}

func TestAURLShowsNoPassword(t *testing.T) {
	t.Parallel()
	tests := map[config.URL]string{
		"":                                        "",
		"redis://localhost:6379/0":                "redis://localhost:6379/0",
		"redis://user:s3cret@host/0":              "redis://***@host/0",
		"redis://:s3cret@host/0":                  "redis://***@host/0",
		"rediss://host?password=s3cret":           "rediss://host?***",
		"https://h/webhooks/justcall/main":        "https://h/webhooks/justcall/main",
		"https://h/webhooks/justcall/main/s3cret": "https://h/webhooks/justcall/main/***",
		"s3cret":              "***",
		"redis://%s3cret@h/0": "***",
	}
	for u, want := range tests {
		require.Equal(t, want, fmt.Sprint(u))
		requireNoSecret(t, everyWay(t, u), "s3cret")
	}
}

func TestAConfigurationShowsNoSecret(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/full.yaml")
	require.NoError(t, err)
	text := strings.Replace(string(data), "redis://localhost", "redis://u:redis-password@localhost", 1)
	text = strings.Replace(text, "webhooks/justcall/main }", "webhooks/justcall/main/${WEBHOOK_TOKEN} }", 1)
	c := parse(t, text)
	shown := everyWay(t, c) + everyWay(t, *c) + everyWay(t, c.JustCall["main"]) +
		everyWay(t, c.Connectors["hubspot"]) + everyWay(t, *c.Connectors["hubspot"])
	for _, secret := range []string{
		"redis-password", "temporal-key", aKey, "webhook-token-0123", "justcall-secret", "justcall-key", "hubspot-token",
	} {
		requireNoSecret(t, shown, secret)
	}
}
