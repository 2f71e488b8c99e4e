package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
)

func spoolLimits(c *config.Config) ledger.SpoolLimits {
	return ledger.SpoolLimits{Events: c.Spool.MaxEvents, Bytes: int64(c.Spool.MaxBytes)}
}

// drain starts what is spooled, in processes that take webhooks in.
func (d *daemon) drain() (stop func()) {
	if !d.part.does(roleIngress) {
		return func() {}
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { d.door.Drain(ctx) })
	return func() { cancel(); wg.Wait() }
}

// doubtSpool says, in processes that take webhooks in, why the spool takes nothing
// and how Redis may lose what it holds.
func (d *daemon) doubtSpool(ctx context.Context) {
	if !d.part.does(roleIngress) {
		return
	}
	if err := d.spool.Check(ctx); err != nil {
		d.log.Warn("nothing can be spooled: webhooks are refused while Temporal is away or too slow", "error", err)
	}
	if settings, err := d.spool.Settings(ctx); err == nil && settings.Risk() != "" {
		d.log.Warn("Redis keeps the events that Temporal does not take at once, and " + settings.Risk())
	}
}

func (a *app) spoolCommand() *cobra.Command {
	limit := listLimit
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "spool",
		Short: "Show what waits in Redis for Temporal",
		Long: `Show the spool: the events that Temporal did not take at once, which wait in Redis
until it does; and the dead letters, which it refused for good. It needs neither
Temporal nor a running daemon.`,
		Example: `  crmsync spool
  crmsync spool --json
  crmsync spool retry                     # all dead letters
  crmsync spool retry 1763724846123-0`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError{errors.New("--limit must be 1 or more")}
			}
			return a.showSpool(cmd.Context(), int64(limit))
		},
	})
	cmd.Flags().IntVar(&limit, "limit", limit, "list at most so many of each, the oldest")
	cmd.AddCommand(a.spoolRetryCommand(), a.spoolDropCommand())
	return cmd
}

// spoolStanding is how the spool does, as programs read it.
type spoolStanding struct {
	Waiting       int64   `json:"waiting"`
	OldestSeconds float64 `json:"oldest_seconds"`
	Dead          int64   `json:"dead"`
	Bytes         int64   `json:"bytes"`
}

func standingOf(s ledger.SpoolState) spoolStanding {
	return spoolStanding{Waiting: s.Waiting, OldestSeconds: s.Oldest.Seconds(), Dead: s.Dead, Bytes: s.Bytes}
}

// spooled is an entry of the spool, as it is listed.
type spooled struct {
	ID    string    `json:"id"`
	State string    `json:"state"` // spooled or dead
	Since time.Time `json:"since"`
	Key   string    `json:"key,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// spoolReport is what spool prints as JSON.
type spoolReport struct {
	spoolStanding

	Entries []spooled `json:"entries"`
}

func (a *app) showSpool(ctx context.Context, limit int64) error {
	return a.withSpool(func(spool *ledger.Spool) error {
		state, err := spool.State(ctx)
		if err != nil {
			return err
		}
		dead, err := spool.Dead(ctx, limit)
		if err != nil {
			return err
		}
		waiting, err := spool.List(ctx, limit)
		if err != nil {
			return err
		}
		entries := append(listed("dead", dead), listed("spooled", waiting)...)
		if a.json {
			return a.printJSON(spoolReport{standingOf(state), entries})
		}
		a.printf("%d waiting, the oldest for %s; %d dead; %s\n", state.Waiting, state.Oldest.Round(time.Second), state.Dead, about(state.Bytes))
		return a.printSpool(entries)
	})
}

// about is a number of bytes for people.
func about(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

func listed(state string, entries []ledger.Entry) []spooled {
	list := make([]spooled, len(entries))
	for i, e := range entries {
		key, err := ingress.SpooledKey(e)
		list[i] = spooled{ID: e.ID, State: state, Since: e.At(), Key: key, Why: e.Why}
		if err != nil && e.Why == "" {
			list[i].Why = err.Error()
		}
	}
	return list
}

func (a *app) printSpool(entries []spooled) error {
	if len(entries) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "STATE\tSINCE\tID\tKEY\tWHY")
	for _, e := range entries {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.State, stamp(e.Since), e.ID, printable(e.Key), printable(e.Why))
	}
	return table.Flush()
}

func (a *app) spoolRetryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry [ID...]",
		Short: "Have dead letters started once more; all of them without an ID",
		RunE: func(cmd *cobra.Command, ids []string) error {
			return a.withSpool(func(spool *ledger.Spool) error {
				if len(ids) == 0 {
					return a.reviveAll(cmd.Context(), spool)
				}
				return a.eachDead(ids, "tried again", func(id string) (bool, error) { return spool.Revive(cmd.Context(), id) })
			})
		},
	}
}

// reviveAll stops at those that are dead now: some may die again.
func (a *app) reviveAll(ctx context.Context, spool *ledger.Spool) error {
	state, err := spool.State(ctx)
	if err != nil {
		return err
	}
	if state.Dead == 0 {
		a.printf("There are no dead letters.\n")
		return nil
	}
	dead, err := spool.Dead(ctx, state.Dead)
	if err != nil {
		return err
	}
	for _, e := range dead {
		if _, err := spool.Revive(ctx, e.ID); err != nil {
			return err
		}
	}
	a.printf("%d are tried again, as soon as an ingress is running.\n", len(dead))
	return nil
}

func (a *app) spoolDropCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drop ID...",
		Short: "Delete dead letters for good",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return a.withSpool(func(spool *ledger.Spool) error {
				return a.eachDead(ids, "deleted", func(id string) (bool, error) { return spool.Drop(cmd.Context(), id) })
			})
		},
	}
}

// eachDead does something to each of the dead letters, and says which there are
// not.
func (a *app) eachDead(ids []string, done string, do func(id string) (bool, error)) error {
	var errs []error
	for _, id := range ids {
		found, err := do(id)
		switch {
		case err != nil:
			return err
		case found:
			a.printf("%s: %s\n", id, done)
		default:
			errs = append(errs, fmt.Errorf("%s: there is no such dead letter; 'crmsync spool' lists them", id))
		}
	}
	return errors.Join(errs...)
}

// withSpool opens the spool for a command.
func (a *app) withSpool(do func(*ledger.Spool) error) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	spool, err := openSpool(c)
	if err != nil {
		return err
	}
	defer func() { _ = spool.Close() }()
	return do(spool)
}

func openSpool(c *config.Config) (*ledger.Spool, error) {
	ring, err := ringOf(c)
	if err != nil {
		return nil, err
	}
	spool, err := ledger.OpenSpool(ledger.Options{URL: c.Redis.URL.Reveal(), Mode: string(c.Redis.Mode), Name: c.Name, Ring: ring}, spoolLimits(c))
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	return spool, nil
}

// spool says what waits in the spool for too long, or for a person.
func (f *findings) spool(ctx context.Context, c *config.Config) {
	spool, err := openSpool(c)
	if err != nil {
		return // that is said of Redis
	}
	defer func() { _ = spool.Close() }()
	state, err := spool.State(ctx)
	switch {
	case err != nil:
		f.fail("spool", "%v", err)
	case spool.Check(ctx) != nil:
		f.warn("spool", "takes no event now: is it full? See 'crmsync spool', and spool.max_events and spool.max_bytes")
	}
	if state.Dead > 0 {
		f.warn("spool", "Temporal refused %d events for good: 'crmsync spool' says why", state.Dead)
	}
	if state.Oldest > time.Minute {
		f.warn("spool", "%d events wait for Temporal, the oldest for %s: is 'crmsync run' running, and does Temporal take events?",
			state.Waiting, state.Oldest.Round(time.Second))
	}
}
