package worker

import (
	"errors"
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
	var status bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "connectors [NAME]",
		Short: "List the connectors of this build, or show how the configured ones do",
		Long: `Connectors lists the connectors of this build, or shows how to configure one.

With --status it shows how each configured connector does: flowing; paused, since
its CRM is away or an operator paused it; or idle, where no process drives it. It
asks Temporal and Redis, and needs no running daemon; while Redis is away nobody
can tell of a CRM.`,
		Example: `  crmsync connectors
  crmsync connectors sandbox        how to configure one
  crmsync connectors --status       how the configured ones do
  crmsync connectors test ourcrm    try a configured one on its live CRM
  crmsync connectors new ourcrm     begin one of your own
  crmsync connectors pause ourcrm --reason migration`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case status && len(names) > 0:
				return usageError{errors.New("--status takes no name: it shows all that are configured")}
			case status:
				return a.connectorsStatus(cmd.Context())
			case len(names) == 1:
				return a.showConnector(names[0])
			}
			return a.listConnectors()
		},
	})
	cmd.Flags().BoolVar(&status, "status", false, "show how each configured connector does")
	cmd.AddCommand(a.connectorsTestCommand(), a.connectorsNewCommand(), a.connectorsPauseCommand(), a.connectorsResumeCommand())
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
