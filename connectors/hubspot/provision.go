package hubspot

import (
	"context"
	"fmt"
	"net/http"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// group holds the custom properties, on each record type.
const group = "crmsync"

// needed are the custom properties of a record type.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/properties/guide
func (c Config) needed(of recordType) []property {
	f := c.Fields
	all := []property{
		{Name: f.Key, Label: "JustCall message id", Type: "string", FieldType: "text", Unique: c.Unique},
		choice(f.Direction, "SMS direction", string(sms.Inbound), string(sms.Outbound)),
		choice(f.Status, "SMS status", string(sms.StatusSent), string(sms.StatusDelivered), string(sms.StatusFailed)),
		{Name: f.Reason, Label: "SMS failure", Type: "string", FieldType: "text"},
	}
	if of == contacts {
		optOut := choice(f.OptOut, "SMS opt-out", "true", "false")
		optOut.Type, optOut.FieldType = "bool", "booleancheckbox"
		all = []property{optOut, {Name: f.OptOutAt, Label: "SMS opt-out or opt-in at", Type: "datetime", FieldType: "date"}}
	}
	var used []property
	for _, p := range all {
		if p.Name != "" {
			p.Group, p.Description = group, "Kept by crmsync"
			used = append(used, p)
		}
	}
	return used
}

func choice(name, label string, values ...string) property {
	p := property{Name: name, Label: label, Type: "enumeration", FieldType: "select"}
	for i, v := range values {
		p.Options = append(p.Options, option{Label: v, Value: v, Order: i})
	}
	return p
}

// Provision implements connectors.Provisioner: it creates the custom properties
// that are missing, and the group that holds them. Where the account refuses
// unique values the error says which setting does without.
func (c *Connector) Provision(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
	var changes []connectors.Change
	for _, of := range []recordType{communications, contacts} {
		done, err := c.provision(ctx, of, dryRun)
		changes = append(changes, done...)
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}

const opProvision = "provision"

func (c *Connector) provision(ctx context.Context, of recordType, dryRun bool) ([]connectors.Change, error) {
	found, err := c.api.properties(ctx, opProvision, of, c.cfg.names(of))
	if err != nil {
		return nil, err
	}
	var changes []connectors.Change
	for _, p := range c.cfg.needed(of) {
		there, ok := found[p.Name]
		switch {
		case ok && (there.Type != p.Type || p.Unique && !there.Unique):
			return changes, &connectors.Error{Op: opProvision, Kind: connectors.Conflict, Err: fmt.Errorf(
				"property %s on %s is there already, but is not of type %s with unique values %t: delete it, or name another one in fields",
				p.Name, of, p.Type, p.Unique)}
		case ok:
			continue
		}
		if len(changes) == 0 && !dryRun {
			if err := c.createGroup(ctx, of); err != nil {
				return changes, err
			}
		}
		changes = append(changes, connectors.Change{What: fmt.Sprintf("create property %s on %s", p.Name, of)})
		if dryRun {
			continue
		}
		if err := c.createProperty(ctx, of, p); err != nil {
			return changes, err
		}
		changes[len(changes)-1].Done = true
	}
	return changes, nil
}

func (c *Connector) createProperty(ctx context.Context, of recordType, p property) error {
	_, err := c.api.Do(ctx, rest.Request{Op: opProvision, Method: http.MethodPost, Path: c.api.schema(of, ""), Body: p})
	e := connectors.AsError(opProvision, err)
	if err != nil && p.Unique && e.Kind == connectors.Invalid {
		e.Err = fmt.Errorf("this account refuses a property with unique values on %s: set unique: false for it (class D)", of)
		return e
	}
	return err
}

// createGroup creates the group unless it is there.
func (c *Connector) createGroup(ctx context.Context, of recordType) error {
	body := struct {
		Name  string `json:"name"`
		Label string `json:"label"`
	}{group, group}
	answer, err := c.api.Do(ctx, rest.Request{Op: opProvision, Method: http.MethodPost, Path: c.api.schema(of, "/groups"), Body: body})
	if answer != nil && answer.Status == http.StatusConflict {
		return nil
	}
	return err
}
