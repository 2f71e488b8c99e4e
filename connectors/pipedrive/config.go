package pipedrive

import (
	"errors"
	"fmt"
	"regexp"

	_ "embed"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings.
type Config struct {
	// BaseURL is the company's own address, such as https://acme.pipedrive.com.
	// Empty: the one that came with the sign-in.
	BaseURL string `yaml:"base_url"`
	// Token is a user's API token; empty where the daemon signs in.
	Token connectors.Secret `yaml:"token"`
	// ActivityType is the key_string of the type that texts get.
	ActivityType string `yaml:"activity_type"`
	// OptOutField is the person field that consent is written to: its name, or its
	// key, which saves a look-up for each change.
	OptOutField string `yaml:"opt_out_field"`
	// PhoneSearch is how searches compare numbers: digits or endings.
	PhoneSearch string `yaml:"phone_search"`
	// CustomPhones looks for numbers in custom fields, too.
	CustomPhones bool `yaml:"custom_phones"`
	// Plan and Seats say how many tokens a day has.
	Plan  string `yaml:"plan"`
	Seats int    `yaml:"seats"`
	// TokensPerDay replaces what Plan and Seats say of a day; 0: it does not.
	TokensPerDay int `yaml:"tokens_per_day"`
	// ResetZone is the time zone at whose midnight a day's tokens are there again.
	ResetZone string `yaml:"reset_zone"`
}

// The ways to search for a number.
const (
	// Digits: one search for the national digits, which finds every spelling.
	Digits = "digits"
	// Endings: a search for the last four digits, which people seldom take apart.
	Endings = "endings"
)

// Defaults are the settings where nothing else is said.
func Defaults() Config {
	return Config{
		ActivityType: "sms", OptOutField: "SMS opt-out", PhoneSearch: Digits,
		Plan: "lite", Seats: 1, ResetZone: "UTC",
	}
}

// Validate reports all that keeps the settings from being used. It does no I/O.
func (c Config) Validate() error {
	return errors.Join(c.validateAddress(), c.validateNames(), c.validateLimits())
}

func (c Config) validateAddress() error {
	if c.BaseURL == "" && c.Token == "" {
		return nil // the sign-in brings both
	}
	if err := rest.CheckBase(c.BaseURL); err != nil {
		return fmt.Errorf("base_url %w", err)
	}
	return nil
}

func (c Config) validateNames() error {
	var errs []error
	if c.ActivityType == "" {
		errs = append(errs, errors.New("activity_type is missing"))
	}
	if c.OptOutField == "" {
		errs = append(errs, errors.New("opt_out_field is missing"))
	}
	if c.PhoneSearch != Digits && c.PhoneSearch != Endings {
		errs = append(errs, errors.New("phone_search must be digits or endings"))
	}
	return errors.Join(errs...)
}

func (c Config) validateLimits() error {
	switch {
	case plans[c.Plan] == plan{}:
		return errors.New("plan must be lite, growth, premium or ultimate")
	case c.Seats < 1:
		return errors.New("seats must be 1 or more")
	case c.TokensPerDay < 0:
		return errors.New("tokens_per_day must not be below 0")
	}
	if err := connectors.ValidateLimits(c.limits()); err != nil {
		return fmt.Errorf("reset_zone: %w", err)
	}
	return nil
}

// fieldKey is what every custom field is called in the API
// (https://pipedrive.readme.io/docs/core-api-concepts-custom-fields).
var fieldKey = regexp.MustCompile(`^[0-9a-f]{40}$`)
