package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/connectors/all"
	"crmsync/connectors/sandbox"
	"crmsync/internal/devstack"
)

// The addresses that dev prefers; where one is taken it uses a free one.
const (
	devListen   = "127.0.0.1:8080"
	devAdmin    = "127.0.0.1:9090"
	devCRM      = "127.0.0.1:8090"
	devTemporal = "127.0.0.1:7233"
	devUI       = "127.0.0.1:8233"
	devRedis    = "127.0.0.1:6379"
)

func (a *app) devCommand() *cobra.Command {
	var data, level, crm string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try crmsync: everything it needs, on this machine",
		Long: `Start a Temporal server with its UI, Redis, a sandbox CRM with a page, and the
daemon, and say where everything is. It needs no configuration, and uses free
ports where the usual ones are taken. Ctrl-C stops all of it; what it kept is
there again at the next start.

With --crm a vendor's connector is tried in place of the sandbox, without an account
there: against a fake of the vendor's API, strict as the vendor, with a page that
shows what has been written. A fake lives in memory only, and with it everything
else of such a trial: each begins with nothing and leaves nothing.`,
		Example: `  crmsync dev
  crmsync dev --data ./trial --log debug
  crmsync dev --crm hubspot`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			vendor, err := tryable(crm)
			if err != nil {
				return usageError{err}
			}
			if vendor != nil && data != "" {
				return usageError{errors.New("--data is for the sandbox: with --crm " + crm + " nothing is kept")}
			}
			return a.dev(cmd.Context(), vendor, data, level)
		},
	}
	cmd.Flags().StringVar(&crm, "crm", sandbox.Name, "the CRM to try: "+strings.Join(tryables(), ", "))
	cmd.Flags().StringVar(&data, "data", "", "the folder for the data (default: in the user's cache folder)")
	cmd.Flags().StringVar(&level, "log", "info", "log level: debug, info, warn, error")
	return cmd
}

// trial is a running dev: what the daemon needs, on this machine.
type trial struct {
	temporal *devstack.Temporal
	redis    *devstack.Redis
	crm      *trialCRM
	page     *http.Server
	pageURL  string
	config   *config.Config
}

// dev tries a vendor; nil is the sandbox.
func (a *app) dev(ctx context.Context, vendor *all.Fake, data, level string) error {
	data, remove, err := trialFolder(vendor, data)
	if err != nil {
		return err
	}
	defer remove()
	kept := data
	if vendor != nil {
		kept = "nothing is kept"
	}
	t := &trial{}
	defer t.stop(a.stderr)
	if err := t.start(ctx, vendor, data, level, a.stderr); err != nil {
		return err
	}
	if vendor != nil {
		if err := a.provisionTrial(ctx, t.config); err != nil {
			return err
		}
	}
	d, err := newDaemon(t.config, whole(t.config), a.registry, newLogger(t.config.Log, a.stderr))
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-d.up:
			a.printf("%s", t.welcome(kept))
		case <-ctx.Done():
		}
	}()
	return d.run(ctx)
}

// trialFolder makes the folder for the data. That of a fake, which keeps nothing,
// is to be removed: ids in it would be of other records the next time.
func trialFolder(vendor *all.Fake, data string) (folder string, remove func(), err error) {
	if vendor == nil {
		folder, err = dataFolder(data)
		return folder, func() {}, err
	}
	if folder, err = os.MkdirTemp("", "crmsync-dev-"); err != nil {
		return "", nil, fmt.Errorf("make the data folder: %w", err)
	}
	return folder, func() { _ = os.RemoveAll(folder) }, nil
}

// dataFolder makes the folder that a trial keeps its data in.
func dataFolder(data string) (string, error) {
	if data == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder: %w; name a folder with --data", err)
		}
		data = filepath.Join(cache, "crmsync", "dev")
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	return filepath.Abs(data)
}

func (t *trial) start(ctx context.Context, vendor *all.Fake, data, level string, progress io.Writer) (err error) {
	if t.crm, err = openTrialCRM(vendor, data); err != nil {
		return err
	}
	t.temporal, err = devstack.StartTemporal(ctx, devstack.TemporalOptions{
		DataFile: filepath.Join(data, "temporal.db"), Address: devTemporal, UIAddress: devUI, Progress: progress,
	})
	if err != nil {
		return fmt.Errorf("start Temporal: %w", err)
	}
	t.redis, err = devstack.StartRedis(ctx, devstack.RedisOptions{
		Dir: filepath.Join(data, "redis"), Address: devRedis, AOF: true, Progress: progress,
	})
	if err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	address, err := devstack.ChooseAddress("The CRM", devCRM, progress)
	if err != nil {
		return err
	}
	// Without a time limit, since the page follows changes on an open stream.
	if t.page, err = listen(address, t.crm.handler, 0); err != nil {
		return fmt.Errorf("serve the CRM: %w", err)
	}
	t.pageURL = "http://" + address
	return t.configure(level, progress)
}

func (t *trial) configure(level string, progress io.Writer) error {
	listen, err := devstack.ChooseAddress("The webhook", devListen, progress)
	if err != nil {
		return err
	}
	admin, err := devstack.ChooseAddress("The admin page", devAdmin, progress)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(devConfig, t.temporal.Address, t.redis.URL, listen, admin, level)
	t.config, err = config.Parse("dev", []byte(text+t.crm.settings(t.pageURL)), config.Lookup{})
	return err
}

const devConfig = `
temporal: { address: %q, namespace: default }
redis: { url: %q }
server: { listen: %q, admin: %q }
log: { level: %q }
justcall:
  main: { region: US, insecure: true }
connectors:
`

// stop stops what was started, the last first.
func (t *trial) stop(w io.Writer) {
	var errs []error
	if t.crm != nil {
		errs = append(errs, t.crm.close()) // ends the pages' streams
	}
	if t.page != nil {
		shutdown(t.page)
	}
	if t.redis != nil {
		errs = append(errs, t.redis.Stop())
	}
	if t.temporal != nil {
		errs = append(errs, t.temporal.Stop())
	}
	if err := errors.Join(errs...); err != nil {
		_, _ = fmt.Fprintln(w, "crmsync:", err)
	}
}

func (t *trial) welcome(kept string) string {
	url := "http://" + t.config.Server.Listen + "/webhooks/justcall/main"
	lines := []string{
		"",
		"crmsync is ready. Post a text:",
		"",
		"  curl -X POST " + url + " -d '" + sampleText + "'",
		"",
		"and look at it:",
		"",
		"  the contact's timeline   " + t.pageURL,
		"  the workflow             " + t.temporal.UI + "/namespaces/default/workflows",
		"  readiness, in detail     http://" + t.config.Server.Admin + "/readyz",
		"",
		"Temporal: " + t.temporal.How + ", at " + t.temporal.Address,
		"Redis:    " + t.redis.How + ", at " + t.redis.Address,
		"CRM:      " + t.crm.what,
		"Data:     " + kept,
		"",
		"Change message_id for another text; sms.delivered and sms.failed with the id of",
		"an sms.sent move its status; sms.optout and sms.optin set the contact's consent.",
		"Ctrl-C stops everything.",
		"",
		"",
	}
	return strings.Join(lines, "\n")
}

// sampleText is a webhook that a shell takes between single quotes.
const sampleText = `{"event":"sms.received","timestamp":"2026-03-12T14:30:00Z","data":{` +
	`"message_id":"msg_abc123","direction":"inbound","from":"+15125551234","to":"+15125550100",` +
	`"body":"Hi, I would like to schedule an appointment","media_urls":[],` +
	`"justcall_number":"+15125550100","contact_name":"Sarah Chen","agent_id":null}}`
