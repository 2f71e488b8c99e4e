package worker

import (
	"maps"
	"slices"

	"github.com/hashicorp/go-hclog"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/budget"
	"crmsync/internal/justcall/api"
)

// justcallShare is what crmsync spends of an account's request limits; the rest
// is for the customer's other applications.
const justcallShare = 0.8

// justcallAPI is the API of one JustCall account.
type justcallAPI struct {
	*api.Client
	people *api.Directory
	budget *budget.Transport // nil: without limits
}

// justcallName names an account's API in metrics and budgets, where it stands
// among connectors: none of them can have a colon in its name.
func justcallName(account string) string { return "justcall:" + account }

// called names everything that requests are counted of.
func called(c *config.Config) []string {
	names := slices.Collect(maps.Keys(c.Connectors))
	for account := range c.JustCall {
		names = append(names, justcallName(account))
	}
	return names
}

// openJustCall makes the clients of the accounts that have credentials.
func openJustCall(c *config.Config, w way, log hclog.Logger) map[string]justcallAPI {
	all := map[string]justcallAPI{}
	for name, account := range c.JustCall {
		if account.API.Configured() {
			one := w.justcall(name, account)
			one.people = api.NewDirectory(one.Client, log.With("account", name))
			all[name] = one
		}
	}
	return all
}

func (w way) justcall(name string, account config.Account) justcallAPI {
	settings := api.Settings{
		Account: name, Region: account.Region, BaseURL: account.API.BaseURL, Version: string(account.API.Version),
		Key: connectors.Secret(account.API.Key.Reveal()), Secret: connectors.Secret(account.API.Secret.Reveal()),
		Auth: string(account.API.Auth), Plan: string(account.API.Plan),
	}
	client := newHTTPClient()
	if w.metrics != nil {
		client.Transport = w.metrics.Transport(justcallName(name), client.Transport)
	}
	var limited *budget.Transport
	if w.budgets != nil {
		limited = w.budgets.Transport(justcallName(name), justcallShare, client.Transport)
		limited.Keep(api.Definition(settings))
		client.Transport = limited
	}
	return justcallAPI{Client: api.New(settings, client), budget: limited}
}

// forActivities is what activities see of the clients.
func forActivities(all map[string]justcallAPI) (apis map[string]activities.JustCall, people map[string]activities.People) {
	apis, people = map[string]activities.JustCall{}, map[string]activities.People{}
	for name, one := range all {
		apis[name], people[name] = one.Client, one.people
	}
	return apis, people
}
