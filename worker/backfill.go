package worker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/sms"
	"crmsync/workflows"
)

// backfillFlags say what is backfilled.
type backfillFlags struct {
	account, since, until, line, number, to string
	dryRun, sameIDs, stop                   bool
}

func (a *app) backfillCommand() *cobra.Command {
	f := &backfillFlags{}
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "backfill",
		Short: "Deliver what JustCall lists and crmsync does not know",
		Long: `Backfill lists an account's texts at JustCall, with their statuses, and delivers
those that crmsync does not know, as reconciliation does for the last hours: by
justcall.ACCOUNT.api, at low priority, and at a pace that leaves live texts alone.
The routes and each connector's since hold.

--to adds one connector to texts that went elsewhere long ago: each becomes a
workflow of its own, KEY@CONNECTOR. What is in that CRM already is not doubled where
the CRM knows our keys, or can be searched (see 'crmsync check').

It runs in the daemon. Ctrl-C only ends watching; the same command watches again,
and with --stop it ends the backfill. It may be repeated: what is known by then is
left alone.`,
		Example: `  crmsync backfill --since 2026-01-01 --dry-run
  crmsync backfill --account main --since 2026-01-01 --until 2026-06-30
  crmsync backfill --since 90d --to newcrm`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.backfill(cmd.Context(), f) },
	})
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account", "", "the JustCall account (default: the only one)")
	flags.StringVar(&f.since, "since", "", "texts since then: 24h, 7d, 2026-12-01 or 2026-12-01T09:00:00Z (required)")
	flags.StringVar(&f.until, "until", "", "texts until then, exclusively; as --since (default: now)")
	flags.StringVar(&f.number, "number", "", "only texts with this phone number of a contact")
	flags.StringVar(&f.line, "line", "", "only texts of this number of the company")
	flags.StringVar(&f.to, "to", "", "only to this connector, also what went elsewhere before")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only count: nothing is started")
	flags.BoolVar(&f.sameIDs, "same-ids", false, "do not ask whether webhooks and API call a text by the same id: they do")
	flags.BoolVar(&f.stop, "stop", false, "end the backfill that the same command began")
	return cmd
}

// input is what the flags ask for. What is wrong with them is a wrong call.
func (f *backfillFlags) input(c *config.Config, now time.Time) (in workflows.BackfillInput, err error) {
	in.DryRun, in.SameIDs, in.To = f.dryRun, f.sameIDs, f.to
	if in.Account, err = f.chosen(c); err != nil {
		return in, err
	}
	if f.to != "" && !slices.Contains(c.AccountConnectors(in.Account), f.to) {
		return in, fmt.Errorf("--to %q: account %s has no such connector; it has %s", f.to, in.Account, strings.Join(c.AccountConnectors(in.Account), ", "))
	}
	region := c.JustCall[in.Account].Region
	in.Since, err = parseSince("--since", f.since, now)
	var errs [3]error
	in.Until = now
	if f.until != "" {
		in.Until, errs[0] = parseSince("--until", f.until, now)
	}
	in.Contact, errs[1] = phoneFlag("--number", f.number, region)
	in.Line, errs[2] = phoneFlag("--line", f.line, region)
	if err := errors.Join(append(errs[:], err)...); err != nil {
		return in, err
	}
	if !in.Since.Before(in.Until) {
		return in, errors.New("--until is not after --since")
	}
	in.Since = in.Since.UTC()
	if settled := now.Add(-activities.Young); in.Until.After(settled) {
		in.Until = settled
	}
	in.Until = in.Until.UTC()
	return in, nil
}

// chosen answers the account, which must have an API and a connector.
func (f *backfillFlags) chosen(c *config.Config) (string, error) {
	name := f.account
	if name == "" && len(c.JustCall) == 1 {
		for only := range c.JustCall {
			name = only
		}
	}
	account, ok := c.JustCall[name]
	switch {
	case name == "":
		return "", errors.New("--account is missing: name one of justcall's")
	case !ok:
		return "", fmt.Errorf("--account %q is not under justcall", name)
	case !account.API.Configured():
		return "", fmt.Errorf("justcall.%s.api has no key and secret: JustCall's texts are listed with them", name)
	case len(c.AccountConnectors(name)) == 0:
		return "", fmt.Errorf("no connector gets the texts of account %s", name)
	}
	return name, nil
}

func phoneFlag(flag, number, region string) (sms.Phone, error) {
	if number == "" {
		return "", nil
	}
	phone, err := sms.ParsePhone(number, region)
	if err != nil {
		return "", fmt.Errorf("%s: this is no phone number: write it with + and the country code", flag)
	}
	return phone, nil
}

// id is that of the workflow: the same call has the same one, and joins it while it
// runs. It holds no number.
func (f *backfillFlags) id(in workflows.BackfillInput, hasher sms.Hasher) string {
	parts := []string{f.since, f.until, f.to, fmt.Sprint(f.dryRun)}
	for _, phone := range []sms.Phone{in.Contact, in.Line} {
		if phone == "" {
			parts = append(parts, "")
			continue
		}
		parts = append(parts, hasher.Phone(phone))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return activities.BackfillID(in.Account, hex.EncodeToString(sum[:12]))
}

func (a *app) backfill(ctx context.Context, f *backfillFlags) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	in, err := f.input(c, time.Now())
	if err != nil {
		return usageError{err}
	}
	temporal, _, err := dialTemporal(ctx, c)
	if err != nil {
		return err
	}
	defer temporal.Close()
	id := f.id(in, sms.NewHasher(c.Privacy.HashKey()))
	if f.stop {
		if err := temporal.CancelWorkflow(ctx, id, ""); err != nil {
			return fmt.Errorf("stop backfill %s: %w", id, err)
		}
		a.printf("%s ends. What it has started is still delivered.\n", id)
		return nil
	}
	run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: activities.Queue(c.Name), StaticSummary: "backfill of " + in.Account,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		Priority:                 workflows.PriorityOf(in.Account, sms.Received, false),
	}, activities.Backfill, in)
	if err != nil {
		return fmt.Errorf("start the backfill: %w", err)
	}
	return a.watchBackfill(ctx, watched{temporal: temporal, run: run, begun: time.Now()})
}

// watched is a backfill that is being watched.
type watched struct {
	temporal client.Client
	run      client.WorkflowRun
	begun    time.Time
	already  int // listed when watching began
}

const (
	// backfillEvery is how often a running backfill is asked how far it is.
	backfillEvery = time.Second
	// backfillSilence is how long it may not answer before that is said.
	backfillSilence = 15 * time.Second
)

// watchBackfill shows how far it is until it has ended. Ctrl-C leaves it running.
func (a *app) watchBackfill(ctx context.Context, w watched) error {
	ended := make(chan error, 1)
	var result workflows.Walked
	go func() { ended <- w.run.Get(ctx, &result) }()
	bar := a.progress("backfill", -1)
	defer bar.end()
	heard, first := time.Now(), true
	for {
		select {
		case err := <-ended:
			bar.end()
			if ctx.Err() != nil {
				return a.leaveBackfill(w.run.GetID())
			}
			if err != nil {
				return fmt.Errorf("backfill %s: %w", w.run.GetID(), err)
			}
			return a.reportBackfill(result)
		case <-time.After(backfillEvery):
		}
		now, err := w.progress(ctx)
		switch {
		case err == nil && first:
			w.already, first = now.Listed, false
			fallthrough
		case err == nil:
			heard = time.Now()
			w.show(bar, now)
		case time.Since(heard) > backfillSilence:
			heard = time.Now()
			_, _ = fmt.Fprintln(a.stderr, "backfill: no worker answers; is 'crmsync run' running?")
		}
	}
}

func (w watched) progress(ctx context.Context) (now workflows.Walked, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	value, err := w.temporal.QueryWorkflow(ctx, w.run.GetID(), "", workflows.QueryProgress)
	if err != nil {
		return now, err
	}
	return now, value.Get(&now)
}

// show says what is listed, new and started, how fast, and how long it takes yet.
func (w watched) show(bar *progress, now workflows.Walked) {
	rate := float64(now.Listed-w.already) / max(time.Since(w.begun).Seconds(), 1)
	text := fmt.Sprintf("new %d, started %d, %.0f/s", now.Missing, now.Repaired, rate)
	total := ""
	if now.Total > now.Listed {
		total = fmt.Sprintf(" of about %d", now.Total)
		if rate > 0 {
			left := time.Duration(float64(now.Total-now.Listed) / rate * float64(time.Second))
			text += ", about " + left.Round(time.Second).String() + " left"
		}
	}
	if bar.bar != nil && total != "" {
		bar.bar.ChangeMax(now.Total)
	}
	bar.at(now.Listed, "backfill: "+text, fmt.Sprintf("listed %d%s, %s", now.Listed, total, text))
}

func (a *app) leaveBackfill(id string) error {
	_, _ = fmt.Fprintf(a.stderr, "\nThe backfill goes on (workflow %s). The same command watches it again, and with --stop ends it.\n", id)
	return nil
}

func (a *app) reportBackfill(result workflows.Walked) error {
	if a.json {
		if err := a.printJSON(result); err != nil {
			return err
		}
	} else {
		a.printBackfill(result)
	}
	if result.IDsDiffer {
		return errFindings
	}
	return nil
}

func (a *app) printBackfill(r workflows.Walked) {
	if r.IDsDiffer {
		a.printf("Nothing was started: the API knows none of the texts that webhooks brought lately, so that it\n" +
			"calls them by other ids, and all of them would be doubled. Where those were only tests, say --same-ids.\n")
	}
	a.printf("%-9s %8s %8s %8s %8s %8s %12s\n", "", "LISTED", "KNOWN", "NEW", "STARTED", "SKIPPED", "QUARANTINED")
	for _, line := range []struct {
		what string
		t    activities.Tally
	}{{"texts", r.Tally}, {"statuses", r.Statuses}} {
		a.printf("%-9s %8d %8d %8d %8d %8d %12d\n", line.what, line.t.Listed, line.t.Known, line.t.Missing, line.t.Repaired, line.t.Skipped, line.t.Quarantined)
	}
	if cmp.Or(r.Repaired, r.Statuses.Repaired) > 0 {
		a.printf("What was started is delivered meanwhile: 'crmsync messages list --waiting' shows what is not yet.\n")
	}
}
