package worker

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"crmsync/internal/devstack"
	"crmsync/internal/skeleton"
)

func (a *app) connectorsNewCommand() *cobra.Command {
	var dir, source string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a connector of your own to begin with",
		Long: `New writes a Go module with a connector for a made-up CRM, a fake of that CRM, the
conformance test, and a build of crmsync with the connector in it. All of it works;
make it your CRM's, step by step, while the test says what is wrong.

NAME becomes the connector's type in a configuration and the name of its package.
The module uses the source of crmsync, which must be on this machine. Nothing is
overwritten.`,
		Example: `  crmsync connectors new ourcrm
  crmsync connectors new ourcrm --dir ~/src/crmsync-ourcrm --source ~/src/crmsync`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, names []string) error { return a.newConnector(names[0], dir, source) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the folder to write (default: NAME)")
	cmd.Flags().StringVar(&source, "source", "", "the folder of crmsync's source (default: the one around this folder)")
	return cmd
}

func (a *app) newConnector(name, dir, source string) error {
	if err := skeleton.CheckName(name); err != nil {
		return usageError{err}
	}
	if _, taken := a.registry.Get(name); taken {
		return usageError{fmt.Errorf("this build has a connector %s already; 'crmsync connectors' lists them", name)}
	}
	if dir == "" {
		dir = name
	}
	here, err := filepath.Abs(source)
	if err != nil {
		return err
	}
	root := devstack.Checkout(here)
	if root == "" {
		return usageError{errors.New("crmsync's source is not around " + here + ": name its folder with --source")}
	}
	if err := skeleton.Write(dir, name, root); err != nil {
		return err
	}
	a.printf(nextSteps, dir, name)
	return nil
}

const nextSteps = `%[1]s holds a connector that works, for a CRM that does not exist. Now:

  1. cd %[1]s && go test ./...             it passes
  2. Find out what makes a repeated write harmless at your CRM; write it down at the
     top of %[2]s/connector.go, and declare that class in Check.
  3. Make %[2]s/fake your CRM: its endpoints, its fields, and what it refuses.
  4. Make %[2]s/api.go and %[2]s/connector.go speak to it, one verb after the other,
     until go test ./... passes again. Leave out what your CRM does not allow.
  5. go run . connectors test NAME       tries an instance of your configuration on
     its live CRM
  6. go build -o crmsync .               is your own daemon: use it as any other

crmsync/connectors is the contract, crmsync/CONTRIBUTING.md says more.
`
