package odoo

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings.
type Config struct {
	// BaseURL is where Odoo is, such as https://example.odoo.com.
	BaseURL  string `yaml:"base_url"`
	Database string `yaml:"database"`
	// Protocol is jsonrpc (16 to 19) or json2 (from 19).
	Protocol string `yaml:"protocol"`
	// Login is the user's, for jsonrpc; APIKey is one of that user's, or the
	// password with jsonrpc.
	Login  string            `yaml:"login"`
	APIKey connectors.Secret `yaml:"api_key"`
	// UID is the user's number, for jsonrpc; 0: it is looked up once.
	UID int `yaml:"uid"`
	// PhoneFields are those of contacts (and leads) that hold a number.
	PhoneFields []string `yaml:"phone_fields"`
	// PhoneValidation says that the module of that name is installed.
	PhoneValidation bool `yaml:"phone_validation"`
	// Leads are searched and created too, for which the module crm is needed.
	Leads bool `yaml:"leads"`
	// MessageType is sms, or comment where the module sms is not installed.
	MessageType string `yaml:"message_type"`
	// RequestsPerMinute is what the server allows; 0: any number.
	RequestsPerMinute int `yaml:"requests_per_minute"`
}

// The protocols.
const (
	jsonrpc = "jsonrpc"
	json2   = "json2"
)

func defaults() Config {
	return Config{Protocol: jsonrpc, PhoneValidation: true, MessageType: "sms"}
}

// Validate reports everything that keeps the settings from being used. It does
// no I/O.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := rest.CheckBase(c.BaseURL); err != nil {
		fail("base_url %w", err)
	}
	if c.Database == "" {
		fail("database is missing: its name stands in Odoo's list of databases, or is the first part of example.odoo.com")
	}
	if c.APIKey == "" {
		fail("api_key is missing")
	}
	if c.Protocol != jsonrpc && c.Protocol != json2 {
		fail("protocol must be jsonrpc or json2")
	}
	if c.Protocol == jsonrpc && c.Login == "" && c.UID == 0 {
		fail("login is missing")
	}
	if c.MessageType != "sms" && c.MessageType != "comment" {
		fail("message_type must be sms or comment")
	}
	if c.UID < 0 || c.RequestsPerMinute < 0 {
		fail("uid and requests_per_minute must not be below 0")
	}
	if slices.Contains(c.PhoneFields, "") {
		fail("phone_fields has an empty name")
	}
	return errors.Join(errs...)
}

// phones are the fields of numbers as people type them. Since 19 a contact has
// no mobile.
func (c Config) phones() []string {
	switch {
	case len(c.PhoneFields) > 0:
		return c.PhoneFields
	case c.Protocol == json2:
		return []string{"phone"}
	}
	return []string{"phone", "mobile"}
}
