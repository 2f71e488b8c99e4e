package connectors

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Registry holds the definitions of one build. It is built once and then only
// read.
type Registry struct{ byName map[string]Definition }

// NewRegistry checks the definitions and fills in their defaults.
func NewRegistry(definitions ...Definition) (*Registry, error) {
	r := &Registry{byName: map[string]Definition{}}
	for _, d := range definitions {
		if d.Name == "" || d.Open == nil {
			return nil, fmt.Errorf("connector %q: a definition needs a name and Open", d.Name)
		}
		if _, twice := r.byName[d.Name]; twice {
			return nil, fmt.Errorf("connector %q is defined twice", d.Name)
		}
		if err := ValidateLimits(d.Limits); err != nil {
			return nil, fmt.Errorf("connector %q: %w", d.Name, err)
		}
		r.byName[d.Name] = d.withDefaults()
	}
	return r, nil
}

func (d Definition) withDefaults() Definition {
	d.MaxBatch = cmp.Or(d.MaxBatch, 1)
	d.CallTimeout = cmp.Or(d.CallTimeout, DefaultCallTimeout)
	d.Settle = cmp.Or(d.Settle, 10*time.Second)
	return d
}

// For answers the definition as it is for an instance, which a [Definer] may
// change.
func (d Definition) For(c Connector) Definition {
	if own, ok := c.(Definer); ok {
		return own.Define(d).withDefaults()
	}
	return d
}

// Get finds a definition by its name.
func (r *Registry) Get(name string) (Definition, bool) {
	d, ok := r.byName[name]
	return d, ok
}

// All answers every definition, ordered by name.
func (r *Registry) All() []Definition {
	all := make([]Definition, 0, len(r.byName))
	for _, d := range r.byName {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Definition) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
