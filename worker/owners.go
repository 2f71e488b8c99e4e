package worker

import (
	"strings"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/sms"
)

func ownerPolicy(o config.Owner) activities.OwnerPolicy {
	policy := activities.OwnerPolicy{Default: o.Default}
	for _, from := range o.From {
		policy.From = append(policy.From, string(from))
	}
	return policy
}

// staff is who the agents and lines of each account are.
func staff(c *config.Config) map[string]activities.Staff {
	all := map[string]activities.Staff{}
	for name, account := range c.JustCall {
		s := activities.Staff{Agents: map[string]string{}, Lines: map[sms.Phone]string{}}
		for agent, email := range account.Agents {
			s.Agents[strings.ToLower(agent)] = email
		}
		for line, email := range account.Lines {
			s.Lines[sms.Phone(line)] = email
		}
		all[name] = s
	}
	return all
}
