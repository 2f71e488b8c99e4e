package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"
)

// Load reads and validates the file at path. References are looked up in the
// process's environment and file system. The error joins a [Problem] for each
// thing that is wrong.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(filepath.Base(path), data, System())
}

// Parse reads and validates a configuration; file is its name in messages.
// Empty data gives the defaults.
func Parse(file string, data []byte, env Lookup) (*Config, error) {
	doc, problems := parseDocument(file, data, env)
	c := defaults()
	c.doc = doc
	dec := &decoder{doc: doc, problems: problems}
	dec.value("", doc.root, reflect.ValueOf(c).Elem())
	c.complete()
	v := newValidator(c, dec.problems)
	v.config()
	if err := join(v.problems); err != nil {
		return nil, err
	}
	return c, nil
}

func defaults() *Config {
	return &Config{
		Name:     "crmsync",
		Temporal: Temporal{Address: "localhost:7233", Namespace: "default"},
		Redis:    Redis{URL: "redis://localhost:6379/0", Mode: Single},
		Spool:    Spool{MaxEvents: 1_000_000, MaxBytes: 1 << 30},
		Server:   Server{Listen: ":8080", Admin: "127.0.0.1:9090"},
		Log:      Log{Level: "info", Format: TextLog},
	}
}

func (a *Account) setDefaults(string) {
	*a = Account{
		Region:    "US",
		Webhook:   Webhook{Skew: 15 * time.Minute},
		API:       API{BaseURL: "https://api.justcall.io", Version: V2, Plan: Team},
		Consent:   Consent{Scope: ScopeAccount, Compare: 6 * time.Hour},
		Reconcile: Reconcile{Every: 15 * time.Minute},
	}
}

func (c *Connector) setDefaults(name string) { *c = *newConnector(name) }

func (c *Connector) keep(doc *document, rest *yaml.Node) { c.doc, c.rest = doc, rest }

// complete fills in the defaults that depend on other values.
func (c *Config) complete() {
	c.Privacy.name = c.Name
	for name, a := range c.JustCall {
		if !c.doc.has("justcall." + name + ".api.auth") {
			a.API.Auth = defaultAuth(a.API.Version)
			c.JustCall[name] = a
		}
	}
	if len(c.JustCall) != 1 {
		return
	}
	for name, connector := range c.Connectors {
		if !c.doc.has("connectors." + name + ".accounts") {
			connector.Accounts = sortedKeys(c.JustCall)
		}
	}
}

func defaultAuth(version APIVersion) APIAuth {
	if version == V21 {
		return Plain
	}
	return Bearer
}
