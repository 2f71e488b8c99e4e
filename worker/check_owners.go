package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
)

// named is a user of a CRM whom the configuration names.
type named struct{ key, email string }

// owners looks up the users whom the configuration names, and says who is none.
func (f *findings) owners(ctx context.Context, c *config.Config, instance *activities.Instance) {
	about := "connectors." + instance.Name
	people := ownersOf(c, c.Connectors[instance.Name])
	if len(people) == 0 {
		return
	}
	finder, ok := instance.Connector.(connectors.OwnerFinder)
	if !ok {
		f.warn(about, "this CRM offers no way to look users up, so %s has no effect here", people[0].key)
		return
	}
	for batch := range slices.Chunk(people, max(instance.Definition.MaxBatch, 1)) {
		emails := make([]string, len(batch))
		for i, p := range batch {
			emails[i] = p.email
		}
		ids, err := finder.FindOwners(ctx, emails)
		if err == nil && len(ids) != len(emails) {
			err = fmt.Errorf("answered %d users for %d addresses", len(ids), len(emails))
		}
		if err != nil {
			f.warn(about, "users cannot be looked up: what is written gets no owner by e-mail address: %v", err)
			return
		}
		for i, p := range batch {
			if ids[i] == "" {
				f.warn(about, "no user of this CRM has the address %s of %s", p.email, p.key)
			}
		}
	}
}

// ownersOf answers whom the configuration names as owners at a connector.
func ownersOf(c *config.Config, connector *config.Connector) (people []named) {
	add := func(key string, emails map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(emails)) {
			people = append(people, named{key + "." + name, emails[name]})
		}
	}
	for _, account := range connector.Accounts {
		if slices.Contains(connector.Owner.From, config.FromAgent) {
			add("justcall."+account+".agents", c.JustCall[account].Agents)
		}
		if slices.Contains(connector.Owner.From, config.FromLine) {
			add("justcall."+account+".lines", c.JustCall[account].Lines)
		}
	}
	if connector.Owner.Default != "" {
		people = append(people, named{"connectors." + connector.Name() + ".owner.default", connector.Owner.Default})
	}
	return people
}
