package hubspot

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"crmsync/connectors"
)

// FindMessages implements connectors.MessageFinder in one request by key and one
// for the contacts. In class D it is one for the contacts' timelines and one for
// each hundred of their texts, and two more for remembered records that stand on
// none of them.
func (c *Connector) FindMessages(ctx context.Context, records []connectors.Record) ([][]connectors.Found, error) {
	const op = "find messages"
	if c.cfg.class() != connectors.ClassD {
		refs, err := c.byKey(ctx, op, records)
		if err != nil {
			return nil, err
		}
		return c.standing(ctx, op, refs)
	}
	found, err := c.onTimeline(ctx, op, records)
	if err != nil {
		return nil, err
	}
	return found, c.elsewhere(ctx, op, records, found)
}

// standing answers on whose timelines records stand. A zero Ref is no record.
func (c *Connector) standing(ctx context.Context, op string, refs []connectors.Ref) ([][]connectors.Found, error) {
	var ids []string
	for _, ref := range refs {
		if !ref.Zero() {
			ids = append(ids, ref.ID)
		}
	}
	of, err := c.api.associations(ctx, op, communications, contacts, ids)
	if err != nil {
		return nil, err
	}
	found := make([][]connectors.Found, len(refs))
	for i, ref := range refs {
		if !ref.Zero() {
			found[i] = []connectors.Found{c.foundOn(ref.ID, of[ref.ID]...)}
		}
	}
	return found, nil
}

// foundOn is a text on these contacts' timelines.
func (c *Connector) foundOn(id string, people ...string) connectors.Found {
	f := connectors.Found{Ref: c.textRef(id, connectors.Ref{})}
	for _, p := range people {
		f.Contacts = append(f.Contacts, c.contactRef(p))
	}
	if len(f.Contacts) > 0 {
		f.Ref = c.textRef(id, f.Contacts[0])
	}
	return f
}

// elsewhere finds remembered records that stand on no timeline that was looked at,
// since a person has moved them.
func (c *Connector) elsewhere(ctx context.Context, op string, records []connectors.Record, found [][]connectors.Found) error {
	var at []int
	var ids []string
	for i, r := range records {
		if len(found[i]) == 0 && !r.Known.Zero() {
			at, ids = append(at, i), append(ids, r.Known.ID)
		}
	}
	there, err := c.api.read(ctx, op, communications, "", ids, []string{cmp.Or(c.cfg.Fields.Key, fieldBody)})
	if err != nil {
		return err
	}
	refs := make([]connectors.Ref, len(at))
	for n, i := range at {
		if o, ok := there[ids[n]]; ok && c.holds(o, records[i].Key) {
			refs[n].ID = o.ID
		}
	}
	moved, err := c.standing(ctx, op, refs)
	for n, i := range at {
		if err == nil {
			found[i] = moved[n]
		}
	}
	return err
}

// idProperty is by which texts are named, empty for HubSpot's own ids.
func (c *Connector) idProperty() string {
	if c.cfg.class() == connectors.ClassC {
		return c.cfg.Fields.Key
	}
	return ""
}

func (c *Connector) byKey(ctx context.Context, op string, records []connectors.Record) ([]connectors.Ref, error) {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = encoded(r.Key)
	}
	key := c.cfg.Fields.Key
	found, err := c.api.read(ctx, op, communications, key, ids, []string{key})
	if err != nil {
		return nil, err
	}
	refs := make([]connectors.Ref, len(records))
	for i, id := range ids {
		refs[i] = c.textRef(found[id].ID, records[i].Contact)
	}
	return refs, nil
}

func (c *Connector) onTimeline(ctx context.Context, op string, records []connectors.Record) ([][]connectors.Found, error) {
	found := make([][]connectors.Found, len(records))
	timelines, err := c.timelines(ctx, op, records, cmp.Or(c.cfg.Fields.Key, fieldBody))
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		for _, o := range timelines[r.Contact.ID] {
			if c.holds(o, r.Key) {
				found[i] = append(found[i], c.foundOn(o.ID, r.Contact.ID))
			}
		}
		slices.SortFunc(found[i], func(a, b connectors.Found) int { return byAge(a.ID, b.ID) })
	}
	return found, nil
}

// byAge compares ids, which are numbers that grow.
func byAge(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// holds reports whether a communication is the text with that key.
func (c *Connector) holds(o object, key string) bool {
	if f := c.cfg.Fields.Key; f != "" {
		return o.Properties[f] == encoded(key)
	}
	return strings.Contains(o.Properties[fieldBody], marker(key))
}

// timelines answers the communications of the records' contacts.
func (c *Connector) timelines(ctx context.Context, op string, records []connectors.Record, fields ...string) (map[string][]object, error) {
	var people []string
	for _, r := range records {
		if !r.Contact.Zero() {
			people = append(people, r.Contact.ID)
		}
	}
	of, err := c.api.associations(ctx, op, contacts, communications, people)
	if err != nil {
		return nil, err
	}
	found, err := c.api.read(ctx, op, communications, "", slices.Concat(slices.Collect(maps.Values(of))...), fields)
	if err != nil {
		return nil, err
	}
	timelines := map[string][]object{}
	for contact, ids := range of {
		for _, id := range ids {
			if o, there := found[id]; there {
				timelines[contact] = append(timelines[contact], o)
			}
		}
	}
	return timelines, nil
}
