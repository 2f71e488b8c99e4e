package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
	"crmsync/internal/messages"
	"crmsync/sms"
	"crmsync/workflows"
)

// messagesFlags are those of all commands that find messages.
type messagesFlags struct {
	filter messages.Filter
	since  string
}

func (a *app) messagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "messages",
		Short: "Find, show and repair messages",
		Long: `Messages finds events, shows what became of them, and repairs those that wait for
a person.

A KEY is an event (main/msg_1/sms.received), a text with all its events
(main/msg_1, or msg_1), a phone number with + (+15125551234), or with --connector
the id of a record in that CRM. Numbers are hashed before they are looked for.

What a CRM refuses for good is parked: it stays until somebody retries, skips or
links it. A repair that finds nothing parked any more does nothing, so every
command may be interrupted and repeated.`,
		Example: `  crmsync messages list --parked
  crmsync messages show msg_1
  crmsync messages retry msg_1 --reason "field made optional"
  crmsync messages retry --connector hubspot --error INVALID --since 24h --dry-run`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.messagesListCommand(), a.messagesShowCommand(),
		a.messagesRetryCommand(), a.messagesSkipCommand(), a.messagesLinkCommand(), a.messagesResyncCommand())
	return cmd
}

// filterFlags adds the flags that say which messages are meant.
func (f *messagesFlags) filterFlags(cmd *cobra.Command, limit int) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.State, "state", "", "only in this state: "+strings.Join(messages.States, ", "))
	flags.StringVar(&f.filter.Connector, "connector", "", "only with a delivery to this connector, and that one only")
	flags.StringVar(&f.filter.Error, "error", "", "only parked with this kind of error, such as INVALID")
	flags.StringVar(&f.filter.Kind, "kind", "", "only of this kind: text, status, received, sent, delivered, failed, consent, quarantine")
	flags.StringVar(&f.filter.Account, "account", "", "only of this JustCall account")
	flags.StringVar(&f.since, "since", "", "only what came in since: 90m, 24h, 7d, 2026-12-01 or 2026-12-01T09:00:00Z")
	flags.StringVar(&f.filter.Number, "number", "", "only of this phone number")
	flags.IntVar(&f.filter.Limit, "limit", limit, "at most so many, the newest; 0 for all")
}

// take completes the filter from the flags.
func (f *messagesFlags) take(keys []string) error {
	f.filter.Keys = keys
	if f.filter.Limit < 0 {
		return usageError{errors.New("--limit is negative")}
	}
	if f.since == "" {
		return nil
	}
	since, err := parseSince("--since", f.since, time.Now())
	if err != nil {
		return usageError{err}
	}
	f.filter.Since = since
	return nil
}

// parseSince reads an instant, a day (UTC), or how long ago.
func parseSince(flag, text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%s %q: give 90m, 24h, 7d, 2026-12-01 or 2026-12-01T09:00:00Z", flag, text)
}

// desk is an open connection to everything that repairs need.
type desk struct {
	*messages.Messages
	door   *ingress.Door
	ledger *ledger.Ledger
	close  func()
}

// openDesk connects to Temporal, and to Redis where it is there. A filter that
// makes no sense is a wrong call, found before.
func (a *app) openDesk(ctx context.Context, f messages.Filter, to ...string) (*desk, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	d, err := newDesk(c)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.Check(f), d.CheckTo(to)); err != nil {
		d.close()
		return nil, usageError{err}
	}
	for _, strange := range d.Strange(f) {
		_, _ = fmt.Fprintln(a.stderr, strange)
	}
	if err := d.open(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// open finds out whether Temporal is there, and which one.
func (d *desk) open(ctx context.Context) error {
	c := d.Config.Temporal
	described, err := namespace(ctx, d.Temporal, c.Namespace)
	if err != nil {
		return fmt.Errorf("temporal cannot be reached at %s: %w; is it running, and is temporal.address right?", c.Address, err)
	}
	d.ledger.Bind(described.GetNamespaceInfo().GetId())
	return nil
}

// newDesk wires everything together, without any I/O.
func newDesk(c *config.Config) (*desk, error) {
	ring, err := ringOf(c)
	if err != nil {
		return nil, err
	}
	log := hclog.NewNullLogger() // what goes wrong is in the errors
	who := operator()
	temporal, err := newTemporalClientAs(who, c.Temporal, ring, log, nil)
	if err != nil {
		return nil, err
	}
	memory, err := ledger.Open(ledger.Options{URL: c.Redis.URL.Reveal(), Mode: string(c.Redis.Mode), Name: c.Name, Ring: ring, Log: log})
	if err != nil {
		temporal.Close()
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	hasher, attributes := sms.NewHasher(c.Privacy.HashKey()), workflows.AttributesOf(c.Name)
	door := ingress.NewDoor(ingress.Door{Config: c, Temporal: temporal, Ledger: memory, Hasher: hasher, Attributes: attributes, Log: log})
	m := &messages.Messages{
		Config: c, Temporal: temporal, Attributes: attributes, Hasher: hasher, By: who, Door: door,
		Linker: &activities.Activities{Deployment: c.Name, Temporal: temporal, Ledger: memory, Hasher: hasher, Log: log},
	}
	m.Data, m.Failures = ring.Converters()
	return &desk{Messages: m, door: door, ledger: memory, close: func() { temporal.Close(); _ = memory.Close() }}, nil
}

// operator is who is at the keyboard, for the record.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "unknown"
}
