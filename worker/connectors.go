package worker

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"crmsync/connectors"
)

type connectorInfo struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Example string `json:"example"`
}

func (a *app) connectorsCommand() *cobra.Command {
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "connectors [NAME]",
		Short: "List the connectors of this build, show how to configure one, or test one",
		Example: `  crmsync connectors
  crmsync connectors sandbox
  crmsync connectors test ourcrm    try a configured one on its live CRM`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, names []string) error {
			if len(names) == 1 {
				return a.showConnector(names[0])
			}
			return a.listConnectors()
		},
	})
	cmd.AddCommand(a.connectorsTestCommand())
	return cmd
}

func (a *app) listConnectors() error {
	all := a.registry.All()
	if a.json {
		infos := make([]connectorInfo, 0, len(all))
		for _, d := range all {
			infos = append(infos, infoOf(d))
		}
		return a.printJSON(infos)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, d := range all {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", d.Name, d.Title)
	}
	return table.Flush()
}

func (a *app) showConnector(name string) error {
	d, ok := a.registry.Get(name)
	if !ok {
		return fmt.Errorf("this build has no connector %q; 'crmsync connectors' lists them", name)
	}
	if a.json {
		return a.printJSON(infoOf(d))
	}
	a.printf("%s: %s\n\n%s\n", d.Name, d.Title, d.Example)
	return nil
}

func infoOf(d connectors.Definition) connectorInfo {
	return connectorInfo{Name: d.Name, Title: d.Title, Example: d.Example}
}
