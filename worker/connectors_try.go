package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// fictional is a number that belongs to nobody: 555-0100 to 555-0199 are kept
// for fiction (https://nationalnanpa.com/number_resource_info/555_numbers.html).
const fictional = "+12025550143"

// rehearsalReport is what a rehearsal has to say.
type rehearsalReport struct {
	Connector string          `json:"connector"`
	Key       string          `json:"key"`
	Steps     []rehearsalStep `json:"steps"`
	Remove    []leftover      `json:"remove"`
}

func (a *app) connectorsTestCommand() *cobra.Command {
	var phone string
	var trace bool
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "test NAME",
		Short: "Write a marked test text to a live CRM, read it back, and say what worked",
		Long: `Test tries a configured connector on its live CRM, without asking: it creates the
contact "` + rehearsalName + `" with a fictional number, puts a text on its timeline, puts it
again (which must not double it), looks for it, moves its status, opts the contact
out and in again, and says how to remove both. What the connector does not offer is
skipped. An earlier test's contact is used again. It needs neither Temporal nor
Redis.

The exit status is 1 if a step failed.`,
		Example: `  crmsync connectors test ourcrm
  crmsync connectors test ourcrm --trace
  crmsync connectors test ourcrm --phone +12025550150 --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			number, err := sms.ParsePhone(phone, "")
			if err != nil || !number.E164() {
				return usageError{errors.New("--phone must be a full number, such as " + fictional)}
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if trace {
				ctx = rest.Watch(ctx, a.printExchange)
			}
			return a.tryConnector(ctx, c, names[0], number)
		},
	})
	cmd.Flags().StringVar(&phone, "phone", fictional, "the test contact's number; texts are logged only, none is sent")
	cmd.Flags().BoolVar(&trace, "trace", false, "print each request and answer to stderr, without headers")
	return cmd
}

// maxTraced is how much of a body is printed, in bytes.
const maxTraced = 4000

func (a *app) printExchange(e rest.Exchange) {
	cut := func(body []byte) string {
		return strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), maxTraced)]), ""))
	}
	_, _ = fmt.Fprintf(a.stderr, "→ %s %s %s\n← %d %s\n", e.Method, e.URL, cut(e.Sent), e.Status, cut(e.Answer))
}

func (a *app) tryConnector(ctx context.Context, c *config.Config, name string, phone sms.Phone) error {
	settings, ok := c.Connectors[name]
	if !ok {
		return fmt.Errorf("%s has no connector %q; it has %s", a.configFile, name, strings.Join(sortedNames(c), ", "))
	}
	signIns := newSignIns(c, hclog.NewNullLogger())
	defer func() { _ = signIns.close() }()
	inst, err := openInstance(settings, a.registry, way{signIns: signIns})
	if err != nil {
		return err
	}
	t := newRehearsal(inst, phone)
	t.run(ctx)
	return a.reportRehearsal(name, t)
}

func sortedNames(c *config.Config) []string {
	names := make([]string, 0, len(c.Connectors))
	for name := range c.Connectors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (a *app) reportRehearsal(name string, t *rehearsal) error {
	var err error
	if t.failed() {
		err = errFindings
	}
	if a.json {
		report := rehearsalReport{Connector: name, Key: t.key, Steps: t.steps, Remove: append([]leftover{}, t.leftovers...)}
		return errors.Join(err, a.printJSON(report))
	}
	for _, s := range t.steps {
		a.printf("%-8s %s: %s\n", s.State, s.Step, s.Text)
	}
	if len(t.leftovers) > 0 {
		a.printf("\nTo remove what was written, delete in the CRM:\n")
	}
	for _, l := range slices.Backward(t.leftovers) {
		a.printf("  %s: %s\n", l.What, describe(l.Ref))
	}
	if err != nil {
		a.printf("\nTo see what was sent and what came back, try again with --trace.\n")
	}
	return err
}
