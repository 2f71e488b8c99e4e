// Package worker is the crmsync daemon and its command line, one file per
// command.
//
// A company that has a connector of its own builds its own daemon with it:
//
//	func main() {
//		worker.Main(append(all.Connectors(), ourcrm.Definition())...)
//	}
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/connectors"
)

// Main runs the command line with these connectors and ends the process.
func Main(definitions ...connectors.Definition) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr, definitions...))
}

// Run runs the command line until it ends or ctx does, and answers the exit
// status: 0 for success, 1 for an error, 2 for a wrong call, 3 where check has
// only warnings.
func Run(ctx context.Context, arguments []string, stdout, stderr io.Writer, definitions ...connectors.Definition) int {
	registry, err := connectors.NewRegistry(definitions...)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "crmsync:", err)
		return 1
	}
	app := &app{registry: registry, stdout: stdout, stderr: stderr}
	root := app.command()
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err = root.ExecuteContext(ctx)
	usage := errors.As(err, new(usageError))
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFindings):
		return 1
	case errors.Is(err, errWarnings):
		return 3
	case usage:
		_, _ = fmt.Fprintf(stderr, "crmsync: %v\nSee 'crmsync --help'.\n", err)
		return 2
	}
	_, _ = fmt.Fprintf(stderr, "crmsync: %v\n", err)
	return 1
}

// app is what all commands share.
type app struct {
	registry       *connectors.Registry
	stdout, stderr io.Writer
	configFile     string
	json           bool
}

// usageError is a wrong call.
type usageError struct{ error }

// args makes a check of the arguments tell a wrong call from other errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usageError{err}
		}
		return nil
	}
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "crmsync",
		Short: "Puts every JustCall text on the right contact's timeline, once",
		Long: `crmsync takes a company's text messages from JustCall's webhooks and puts each
one on the right contact's timeline in the company's CRMs, exactly once.`,
		Example: `  crmsync dev                      try it, with nothing installed
  crmsync check                    say what is wrong with the configuration
  crmsync run --config sms.yaml    run the daemon`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.configFile, "config", "crmsync.yaml", "the configuration file")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.runCommand(), a.devCommand(), a.checkCommand(), a.authCommand(), a.connectorsCommand(), a.messagesCommand(), a.backfillCommand(), a.auditCommand(), a.spoolCommand(), a.codecCommand(), a.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

func (a *app) load() (*config.Config, error) {
	c, err := config.Load(a.configFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w\nName another file with --config, or try 'crmsync dev', which needs none", err)
	}
	return c, err
}

// jsonFlag adds --json to a command whose output a program might read.
func (a *app) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, for programs")
	return cmd
}

func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func (a *app) printf(format string, args ...any) { _, _ = fmt.Fprintf(a.stdout, format, args...) }
