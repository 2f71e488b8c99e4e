package hubspot

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
)

// The properties of a communication.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/activities/communications/guide
const (
	fieldChannel    = "hs_communication_channel_type"
	fieldLoggedFrom = "hs_communication_logged_from"
	fieldBody       = "hs_communication_body"
	fieldTime       = "hs_timestamp"
	fieldOwner      = "hubspot_owner_id"
)

const opPut = "put messages"

// PutMessages implements connectors.Connector in one request for a batch of new
// texts, associations included. Texts that HubSpot refuses are looked up in one
// more, by key, and those that are not there in another, by contact.
func (c *Connector) PutMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	out := make([]connectors.Outcome, len(records))
	var in []input
	var at []int // the record that each input is
	for i, r := range records {
		if r.Contact.Zero() && c.cfg.class() == connectors.ClassD {
			out[i].State = connectors.NotApplicable // it could not be read back
			continue
		}
		in, at = append(in, c.text(r)), append(at, i)
	}
	results := c.api.write(ctx, opPut, c.api.objects(communications, "/batch/create"), in,
		connectors.Error{Kind: connectors.Unknown, Ambiguous: true})
	for i, w := range results {
		out[at[i]] = c.outcome(w, records[at[i]].Contact)
	}
	c.lookUp(ctx, opPut, records, out)
	c.missContacts(ctx, records, out)
	return out
}

// text is a record as HubSpot has it.
func (c *Connector) text(r connectors.Record) input {
	f := c.cfg.Fields
	in := input{
		known:        f.Key,
		Associations: []association{},
		Properties: map[string]string{
			fieldChannel: "SMS", fieldLoggedFrom: "CRM", // this only logs
			fieldBody: c.body(r), fieldTime: instant(r.Message.At),
		},
	}
	set(in.Properties, f.Key, encoded(r.Key))
	set(in.Properties, f.Direction, string(r.Message.Direction))
	if r.OwnerID != "" {
		in.Properties[fieldOwner] = r.OwnerID
	}
	if !r.Contact.Zero() {
		in.Associations = []association{{
			To: reference{r.Contact.ID}, Types: []associationType{{"HUBSPOT_DEFINED", c.cfg.AssociationType}},
		}}
	}
	return in
}

func set(properties map[string]string, field, value string) {
	if field != "" {
		properties[field] = value
	}
}

// instant is in UTC, to the millisecond.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func (c *Connector) outcome(w written, contact connectors.Ref) connectors.Outcome {
	if w.err != nil {
		return connectors.Outcome{State: connectors.Failed, Err: w.err}
	}
	return connectors.Outcome{State: connectors.Written, Ref: c.textRef(w.object.ID, contact)}
}

// refused picks what HubSpot refused for its content, whatever its words were.
func refused(out []connectors.Outcome) []int {
	var at []int
	for i, o := range out {
		if o.State == connectors.Failed && (o.Err.Kind == connectors.Invalid || o.Err.Kind == connectors.Conflict || o.Err.Kind == connectors.NotFound) {
			at = append(at, i)
		}
	}
	return at
}

var errInBin = errors.New("HubSpot holds the text's key and does not show its record, which may lie in the recycle bin")

// lookUp finds those of the refused texts that are there already.
func (c *Connector) lookUp(ctx context.Context, op string, records []connectors.Record, out []connectors.Outcome) {
	at := refused(out)
	if c.cfg.class() == connectors.ClassD || len(at) == 0 {
		return
	}
	asked := make([]connectors.Record, len(at))
	for i, n := range at {
		asked[i] = records[n]
	}
	refs, err := c.byKey(ctx, op, asked)
	for i, n := range at {
		switch {
		case err != nil:
			out[n].Err = connectors.AsError(op, err)
		case !refs[i].Zero():
			out[n] = connectors.Outcome{State: connectors.Existed, Ref: refs[i]}
		case out[n].Err.Kind == connectors.Conflict && !out[n].Err.WholeBatch:
			out[n].Err = &connectors.Error{Op: op, Kind: connectors.Conflict, Status: out[n].Err.Status, Err: errInBin}
		}
	}
}

// missContacts finds those of the refused texts whose contact is gone, which
// HubSpot's words do not reliably tell.
func (c *Connector) missContacts(ctx context.Context, records []connectors.Record, out []connectors.Outcome) {
	at := slices.DeleteFunc(refused(out), func(i int) bool { return records[i].Contact.Zero() })
	if len(at) == 0 {
		return
	}
	var ids []string
	for _, i := range at {
		ids = append(ids, records[i].Contact.ID)
	}
	found, err := c.api.read(ctx, opPut, contacts, "", ids, []string{})
	for _, i := range at {
		if err != nil {
			out[i].Err = connectors.AsError(opPut, err)
		} else if _, there := found[records[i].Contact.ID]; !there {
			out[i].Err = &connectors.Error{Op: opPut, Kind: connectors.NotFound, Status: out[i].Err.Status, Err: errContactGone}
		} else if e := *out[i].Err; e.Kind == connectors.NotFound {
			e.Kind = connectors.Invalid // something else that the text names
			out[i].Err = &e
		}
	}
}

// UpdateStatus implements connectors.StatusUpdater in one request; in class D in
// some more for texts whose record nobody remembers.
func (c *Connector) UpdateStatus(ctx context.Context, changes []connectors.StatusChange) []connectors.Outcome {
	const op = "update status"
	f := c.cfg.Fields
	out := make([]connectors.Outcome, len(changes))
	ids, err := c.records(ctx, changes)
	if err != nil {
		return connectors.FailAll(len(changes), connectors.AsError(op, err))
	}
	var in []input
	var at []int
	for i, s := range changes {
		switch {
		case f.Status == "":
			out[i].State = connectors.NotApplicable
			continue
		case ids[i] == "":
			out[i] = connectors.Outcome{State: connectors.Failed, Err: &connectors.Error{Op: op, Kind: connectors.NotFound}}
			continue
		}
		change := input{ID: ids[i], IDProperty: c.idProperty(), Properties: map[string]string{f.Status: string(s.Status)}}
		set(change.Properties, f.Reason, cut(s.Reason))
		in, at = append(in, change), append(at, i)
	}
	results := c.api.write(ctx, op, c.api.objects(communications, "/batch/update"), in, connectors.Error{Kind: connectors.NotFound})
	for i, w := range results {
		out[at[i]] = c.outcome(w, changes[at[i]].Contact)
	}
	return out
}

// maxReason keeps what a carrier says within a line.
const maxReason = 500

func cut(reason string) string {
	all := []rune(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason, "\uFFFD")))
	return string(all[:min(len(all), maxReason)])
}

// records answers by which id each text is updated, "" where it is not there: its
// key, or in class D its record's.
func (c *Connector) records(ctx context.Context, changes []connectors.StatusChange) ([]string, error) {
	ids := make([]string, len(changes))
	var unknown []connectors.Record
	var at []int
	for i, s := range changes {
		switch {
		case c.idProperty() != "":
			ids[i] = encoded(s.Key)
		case !s.Record.Zero():
			ids[i] = s.Record.ID
		default:
			unknown, at = append(unknown, connectors.Record{Key: s.Key, Contact: s.Contact}), append(at, i)
		}
	}
	found, err := c.onTimeline(ctx, "update status", unknown)
	if err != nil {
		return nil, err
	}
	for i := range found {
		ids[at[i]] = connectors.Oldest(found[i]).ID
	}
	return ids, nil
}
