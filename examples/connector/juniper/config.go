package juniper

import (
	_ "embed"
	"errors"
	"fmt"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings.
type Config struct {
	// BaseURL is the API's address, such as https://juniper.example/v1.
	BaseURL string `yaml:"base_url"`
	// Token is an API token.
	Token connectors.Secret `yaml:"token"`
}

// Validate reports all that keeps the settings from being used. It does no I/O.
func (c Config) Validate() error {
	var problems []error
	if err := rest.CheckBase(c.BaseURL); err != nil {
		problems = append(problems, fmt.Errorf("base_url %w", err))
	}
	if c.Token == "" {
		problems = append(problems, errors.New("token is missing"))
	}
	return errors.Join(problems...)
}
