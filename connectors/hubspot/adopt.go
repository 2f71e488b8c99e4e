package hubspot

import (
	"context"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/sms"
)

// adoptWithin is how far apart the two integrations' instants may be.
const adoptWithin = 60 * time.Second

// AdoptMessages implements connectors.Adopter in one request for the contacts, one
// for each hundred of their texts and one for what is taken over. Without a
// property for the key it is not offered: the key would have to be written into
// the text.
func (c *Connector) AdoptMessages(ctx context.Context, records []connectors.Record) []connectors.Outcome {
	const op = "adopt messages"
	key := c.cfg.Fields.Key
	out := make([]connectors.Outcome, len(records))
	if key == "" {
		for i := range out {
			out[i].State = connectors.NotApplicable
		}
		return out
	}
	timelines, err := c.timelines(ctx, op, records, key, fieldChannel, fieldBody, fieldTime)
	if err != nil {
		return connectors.FailAll(len(records), connectors.AsError(op, err))
	}
	taken := map[string]bool{}
	var in []input
	var at []int
	for i, r := range records {
		o, state := c.candidate(r, timelines[r.Contact.ID], taken)
		out[i] = connectors.Outcome{State: state}
		if state == connectors.NotApplicable {
			continue
		}
		taken[o.ID] = true
		out[i].Ref = c.textRef(o.ID, r.Contact)
		if state == connectors.Written {
			in, at = append(in, input{ID: o.ID, Properties: map[string]string{key: encoded(r.Key)}}), append(at, i)
		}
	}
	results := c.api.write(ctx, op, c.api.objects(communications, "/batch/update"), in, connectors.Error{Kind: connectors.NotFound})
	for i, w := range results {
		out[at[i]] = c.outcome(w, records[at[i]].Contact)
	}
	c.lookUp(ctx, op, records, out)
	return out
}

// candidate is the communication that is the text already: Existed has its key,
// Written is to be given it.
func (c *Connector) candidate(r connectors.Record, timeline []object, taken map[string]bool) (object, connectors.State) {
	key := c.cfg.Fields.Key
	for _, o := range timeline {
		if c.holds(o, r.Key) {
			return o, connectors.Existed
		}
	}
	for _, o := range timeline {
		at, err := time.Parse(time.RFC3339, o.Properties[fieldTime]) // so it answers, whatever was written
		near := err == nil && at.Sub(r.Message.At).Abs() <= adoptWithin
		if near && !taken[o.ID] && o.Properties[key] == "" && sameText(o.Properties[fieldBody], r.Message) {
			return o, connectors.Written
		}
	}
	return object{}, connectors.NotApplicable
}

// sameText reports whether a communication of another integration is the text: it
// ends with the text's own lines, and what stands before them, if anything, does
// not name the other direction.
func sameText(stored string, m sms.Message) bool {
	lines, own := plain(stored), plain(markup(m.Body))
	if len(own) == 0 || len(lines) < len(own) {
		return false
	}
	before, last := lines[:len(lines)-len(own)], lines[len(lines)-len(own):]
	if head, found := strings.CutSuffix(last[0], own[0]); found && (head == "" || strings.HasSuffix(strings.TrimSpace(head), ":")) {
		return slices.Equal(last[1:], own[1:]) && !contradicts(strings.ToLower(strings.Join(slices.Concat(before, []string{head}), " ")), m.Direction)
	}
	return false
}

var directionWords = map[sms.Direction][]string{
	sms.Inbound:  {"inbound", "incoming", "received"},
	sms.Outbound: {"outbound", "outgoing", "sent"},
}

// contradicts reports whether a heading names only the other direction.
func contradicts(heading string, d sms.Direction) bool {
	names := func(d sms.Direction) bool {
		return slices.ContainsFunc(directionWords[d], func(w string) bool { return strings.Contains(heading, w) })
	}
	other := sms.Inbound
	if d == sms.Inbound {
		other = sms.Outbound
	}
	return names(other) && !names(d)
}
