// Package salesforce connects to Salesforce over its REST API.
//
// A text is a completed Task on the activity timeline of a Contact or Lead, with
// custom fields of the object Activity for its key, direction, instant and
// status (docs/connectors/salesforce.md lists them; Provision creates them).
//
// Class C: the key's field is an external id and unique, and texts are created
// with sObject Collections, 200 in one request. Salesforce refuses a second
// record of a key with DUPLICATE_VALUE, in whose words the id of the first one
// stands. That is one request where an upsert would need two: it overwrites what
// a person has edited unless somebody looks first, and then two of them may look
// at the same time. Where that field cannot be unique (unique: false) the class is
// D, and texts are read back by it; a query sees everything at once.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-create.html
//
// Contacts are found with one search (SOSL) for many numbers, in Contact and in
// unconverted Lead. The search index is late; so a second request asks the
// database for those records of the last hour that hold the number as this
// connector writes it. A status is written by the record's id, which one query
// finds for all those that are not remembered.
//
// The one limit is on requests in 24 hours; every answer says what is left.
//
// Not confirmed against a real organisation: that a field of Activity can be
// unique (Check refuses to work where it is not; unique: false); how the search splits numbers
// into words, and that it takes many of them with OR (the setting
// numbers_per_search); field permissions of Activity's fields under the name of
// Task (Provision); that the recycle bin and archived activities count for
// uniqueness; whether a person account's contact takes an opt-out.
package salesforce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"crmsync/connectors"
)

// Name is the connector's type in a configuration.
const Name = "salesforce"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:     Name,
		Title:    "Salesforce",
		Example:  example,
		MaxBatch: maxRecords,
		// Triggers and flows of the customer's run inside a write of 200 records.
		// Salesforce itself ends a request after 10 minutes.
		CallTimeout: 60 * time.Second,
		Settle:      2 * time.Minute,
		Limits:      limits(defaultDailyRequests),
		Usage:       usage,
		SignIn:      signIn(),
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			cfg := defaults()
			if err := c.Decode(&cfg); err != nil {
				return nil, err
			}
			err := cfg.Validate()
			if err == nil && cfg.InstanceURL == "" && env.Grant == nil {
				err = errors.New("instance_url is missing: only a sign-in (oauth) tells it by itself")
			}
			if err != nil {
				return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
			}
			return New(cfg, env), nil
		},
	}
}

// signIn is the same for production, a sandbox and every flow: they differ in the
// domain, which is the setting oauth.params.domain. The flow of client
// credentials works with the organisation's own domain only. No scope is asked
// for: Salesforce then grants those of the app, and refuses the parameter in the
// other flows.
// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_tokens_scopes.htm
// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_endpoints.htm
func signIn() *connectors.SignIn {
	const oauth = "https://{domain}/services/oauth2/"
	return &connectors.SignIn{
		AuthorizeURL:  oauth + "authorize",
		TokenURL:      oauth + "token",
		RevokeURL:     oauth + "revoke",
		Flows:         []connectors.Flow{connectors.FlowCode, connectors.FlowClient, connectors.FlowJWT},
		Params:        map[string]string{"domain": "login.salesforce.com"},
		InstanceField: "instance_url",
		// A sandbox wants https://test.salesforce.com (oauth.audience).
		// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
		Audience: "https://login.salesforce.com",
		// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_flow_errors.htm
		Refused: []string{"inactive_user", "inactive_org"},
		// A session ends after the organisation's session timeout, or later when it
		// is used; the token's answer has no expires_in.
		// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_refresh_token_flow.htm
		NoExpiry: true,
	}
}

// Connector is one instance.
type Connector struct {
	cfg Config
	api api
	// tells: persons have the field of opt-outs, so that it can be asked for. A
	// search that names a field which is not there fails as a whole.
	tells atomic.Bool
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

// New makes an instance of valid settings. The client in env is its only way
// out.
func New(cfg Config, env connectors.Env) *Connector {
	return &Connector{cfg: cfg, api: newAPI(cfg, env)}
}

// Define implements connectors.Definer.
func (c *Connector) Define(d connectors.Definition) connectors.Definition {
	d.Limits = limits(c.cfg.DailyRequests)
	return d
}

// Check implements connectors.Connector in one request. Where a field that every
// text needs is missing or hidden, or the key's is not unique, it fails with AUTH:
// the lane waits for the person who sees to it, and nothing is parked. Missing
// fields of statuses or opt-outs take that capability.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	objects := c.objects()
	const op = "check"
	found, err := c.api.describe(ctx, op, append([]string{task}, objects...))
	if err != nil {
		return connectors.Capabilities{}, err
	}
	if err := cmp.Or(c.keyProblem(found[task]), c.phoneProblem(found)); err != nil {
		return connectors.Capabilities{}, &connectors.Error{Op: op, Kind: connectors.Auth, Err: err}
	}
	caps := connectors.CapabilitiesOf(c, c.cfg.class())
	caps.Status = c.cfg.Fields.Status != "" && found[task].writable(c.cfg.Fields.Status, c.cfg.Fields.Reason)
	caps.Consent = c.cfg.Fields.OptOut != ""
	for _, object := range objects {
		caps.Consent = caps.Consent && found[object].writable(c.cfg.Fields.OptOut, c.cfg.Fields.OptOutAt)
	}
	c.tells.Store(caps.Consent)
	return caps, nil
}

// keyProblem says why a text cannot be written exactly once, or at all.
func (c *Connector) keyProblem(fields description) error {
	for _, name := range []string{c.cfg.Fields.Key, c.cfg.Fields.Direction, c.cfg.Fields.At} {
		if !fields.writable(name) {
			return fmt.Errorf("the field %s of Activity is missing, or these credentials may not write it: "+
				"crmsync check --provision creates it, with the right to use it", name)
		}
	}
	if key := c.cfg.Fields.Key; c.cfg.Unique && !fields[key].Unique {
		return fmt.Errorf("the field %s of Activity is not unique, so that a text could be there twice: "+
			"name another one in fields.key for crmsync check --provision to create, or set unique: false (class D)", key)
	}
	return nil
}

// phoneProblem says why a person cannot be found: a search that names a field
// which is hidden fails as a whole.
func (c *Connector) phoneProblem(found map[string]description) error {
	for _, object := range c.objects() {
		if found[object] == nil {
			return fmt.Errorf("these credentials may not read the object %s: let them, or set leads: false", object)
		}
		for _, name := range c.cfg.phones(object) {
			if _, ok := found[object][name]; !ok {
				return fmt.Errorf("the field %s of %s is missing or hidden: let these credentials read it, or leave it out of contact_phones or lead_phones", name, object)
			}
		}
	}
	return nil
}
