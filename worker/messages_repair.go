package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"crmsync/internal/messages"
	"crmsync/workflows"
)

// repairFlags are those of the commands that change something.
type repairFlags struct {
	messagesFlags
	verb        string
	repair      workflows.Repair
	to          []string // resync
	dryRun, all bool
}

// repairCommand makes the command of a verb; its text is filled in by the caller.
func (a *app) repairCommand(verb string, cmd *cobra.Command) (*cobra.Command, *repairFlags) {
	f := &repairFlags{verb: verb}
	cmd.Use = verb + " [KEY...]"
	cmd.RunE = func(cmd *cobra.Command, keys []string) error { return a.repairMessages(cmd, f, keys) }
	f.filterFlags(cmd, 0)
	cmd.Flags().StringVar(&f.repair.Reason, "reason", "", "why; it is recorded, and so is who you are")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&f.all, "all", false, "all of them, without any filter")
	return a.jsonFlag(cmd), f
}

func (a *app) messagesRetryCommand() *cobra.Command {
	cmd, _ := a.repairCommand(workflows.UpdateRetry, &cobra.Command{
		Short: "Try parked deliveries again",
		Long: `Try parked deliveries again: those of the KEYs, or all that a filter names, sixteen
at a time. What has been repaired meanwhile is left alone, so that it may be
interrupted with Ctrl-C and repeated.`,
		Example: `  crmsync messages retry msg_1
  crmsync messages retry --connector hubspot --since 24h --reason "field made optional" --dry-run`,
	})
	return cmd
}

func (a *app) messagesSkipCommand() *cobra.Command {
	cmd, _ := a.repairCommand(workflows.UpdateSkip, &cobra.Command{
		Short: "Give parked deliveries up",
		Long: `Give parked deliveries up: they end as skipped, with the reason, and nothing is
written. 'crmsync messages resync' brings one back.`,
		Example: `  crmsync messages skip msg_1 --reason spam
  crmsync messages skip --error INVALID --connector hubspot --since 7d --reason "test messages"`,
	})
	return cmd
}

func (a *app) messagesLinkCommand() *cobra.Command {
	cmd, f := a.repairCommand(workflows.UpdateLink, &cobra.Command{
		Short: "Say which contact a number belongs to",
		Long: `Deliver what is parked to this contact, and remember it for the number: the texts
that follow go there, too. Where nothing is parked the link is remembered only;
what was delivered stays where it is.`,
		Example: `  crmsync messages link msg_1 --connector hubspot --contact 4711
  crmsync messages link +15125551234 --connector hubspot --contact 4711 --reason "Sarah's new phone"`,
	})
	cmd.Flags().StringVar(&f.repair.Contact, "contact", "", "the CRM's id of the contact (required)")
	cmd.Flags().StringVar(&f.repair.ContactType, "contact-type", "", "its type of record, where the CRM has several")
	return cmd
}

const verbResync = "resync"

func (a *app) messagesResyncCommand() *cobra.Command {
	cmd, f := a.repairCommand(verbResync, &cobra.Command{
		Short: "Deliver finished messages once more",
		Long: `Deliver finished messages once more, to the connectors that they went to or to those
named, also to one that was added later. It is for records that somebody deleted:
what is still there is not doubled where the CRM knows our keys, or can be
searched (see 'crmsync check'), and what a person edited stays.

Each becomes a workflow of its own, KEY@CONNECTOR, and may be resynced again.`,
		Example: `  crmsync messages resync msg_1 --to hubspot --reason "deleted by mistake"
  crmsync messages resync --connector hubspot --since 7d --to newcrm --dry-run`,
	})
	cmd.Flags().StringSliceVar(&f.to, "to", nil, "deliver to these connectors instead of those that it went to")
	return cmd
}

// complete checks the call and fills in what was left out.
func (f *repairFlags) complete(keys []string) error {
	if err := f.take(keys); err != nil {
		return err
	}
	switch {
	case f.verb == workflows.UpdateLink && f.repair.Contact == "":
		return usageError{errors.New("link needs --contact, the CRM's id of the contact")}
	case f.verb == workflows.UpdateLink && len(keys) == 0 && f.filter.Number == "":
		return usageError{errors.New("link needs a KEY or --number")}
	case f.all && f.filter.Narrow():
		return usageError{errors.New("--all goes without a KEY and without a filter")}
	case !f.all && !f.filter.Narrow() && f.filter.State == "":
		return usageError{fmt.Errorf("%s needs a KEY or a filter, or --all", f.verb)}
	}
	f.repair.Connector = f.filter.Connector
	if f.verb == verbResync && f.filter.Connector != "" && len(f.to) == 0 {
		f.to = []string{f.filter.Connector}
	}
	switch {
	case f.filter.State != "" || len(keys) > 0:
	case f.verb == verbResync:
		f.filter.State = workflows.StateDone
	default:
		f.filter.State = workflows.StateParked
	}
	return nil
}

func (a *app) repairMessages(cmd *cobra.Command, f *repairFlags, keys []string) error {
	if err := f.complete(keys); err != nil {
		return err
	}
	ctx := cmd.Context()
	d, err := a.openDesk(ctx, f.filter, f.to...)
	if err != nil {
		return err
	}
	defer d.close()
	found, err := d.List(ctx, f.filter)
	if err != nil {
		return err
	}
	items := found.Items
	switch f.verb {
	case verbResync:
		items = messages.Resyncable(items, keys)
	case workflows.UpdateLink:
		items = messages.Events(items, keys)
	}
	if f.dryRun {
		return a.reportDryRun(f, items, found)
	}
	bar := a.progress(f.verb, len(items))
	tally, err := messages.Each(ctx, items, f.do(d), bar.told)
	bar.end()
	linked := false
	if err == nil && f.verb == workflows.UpdateLink && tally.Done == 0 && len(tally.Failed) == 0 {
		linked, err = remember(ctx, d, f, items)
	}
	return a.reportTally(f, linked, tally, found, err)
}

// do is what is done to each item.
func (f *repairFlags) do(d *desk) func(context.Context, messages.Item) error {
	if f.verb == verbResync {
		return func(ctx context.Context, item messages.Item) error {
			_, err := d.Resync(ctx, item, f.to, f.repair.Reason)
			return err
		}
	}
	return func(ctx context.Context, item messages.Item) error {
		return d.Repair(ctx, item, f.verb, f.filter.Error, f.repair)
	}
}
