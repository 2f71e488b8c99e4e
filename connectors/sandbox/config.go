package sandbox

import (
	_ "embed"
	"fmt"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings.
type Config struct {
	// BaseURL is where the sandbox CRM listens, such as http://127.0.0.1:8090.
	BaseURL string `yaml:"base_url"`
	// Token is the CRM's token; empty where it asks for none.
	Token connectors.Secret `yaml:"token"`
}

// Validate reports what keeps the settings from being used. It does no I/O.
func (c Config) Validate() error {
	if err := rest.CheckBase(c.BaseURL); err != nil {
		return fmt.Errorf("base_url %w", err)
	}
	return nil
}
