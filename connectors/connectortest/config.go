package connectortest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"crmsync/connectors"
)

// commonKeys are the settings of an instance that belong to the daemon.
var commonKeys = []string{"type", "accounts", "since", "contacts", "owner", "budget", "oauth", "adopt", "templates"}

// Config reads an instance's settings from YAML text: the lines below the
// instance's name. The keys that every instance has, such as type, are left
// out of what Decode sees; any other key that the connector does not know is an
// error.
func Config(name, text string) connectors.Config { return config{name, text} }

type config struct{ name, text string }

// Name implements connectors.Config.
func (c config) Name() string { return c.name }

// Decode implements connectors.Config.
func (c config) Decode(into any) error {
	own, err := c.own()
	if err != nil {
		return fmt.Errorf("connectors.%s: %w", c.name, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(own))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("connectors.%s: %w", c.name, err)
	}
	return nil
}

// own answers the settings without the common ones.
func (c config) own() ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(c.text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return []byte("{}"), nil
	}
	settings := doc.Content[0]
	if settings.Kind != yaml.MappingNode {
		return nil, errors.New("settings must be keys and values")
	}
	kept := []*yaml.Node{}
	for pair := range slices.Chunk(settings.Content, 2) {
		if !slices.Contains(commonKeys, pair[0].Value) {
			kept = append(kept, pair...)
		}
	}
	settings.Content = kept
	return yaml.Marshal(settings)
}
