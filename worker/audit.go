package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/audit"
	"crmsync/internal/budget"
	"crmsync/internal/justcall/api"
	"crmsync/internal/messages"
	"crmsync/sms"
)

// auditPart is what an audit takes of the request limits of the CRM that crmsync
// may spend: what comes in meanwhile has the other half for itself.
const auditPart = 0.5

// auditFlags say what is audited.
type auditFlags struct {
	account, to, since, until, number, reason string
	repair                                    bool
}

func (a *app) auditCommand() *cobra.Command {
	f := &auditFlags{}
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "audit --to CONNECTOR --since TIME",
		Short: "Look every text that JustCall lists up in a CRM, and say what is missing there",
		Long: `Audit lists an account's texts at JustCall, looks each that goes to the connector
up in its CRM, and says how many are there, missing, there several times, or on the
timeline of a contact without the text's number; and which those are. What is still
on its way, parked, or was skipped is told apart.

It changes nothing. With --repair, what is missing is delivered (by the running
daemon): it may be interrupted and repeated. Doubles and texts on a wrong contact
are left alone, since only a person knows which one is right.

The exit status is 0 if all is well, also once what was missing is on its way
(--repair), 1 if not, and 2 where the connector offers no way to look (or the call
is wrong).`,
		Example: `  crmsync audit --to hubspot --since 7d
  crmsync audit --account main --to hubspot --since 2026-11-01 --until 2026-12-01 --json
  crmsync audit --to hubspot --since 30d --number +15125551234
  crmsync audit --to hubspot --since 7d --repair`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.audit(cmd.Context(), f) },
	})
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account", "", "the JustCall account; needed where there are several")
	flags.StringVar(&f.to, "to", "", "the connector (required)")
	flags.StringVar(&f.since, "since", "", "texts since: 90m, 24h, 7d, 2026-12-01 or 2026-12-01T09:00:00Z (required)")
	flags.StringVar(&f.until, "until", "", "texts before, in the same forms; default: now")
	flags.StringVar(&f.number, "number", "", "only those of this contact's number")
	flags.BoolVar(&f.repair, "repair", false, "deliver what is missing")
	flags.StringVar(&f.reason, "reason", "missing in an audit", "with --repair: why; it is recorded, and so is who you are")
	return cmd
}

func (a *app) audit(ctx context.Context, f *auditFlags) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	query, err := f.complete(c, time.Now())
	if err != nil {
		return usageError{err}
	}
	d, err := newDesk(c)
	if err != nil {
		return err
	}
	defer d.close()
	signIns := newSignIns(c, hclog.NewNullLogger())
	defer func() { _ = signIns.close() }()
	w := way{signIns: signIns, budgets: budget.New(d.ledger), part: auditPart}
	inst, err := openInstance(c.Connectors[f.to], a.registry, w)
	if err != nil {
		return err
	}
	check, err := newAudit(ctx, inst)
	if err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	check.Account, check.JustCall, check.Memory = f.account, w.justcall(f.account, c.JustCall[f.account]).Client, d
	check.Routed = func(text sms.Event) bool { return slices.Contains(d.door.Targets(text), f.to) }
	bar := &auditProgress{app: a}
	check.Told = bar.told
	report, err := check.Run(ctx, query)
	bar.end()
	repaired := a.repairAudit(ctx, d, f, report, err)
	return a.reportAudit(report, repaired, err)
}

// newAudit makes an audit of a connector that can be asked for texts.
func newAudit(ctx context.Context, inst *activities.Instance) (*audit.Audit, error) {
	caps, err := inst.Lane().Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	check := &audit.Audit{Connector: inst.Name, Definition: inst.Definition}
	finder, ok := inst.Connector.(connectors.MessageFinder)
	if !ok || !caps.ReadBack {
		return nil, usageError{fmt.Errorf("connector %q offers no way to look texts up, so that nobody can tell which are there", inst.Name)}
	}
	check.Messages = finder
	if people, ok := inst.Connector.(connectors.ContactFinder); ok && caps.Find {
		check.Contacts = people
	}
	check.Render = func(text sms.Event) (string, string) {
		subject, body, _ := inst.Templates.Render(text) // what fails is the default, as in the daemon
		return subject, body
	}
	return check, nil
}

// complete checks the call, fills in what was left out, and answers what is asked
// of JustCall.
func (f *auditFlags) complete(c *config.Config, now time.Time) (q api.Query, err error) {
	if f.to == "" || f.since == "" {
		return q, errors.New("audit needs --to and --since")
	}
	accounts := slices.Sorted(maps.Keys(c.JustCall))
	if f.account == "" && len(accounts) == 1 {
		f.account = accounts[0]
	}
	account, ok := c.JustCall[f.account]
	served := c.AccountConnectors(f.account)
	switch {
	case !ok:
		return q, fmt.Errorf("--account names one of %s", strings.Join(accounts, ", "))
	case !slices.Contains(served, f.to):
		return q, fmt.Errorf("connector %q does not serve account %s: there are %s", f.to, f.account, strings.Join(served, ", "))
	case !account.API.Configured():
		return q, fmt.Errorf("justcall.%s.api has no key and secret, with which JustCall's texts are listed", f.account)
	}
	return f.query(account.Region, now)
}

func (f *auditFlags) query(region string, now time.Time) (q api.Query, err error) {
	if q.Since, err = parseSince("--since", f.since, now); err != nil {
		return q, err
	}
	if f.until != "" {
		if q.Until, err = parseSince("--until", f.until, now); err != nil {
			return q, err
		}
	}
	if f.number != "" {
		if q.Contact, err = sms.ParsePhone(f.number, region); err != nil {
			return q, fmt.Errorf("--number: %w", err)
		}
	}
	if !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return q, errors.New("--until is not after --since")
	}
	return q, nil
}

// auditProgress shows how far the list was read.
type auditProgress struct {
	app *app
	bar *progress
}

func (p *auditProgress) told(listed, total int) {
	if p.bar == nil {
		p.bar = p.app.progress("audit", max(total, listed))
	}
	p.bar.told(messages.Tally{Found: max(total, listed), Done: listed})
}

func (p *auditProgress) end() {
	if p.bar != nil {
		p.bar.end()
	}
}
