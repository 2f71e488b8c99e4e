package worker

import (
	"errors"

	"github.com/spf13/cobra"

	"crmsync/config"
)

func (a *app) runCommand() *cobra.Command {
	var flags partFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Run the daemon: take webhooks in and deliver them, until SIGTERM or Ctrl-C.

While Temporal is away, also at the start, what comes is spooled in Redis; it never
exits for that. On SIGTERM it stops accepting, finishes what is in flight and gives the
rest back to Temporal, within 30 seconds.

A process does everything, unless --roles says which parts: ingress takes
webhooks in, workflows decides what happens to them, and lanes calls CRMs, all or
those that --lanes names. Any number of processes may do any of it side by side,
with the same configuration; together they must do all. One without ingress
listens on server.admin only, where /healthz and /readyz are, too.`,
		Example: `  crmsync run --config /etc/crmsync.yaml
  crmsync run --roles ingress
  crmsync run --roles workflows,lanes
  crmsync run --roles lanes --lanes hubspot,close`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			if err := runnable(c); err != nil {
				return err
			}
			does, err := flags.part(c)
			if err != nil {
				return err
			}
			log := newLogger(c.Log, a.stderr)
			for _, warning := range c.Warnings() {
				log.Warn(warning)
			}
			d, err := newDaemon(c, does, a.registry, log)
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	flags.add(cmd)
	return cmd
}

// runnable refuses what is well formed and must not run.
func runnable(c *config.Config) error {
	var errs []error
	for _, problem := range c.Problems() {
		errs = append(errs, problem)
	}
	return errors.Join(errs...)
}
