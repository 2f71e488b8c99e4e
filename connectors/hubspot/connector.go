// Package hubspot connects to HubSpot. docs/connectors/hubspot.md is its manual.
//
// A text is a communication of the channel SMS on its contact's timeline, which
// only logs it: no call of this package can send one.
//
// Class C: each text carries its key in a property with unique values, so that
// HubSpot refuses a second one. An upsert would overwrite what a person edited,
// and takes no associations; a create brings both, a hundred texts in a request.
// What a create refuses is looked up by its key, which a search could not do, as
// it lags. In an account that refuses unique values (unique: false) it is class D:
// the key is looked for in the communications of the contact, in the property, or
// without one (fields.key: "") at the end of the text.
//
// Contacts are searched by HubSpot's own reading of their numbers, many numbers
// in a request, and compared in E.164. Limits are by plan (see limits.go).
//
// Not confirmed by documentation, and so a setting or looked up:
//   - that communications may have a property with unique values: Check and
//     Provision say so where not;
//   - the association type 81, communication to contact: association_type;
//   - the words in which a create refuses a contact that is gone, or a key that
//     is there: both are looked up, whatever it says;
//   - that the text of a communication is markup: it is escaped as such;
//   - the longest text (65,536 characters, as of notes);
//   - the address of a record in HubSpot's pages: only with portal.
package hubspot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"crmsync/connectors"
)

// Name is the connector's type in a configuration.
const Name = "hubspot"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:    Name,
		Title:   "HubSpot",
		Example: example,
		// https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/communications/batch/create-communications
		MaxBatch:    maxInputs,
		CallTimeout: 30 * time.Second,
		// HubSpot gives up on its own requests with 502 or 504; how much later a
		// write may land is not documented.
		Settle: 30 * time.Second,
		// https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
		// says a few moments; Okta's connector advises its users to wait a minute.
		SearchLag: time.Minute,
		Limits:    defaults().limits(),
		Usage:     usage,
		SignIn: &connectors.SignIn{ //nolint:gosec // addresses, not credentials
			// https://developers.hubspot.com/docs/api-reference/latest/authentication/manage-oauth-tokens
			AuthorizeURL: "https://app.hubspot.com/oauth/authorize",
			TokenURL:     "https://api.hubapi.com/oauth/v3/token",
			RevokeURL:    "https://api.hubapi.com/oauth/v3/token/revoke",
			Flows:        []connectors.Flow{connectors.FlowCode},
			Scopes: []string{
				"oauth", "crm.objects.contacts.read", "crm.objects.contacts.write",
				"crm.schemas.contacts.read", "crm.schemas.contacts.write", "crm.objects.owners.read",
			},
			// https://github.com/HGData/mk-node-hubspot/issues/64
			Refused: []string{"BAD_REFRESH_TOKEN"},
		},
		Open: open,
	}
}

func open(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
	cfg := defaults()
	if err := c.Decode(&cfg); err != nil {
		return nil, err
	}
	err := cfg.Validate()
	if cfg.Token == "" && env.Grant == nil {
		err = errors.Join(err, errors.New("token is missing, and there is no oauth"))
	}
	if err != nil {
		return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
	}
	return New(cfg, env.Client), nil
}

// Connector is one instance.
type Connector struct {
	cfg Config
	api api
}

var (
	_ connectors.Connector      = (*Connector)(nil)
	_ connectors.ContactFinder  = (*Connector)(nil)
	_ connectors.ContactCreator = (*Connector)(nil)
	_ connectors.StatusUpdater  = (*Connector)(nil)
	_ connectors.ConsentSetter  = (*Connector)(nil)
	_ connectors.MessageFinder  = (*Connector)(nil)
	_ connectors.Adopter        = (*Connector)(nil)
	_ connectors.OwnerFinder    = (*Connector)(nil)
	_ connectors.Provisioner    = (*Connector)(nil)
	_ connectors.Definer        = (*Connector)(nil)
)

// New makes an instance of valid settings. The client is its only way out.
func New(cfg Config, client *http.Client) *Connector {
	return &Connector{cfg: cfg, api: newAPI(cfg, client)}
}

// Check implements connectors.Connector in two requests, one for the properties
// of each record type. A property that every text needs and that is missing is of
// kind AUTH: the lane waits for the person who creates it, and nothing is parked.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	caps := connectors.CapabilitiesOf(c, c.cfg.class())
	texts, err := c.api.properties(ctx, "check", communications, c.cfg.names(communications))
	if err != nil {
		return connectors.Capabilities{}, err
	}
	people, err := c.api.properties(ctx, "check", contacts, slices.Concat(c.cfg.names(contacts), c.cfg.PhoneFields))
	if err != nil {
		return connectors.Capabilities{}, err
	}
	if err := c.cfg.usable(texts, people); err != nil {
		return connectors.Capabilities{}, &connectors.Error{Op: "check", Kind: connectors.Auth, Err: err}
	}
	f := c.cfg.Fields
	caps.Status = present(texts, f.Status) && (f.Reason == "" || present(texts, f.Reason))
	caps.Consent = present(people, f.OptOut) && (f.OptOutAt == "" || present(people, f.OptOutAt))
	caps.Adopt = f.Key != ""
	return caps, nil
}

// usable reports what keeps contacts from being found, or texts from being
// written.
func (c Config) usable(texts, people map[string]property) error {
	for _, name := range c.PhoneFields {
		if !present(people, name) {
			return fmt.Errorf("property %s of phone_fields is missing on contacts", name)
		}
	}
	key := c.Fields.Key
	for _, name := range []string{key, c.Fields.Direction} {
		if name != "" && !present(texts, name) {
			return fmt.Errorf("property %s on communications is missing: crmsync check --provision creates it", name)
		}
	}
	if c.class() == connectors.ClassC && !texts[key].Unique {
		return fmt.Errorf("property %s on communications does not have unique values, which cannot be changed: name another one "+
			"in fields.key for crmsync check --provision to create, or set unique: false (class D)", key)
	}
	return nil
}

func present(found map[string]property, name string) bool {
	_, ok := found[name]
	return ok
}
