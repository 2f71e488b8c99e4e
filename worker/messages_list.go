package worker

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"crmsync/internal/messages"
	"crmsync/workflows"
)

// listLimit is how many messages are listed unless somebody asks for more.
const listLimit = 100

func (a *app) messagesListCommand() *cobra.Command {
	f := &messagesFlags{}
	var parked, waiting bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "list [KEY...]",
		Short: "List messages, the newest first",
		Long: `List messages, the newest first. Without a KEY and a state it lists what is open:
parked, or waiting for a CRM. Temporal's list lags a second or so behind. A status
is listed by connector once it is parked or done.`,
		Example: `  crmsync messages list --parked --connector hubspot
  crmsync messages list --waiting --since 24h --json
  crmsync messages list +15125551234
  crmsync messages list --connector hubspot 4711      # by the id of a record`,
		RunE: func(cmd *cobra.Command, keys []string) error {
			if err := f.take(keys); err != nil {
				return err
			}
			switch {
			case parked && waiting || f.filter.State != "" && (parked || waiting):
				return usageError{errors.New("give one of --state, --parked and --waiting")}
			case parked:
				f.filter.State = workflows.StateParked
			case waiting:
				f.filter.State = messages.StateWaiting
			case f.filter.State == "" && len(keys) == 0 && f.filter.Number == "":
				f.filter.State = messages.StateOpen
			}
			return a.listMessages(cmd, f.filter)
		},
	})
	f.filterFlags(cmd, listLimit)
	cmd.Flags().BoolVar(&parked, "parked", false, "only what waits for a person: --state parked")
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only what waits for a CRM: --state waiting")
	return cmd
}

func (a *app) listMessages(cmd *cobra.Command, f messages.Filter) error {
	d, err := a.openDesk(cmd.Context(), f)
	if err != nil {
		return err
	}
	defer d.close()
	found, err := d.List(cmd.Context(), f)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(found.Items)
	} else {
		err = a.printItems(found.Items)
	}
	if err != nil {
		return err
	}
	if found.More {
		_, _ = fmt.Fprintf(a.stderr, "These are the newest %d; there are more: --limit 0 lists all.\n", len(found.Items))
	}
	return unknownKeys(found.Unknown)
}

func (a *app) printItems(items []messages.Item) error {
	if len(items) == 0 {
		a.printf("There is nothing.\n")
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "STATE\tSINCE\tKEY\tDELIVERIES")
	for _, item := range items {
		deliveries := make([]string, len(item.Deliveries))
		for i, d := range item.Deliveries {
			deliveries[i] = d.Connector + " " + d.State
			if d.Error != nil {
				deliveries[i] += " (" + d.Error.Kind + ")"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", item.State, stamp(item.Since), printable(item.Key), printable(strings.Join(deliveries, ", ")))
	}
	return table.Flush()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func unknownKeys(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return fmt.Errorf("nothing is known of %s: is it spelled as in Temporal, and not older than the namespace keeps workflows? A new event is listed after a second",
		printable(strings.Join(keys, ", ")))
}
