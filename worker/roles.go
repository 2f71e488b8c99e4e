package worker

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/config"
)

// The roles of a process. Processes need no coordination but Temporal and Redis.
const (
	roleIngress   = "ingress"   // takes webhooks in
	roleWorkflows = "workflows" // decides what happens to an event
	roleLanes     = "lanes"     // calls CRMs
)

var allRoles = []string{roleIngress, roleWorkflows, roleLanes}

// part is what a process does of all that there is to do.
type part struct {
	roles []string
	lanes []string // the connectors whose lanes it drives
}

// does reports whether the process has a role.
func (p part) does(role string) bool { return slices.Contains(p.roles, role) }

// whole is what a process does that does everything.
func whole(c *config.Config) part { return part{roles: allRoles, lanes: sortedNames(c)} }

// partFlags choose a process's part.
type partFlags struct{ roles, lanes []string }

func (f *partFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.roles, "roles", allRoles, "what this process does")
	cmd.Flags().StringSliceVar(&f.lanes, "lanes", nil, "the connectors that role lanes drives (default: all)")
}

// part answers what the flags choose; what is wrong with them is a wrong call.
func (f *partFlags) part(c *config.Config) (part, error) {
	p := part{roles: f.roles}
	if len(p.roles) == 0 {
		return part{}, usageError{errors.New("--roles is empty: name some of " + strings.Join(allRoles, ", "))}
	}
	for _, role := range p.roles {
		if !slices.Contains(allRoles, role) {
			return part{}, usageError{fmt.Errorf("--roles: there is no role %q; there are %s", role, strings.Join(allRoles, ", "))}
		}
	}
	if !p.does(roleLanes) {
		if len(f.lanes) > 0 {
			return part{}, usageError{errors.New("--lanes needs role lanes: add it to --roles, or leave --lanes out")}
		}
		return p, nil
	}
	names := sortedNames(c)
	for _, lane := range f.lanes {
		if !slices.Contains(names, lane) {
			return part{}, usageError{fmt.Errorf("--lanes: no connector %q is configured; there are %s", lane, strings.Join(names, ", "))}
		}
	}
	p.lanes = names
	if len(f.lanes) > 0 {
		p.lanes = slices.Compact(slices.Sorted(slices.Values(f.lanes)))
	}
	return p, nil
}
