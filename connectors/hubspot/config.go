package hubspot

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings.
type Config struct {
	// BaseURL is the API's address.
	BaseURL string `yaml:"base_url"`
	// Token is that of a private app; empty with oauth.
	Token connectors.Secret `yaml:"token"`
	// Version is the API's, by date.
	Version string `yaml:"version"`
	// Portal is the account's id, for links to its pages; empty: no links.
	Portal string `yaml:"portal"`
	// Plan and LimitIncreases decide on the limits.
	Plan           string `yaml:"plan"`
	LimitIncreases int    `yaml:"limit_increases"`
	// TimeZone is the account's, at whose midnight the day's limit is full again.
	TimeZone string `yaml:"time_zone"`
	// Region is the country of contacts' numbers without one (ISO 3166-1 alpha-2).
	Region string `yaml:"region"`
	// PhoneFields are the properties of a contact that hold a number.
	PhoneFields []string `yaml:"phone_fields"`
	// AssociationType is that of communication to contact.
	AssociationType int `yaml:"association_type"`
	// Unique says that the property with a text's key has unique values.
	Unique bool   `yaml:"unique"`
	Fields Fields `yaml:"fields"`
}

// Fields names the custom properties; one that is empty is not used.
type Fields struct {
	// Key holds a text's key, which ends the text where it is empty; Direction, Status and Reason (why it failed) are
	// what they say, all on communications.
	Key       string `yaml:"key"`
	Direction string `yaml:"direction"`
	Status    string `yaml:"status"`
	Reason    string `yaml:"reason"`
	// OptOut and OptOutAt are on contacts.
	OptOut   string `yaml:"opt_out"`
	OptOutAt string `yaml:"opt_out_at"`
}

// defaultVersion documents partial failures of batches, which the next one
// (2026-09) does not, and enforces no validation rules of the account's own.
const defaultVersion = "2026-03"

func defaults() Config {
	return Config{
		BaseURL:         "https://api.hubapi.com",
		Version:         defaultVersion,
		Plan:            "starter",
		TimeZone:        "UTC",
		Region:          "US",
		PhoneFields:     []string{"phone", "mobilephone"},
		AssociationType: 81,
		Unique:          true,
		Fields: Fields{
			Key: "justcall_message_id", Direction: "justcall_direction", Status: "justcall_status", Reason: "justcall_status_reason",
			OptOut: "justcall_sms_opt_out", OptOutAt: "justcall_sms_opt_out_at",
		},
	}
}

var (
	version = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}(-beta)?$`)
	digits  = regexp.MustCompile(`^[0-9]*$`)
	// name is what HubSpot allows as a property's internal name.
	// https://developers.hubspot.com/docs/api-reference/2026-03/crm/properties/guide
	name = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// maxIncreases is how often an account can buy the API Limit Increase.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
const maxIncreases = 2

// Validate reports everything that keeps the settings from being used. It does no
// I/O.
func (c Config) Validate() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if err := rest.CheckBase(c.BaseURL); err != nil {
		errs = append(errs, fmt.Errorf("base_url %w", err))
	}
	wrong(!version.MatchString(c.Version), "version: must be a date such as %s", defaultVersion)
	wrong(!digits.MatchString(c.Portal), "portal: must be the account's id, a number")
	wrong(plans[c.Plan] == plan{}, "plan: must be starter (free, too), professional, enterprise or marketplace")
	wrong(c.LimitIncreases < 0 || c.LimitIncreases > maxIncreases, "limit_increases: must be from 0 to %d", maxIncreases)
	_, err := time.LoadLocation(c.TimeZone)
	wrong(err != nil, "time_zone: must be a time zone, such as America/New_York")
	wrong(len(c.PhoneFields) == 0, "phone_fields: at least one is needed")
	wrong(c.AssociationType <= 0, "association_type: must be a number above 0")
	all := slices.Concat(c.PhoneFields, c.names(communications), c.names(contacts))
	for i, n := range all {
		wrong(!name.MatchString(n), "%q is no internal name of a property: small letters, digits and _", n)
		wrong(slices.Contains(all[:i], n), "property %s is there twice", n)
	}
	return errors.Join(errs...)
}

// names are the custom properties that are used on a record type.
func (c Config) names(of recordType) []string {
	var used []string
	for _, p := range c.needed(of) {
		used = append(used, p.Name)
	}
	return used
}

// class is C where HubSpot refuses a second text with the same key.
func (c Config) class() connectors.Class {
	if c.Unique && c.Fields.Key != "" {
		return connectors.ClassC
	}
	return connectors.ClassD
}

func (c Config) zone() *time.Location {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return time.UTC // Validate has reported it
	}
	return zone
}
