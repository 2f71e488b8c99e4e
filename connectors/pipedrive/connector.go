// Package pipedrive puts texts on the timelines of persons in Pipedrive.
//
// Record: a text is an activity that is done, of a type of its own (key sms),
// whose primary participant is the person. Its note is the text; an arrow before
// its subject shows the direction. Nothing here sends anything: activities have no
// attendees, whom Pipedrive would invite.
//
// Class D: Pipedrive knows no key of ours
// (https://developers.pipedrive.com/docs/api/v1/openapi-v2.yaml). The key stands as
// a marker, [crmsync:main/msg_1], at the end of the note and once more in the
// field public_description, and is found again in the list of the person's
// activities. Either is enough, so that a person may edit the note.
//
// Status: activities have no custom fields. The status stands in
// public_description, behind the marker. That field is the connector's alone and
// written without being read, so that no edit of a person can get lost.
//
// Contacts are persons; leads and deals in Pipedrive hold no number of their own.
// Consent is a custom text field of the person.
//
// Cost: Pipedrive has no batches and counts tokens. A text of a known person is
// one request (5 tokens), a status another (5); a person is found for 20 and
// created for 5. See limits.go.
//
// Not confirmed, for want of an account: that a search for digits sees through the
// punctuation of numbers (RingCentral's App Connect relies on it, too; setting
// phone_search); how late a search is; how long a lost write may still land; in
// which zone a day of tokens ends (reset_zone); the longest note and subject;
// that every plan keeps public_description; what the API says to a participant who
// was deleted (the connector then looks for the person); what JustCall's own
// integration calls the direction of a text.
package pipedrive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

// Name is the connector's type in a configuration.
const Name = "pipedrive"

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:    Name,
		Title:   "Pipedrive",
		Example: example,
		// There are no batches, and calls of one item are made side by side.
		MaxBatch: 1,
		// A call that hangs is waited for, since a text whose answer was lost costs
		// more. It is looked for 100 s after it was sent: about as long as Cloudflare,
		// which stands before the API, waits for an answer
		// (https://developers.cloudflare.com/fundamentals/reference/connection-limits/).
		CallTimeout: 60 * time.Second,
		Settle:      30 * time.Second,
		SearchLag:   10 * time.Second,
		Limits:      Defaults().limits(),
		Usage:       usage,
		SignIn:      signIn(),
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			cfg := Defaults()
			if err := c.Decode(&cfg); err != nil {
				return nil, err
			}
			if err := cfg.Validate(); err != nil {
				return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
			}
			return New(cfg, env), nil
		},
	}
}

// signIn is https://pipedrive.readme.io/docs/marketplace-oauth-authorization. The
// scopes are those of the calls in openapi-v2.yaml and openapi-v1.yaml; an app has
// them from its registration.
func signIn() *connectors.SignIn {
	return &connectors.SignIn{ //nolint:gosec // G101: addresses, and no credentials
		AuthorizeURL:   "https://oauth.pipedrive.com/oauth/authorize",
		TokenURL:       "https://oauth.pipedrive.com/oauth/token",
		RevokeURL:      "https://oauth.pipedrive.com/oauth/revoke",
		Flows:          []connectors.Flow{connectors.FlowCode},
		Scopes:         []string{"base", "activities:full", "contacts:full", "users:read"},
		ScopeSeparator: ",",
		Basic:          true,
		InstanceField:  "api_domain",
		Unused:         60 * 24 * time.Hour,
	}
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
func New(cfg Config, env connectors.Env) *Connector { return &Connector{cfg, newAPI(cfg, env)} }

// Define implements connectors.Definer: plan, seats and the kind of credential
// decide about the limits.
func (c *Connector) Define(d connectors.Definition) connectors.Definition {
	d.Limits = c.cfg.limits()
	return d
}

// Check implements connectors.Connector in two requests: whether texts have their
// type, and consent its field.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	const op = "check"
	if err := c.ready(ctx, op); err != nil {
		return connectors.Capabilities{}, err
	}
	key, err := c.optOutKey(ctx, op)
	if err != nil {
		return connectors.Capabilities{}, err
	}
	caps := connectors.CapabilitiesOf(c, connectors.ClassD)
	caps.Consent = key != ""
	return caps, nil
}

// mending is how often it is worth 20 tokens to see whether a person has set the
// company up.
const mending = 5 * time.Minute

// ready answers AUTH while the activity type is not there, so that texts wait for
// it in place of being refused one by one.
func (c *Connector) ready(ctx context.Context, op string) error {
	types, err := c.api.activityTypes(ctx, op)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(types, func(t activityType) bool { return t.Key == c.cfg.ActivityType && t.Active }) {
		return nil
	}
	why := fmt.Errorf("there is no active activity type %s: run crmsync check --provision", c.cfg.ActivityType)
	return &connectors.Error{Op: op, Kind: connectors.Auth, RetryAfter: mending, Err: why}
}

// optOutKey answers the key of the field that consent is written to, "" where the
// company has none.
func (c *Connector) optOutKey(ctx context.Context, op string) (string, error) {
	want := c.cfg.OptOutField
	if fieldKey.MatchString(want) {
		_, err := c.api.personField(ctx, op, want)
		if err != nil && connectors.AsError(op, err).Kind == connectors.NotFound {
			return "", nil
		}
		return want, err
	}
	key := ""
	err := c.api.personFields(ctx, op, func(page []field) bool {
		for _, f := range page {
			if f.Custom && strings.EqualFold(f.Name, want) && (f.Type == "varchar" || f.Type == "text") {
				key = f.Code
			}
		}
		return key != ""
	})
	return key, err
}
