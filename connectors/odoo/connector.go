// Package odoo connects to Odoo 16 to 19, Community or Enterprise, hosted by
// anybody.
//
// A text is a mail.message in the chatter of a contact (res.partner) or lead
// (crm.lead), of the type SMS and with the subtype Note, as Odoo keeps its own
// texts. It is made with load, which creates a record and does nothing else:
// message_post, which notifies people and can send, is never called. Of a text
// received the contact is the author, of one sent its owner is.
//
// Class B: a text has the external id crmsync.sms_{key}, which is unique in the
// database. It is loaded so that a record that is there stays as it is (mode
// update of one marked noupdate), also where two load it at once: one of them is
// refused and comes again. The key stands in message_id too, by which ordinary
// users can search; external ids can be searched by administrators only. All of
// a batch is one transaction: where Odoo refuses rows it names them, and the
// others are loaded without them.
//
// The status stands behind the subject, "SMS sent [delivered]", which the chatter
// shows above the text; a person's changes to the text are never read nor
// written. Odoo's own mark of a failed text is not used: it comes with a button
// that sends the text again.
//
// Contacts are created with an external id as well, so creating one twice makes
// one. Consent is Odoo's own list of numbers that want no texts, phone.blacklist,
// which only administrators and those of SMS Marketing may write.
//
// JSON-RPC asks for the user's number in every call. Where the settings do not
// tell it, it is looked up before the first call and kept until Odoo refuses the
// credentials: it belongs to the login for good, and asking each time would
// double the requests. This is the only thing that the package remembers.
//
// Seen on Odoo 16.0 and 19.0; 17 and 18 are not confirmed. Not confirmed: that
// reads on a server with a replica of its database lag no more than SearchLag,
// and what Odoo Online allows in requests.
package odoo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"crmsync/connectors"
)

// Name is the connector's type in a configuration.
const Name = "odoo"

// maxBatch rows are loaded in well below a second, and are one transaction.
const maxBatch = 200

// Definition describes the connector to the daemon.
func Definition() connectors.Definition {
	return connectors.Definition{
		Name:        Name,
		Title:       "Odoo",
		Example:     example,
		MaxBatch:    maxBatch,
		CallTimeout: time.Minute,
		// A worker goes on after its client has left, for limit_time_real seconds:
		// https://www.odoo.com/documentation/19.0/developer/reference/cli.html
		Settle: 2 * time.Minute,
		// Reads may go to a replica, since 18 (db_replica_host, on the same page).
		SearchLag: 5 * time.Second,
		Open: func(c connectors.Config, env connectors.Env) (connectors.Connector, error) {
			cfg := defaults()
			if err := c.Decode(&cfg); err != nil {
				return nil, err
			}
			if err := cfg.Validate(); err != nil {
				return nil, fmt.Errorf("connectors.%s: %w", c.Name(), err)
			}
			return New(cfg, env.Client), nil
		},
	}
}

// Connector is one instance.
type Connector struct {
	cfg Config
	api *api
}

var (
	_ connectors.Connector      = (*Connector)(nil)
	_ connectors.ContactFinder  = (*Connector)(nil)
	_ connectors.ContactCreator = (*Connector)(nil)
	_ connectors.StatusUpdater  = (*Connector)(nil)
	_ connectors.ConsentSetter  = (*Connector)(nil)
	_ connectors.MessageFinder  = (*Connector)(nil)
	_ connectors.OwnerFinder    = (*Connector)(nil)
	_ connectors.Definer        = (*Connector)(nil)
)

// New makes an instance of valid settings. The client is its only way out.
func New(cfg Config, client *http.Client) *Connector {
	return &Connector{cfg: cfg, api: newAPI(cfg, client)}
}

// Check implements connectors.Connector. It compares the settings with the
// fields that there are. Consent is left out where the user may not write Odoo's
// list, or the module phone_validation is not installed.
func (c *Connector) Check(ctx context.Context) (connectors.Capabilities, error) {
	caps := connectors.CapabilitiesOf(c, connectors.ClassB)
	if err := c.checkFields(ctx); err != nil {
		return connectors.Capabilities{}, err
	}
	consent, err := c.mayBlacklist(ctx)
	caps.Consent = consent
	if err != nil {
		return connectors.Capabilities{}, err
	}
	return caps, nil
}

func (c *Connector) checkFields(ctx context.Context) error {
	const op = "check"
	for _, t := range c.contactTables() {
		fields, err := c.api.fields(ctx, op, t.model, c.shown())
		if err != nil {
			return err
		}
		for _, name := range c.shown() {
			if _, there := fields[name]; !there {
				return wrongSetting(op, fmt.Errorf("%s has no field %s: see the settings phone_fields and phone_validation", t.model, name))
			}
		}
	}
	fields, err := c.api.fields(ctx, op, "mail.message", []string{"message_type"})
	if err != nil {
		return err
	}
	for _, choice := range fields["message_type"].Selection {
		if choice[0] == c.cfg.MessageType {
			return nil
		}
	}
	return wrongSetting(op, fmt.Errorf("messages cannot be of the type %s: see the setting message_type", c.cfg.MessageType))
}

func wrongSetting(op string, err error) *connectors.Error {
	return &connectors.Error{Op: op, Kind: connectors.Invalid, Err: err}
}

// mayBlacklist asks for nothing, which only those may who may write.
func (c *Connector) mayBlacklist(ctx context.Context) (bool, error) {
	if !c.cfg.PhoneValidation {
		return false, nil
	}
	_, err := search[numbered](ctx, c.api, query{op: "check", model: blacklist, domain: allOf(term{"id", "=", 0}), fields: []string{"number"}})
	if isFault(err, accessError) {
		return false, nil
	}
	return err == nil, err
}
