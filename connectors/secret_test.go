package connectors_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"crmsync/connectors"
)

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	type settings struct {
		Token connectors.Secret `yaml:"token"`
	}
	s := settings{Token: "s3cret"}
	asJSON, err := json.Marshal(s)
	require.NoError(t, err)
	asYAML, err := yaml.Marshal(s)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("open", "token", s.Token)
	shown := string(asJSON) + string(asYAML) + log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, s.Token)
	}
	require.NotContains(t, shown, "s3cret")
	require.NotContains(t, shown, fmt.Sprintf("%x", "s3cret"))
	require.Equal(t, "s3cret", s.Token.Reveal())
}

func TestSecretIsReadFromYAML(t *testing.T) {
	t.Parallel()
	var s struct{ Token connectors.Secret }
	require.NoError(t, yaml.Unmarshal([]byte("token: s3cret"), &s))
	require.Equal(t, "s3cret", s.Token.Reveal())
	require.Empty(t, connectors.Secret("").String())
}
