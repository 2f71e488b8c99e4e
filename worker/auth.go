package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/oauth"
)

// visitTimeout is how long a person may take to sign in.
const visitTimeout = 10 * time.Minute

// authFlags are those of auth.
type authFlags struct {
	manual, noBrowser, signOut bool
}

// authReport is how a sign-in ended.
type authReport struct {
	oauth.Status
	Kept  string           `json:"kept,omitempty"` // where the grant is: redis, or a file
	Class connectors.Class `json:"class"`          // as the CRM answered
}

func (a *app) authCommand() *cobra.Command {
	var flags authFlags
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "auth [CONNECTOR]",
		Short: "Sign in to a CRM with OAuth, or show the sign-ins",
		Long: `Auth signs a connector in whose configuration has oauth: it opens the CRM's page
in a browser (or prints its address), takes the answer at oauth.redirect on this
machine, checks what was granted, keeps the grant where all processes find it, and
makes a call to see that it works. A running daemon takes it up by itself within
15 seconds.

On a machine without a browser use --manual: open the printed address anywhere,
sign in, and paste the address that the browser ends at, though it shows an error.

Without a connector it lists the sign-ins: since when, until when, and what is
wrong. It never shows a token.`,
		Example: `  crmsync auth                      show the sign-ins
  crmsync auth hubspot              sign in
  crmsync auth hubspot --manual     on a server, with a browser elsewhere
  crmsync auth hubspot --sign-out   forget the grant, and revoke it at the CRM`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 && flags != (authFlags{}) {
				return usageError{errors.New("name the connector to sign in to")}
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			desk := &authDesk{app: a, config: c, signIns: newSignIns(c, hclog.NewNullLogger()), flags: flags, stdin: cmd.InOrStdin()}
			defer func() { _ = desk.signIns.close() }()
			if len(names) == 0 {
				return desk.list(cmd.Context())
			}
			return desk.one(cmd.Context(), names[0])
		},
	})
	cmd.Flags().BoolVar(&flags.manual, "manual", false, "take the answer as a pasted address, not on this machine")
	cmd.Flags().BoolVar(&flags.noBrowser, "no-browser", false, "print the address and open no browser")
	cmd.Flags().BoolVar(&flags.signOut, "sign-out", false, "forget the grant, and revoke it at the CRM where that can be")
	return cmd
}

// authDesk is one run of auth.
type authDesk struct {
	*app
	config  *config.Config
	signIns *signIns
	flags   authFlags
	stdin   io.Reader
}

func (d *authDesk) list(ctx context.Context) error {
	statuses := []oauth.Status{}
	for _, name := range sortedNames(d.config) {
		source, err := d.source(name)
		if err != nil {
			return err
		}
		if source == nil {
			continue
		}
		status, err := source.Status(ctx)
		if err != nil {
			status.Problem = err.Error()
		}
		statuses = append(statuses, status)
	}
	if d.json {
		return d.printJSON(statuses)
	}
	table := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONNECTOR\tFLOW\tSIGNED IN\tRENEWED\tTOKEN UNTIL\tPROBLEM")
	for _, s := range statuses {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			s.Connector, s.Flow, stampOrNone(s.SignedIn), stampOrNone(s.Renewed), stampOrNone(s.Expires), s.Problem)
	}
	return table.Flush()
}

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// source makes the sign-in of a connector; nil where it has none.
func (d *authDesk) source(name string) (*oauth.Source, error) {
	settings := d.config.Connectors[name]
	definition, ok := d.registry.Get(settings.Type)
	if !ok {
		return nil, settings.Errorf("type", "this build has no connector %q; see 'crmsync connectors'", settings.Type)
	}
	return d.signIns.open(settings, definition, newHTTPClient().Transport)
}

func (d *authDesk) one(ctx context.Context, name string) error {
	settings, ok := d.config.Connectors[name]
	if !ok {
		return fmt.Errorf("%s has no connector %q; it has %s", d.configFile, name, strings.Join(sortedNames(d.config), ", "))
	}
	if settings.OAuth == nil {
		return settings.Errorf("", "has no oauth: it signs in with what else is configured, and needs no 'crmsync auth'")
	}
	source, err := d.source(name)
	if err != nil {
		return err
	}
	if d.flags.signOut {
		return d.signOut(ctx, source)
	}
	if source.Settings.Shared() {
		if err := d.visit(ctx, source); err != nil {
			return err
		}
	}
	return d.prove(ctx, source, settings)
}

// visit has a person sign in. What is said meanwhile goes to stderr, so that
// --json prints JSON alone.
func (d *authDesk) visit(ctx context.Context, source *oauth.Source) error {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	visit := source.Visit()
	var redirected url.Values
	var err error
	if d.flags.manual || !source.Settings.Local() {
		redirected, err = d.paste(ctx, visit)
	} else {
		redirected, err = d.await(ctx, visit)
	}
	if err != nil {
		return err
	}
	_, err = visit.Finish(ctx, redirected)
	return err
}

// await waits for the browser to come back to this machine.
func (d *authDesk) await(ctx context.Context, visit *oauth.Visit) (url.Values, error) {
	callback, err := visit.Listen()
	if err != nil {
		return nil, fmt.Errorf("oauth.redirect: %w; choose another port there and at the CRM, or use --manual", err)
	}
	defer callback.Close()
	d.sayf("Sign in to the CRM at this address, on this machine:\n\n  %s\n\nWaiting for the answer. Ctrl-C gives up.\n", visit.URL())
	if !d.flags.noBrowser {
		openBrowser(ctx, visit.URL())
	}
	redirected, err := callback.Wait(ctx)
	if err != nil {
		return nil, errors.New("nobody has signed in; on a machine without a browser use --manual")
	}
	return redirected, nil
}

// paste reads the address that the browser ended at.
func (d *authDesk) paste(ctx context.Context, visit *oauth.Visit) (url.Values, error) {
	d.sayf("Sign in to the CRM at this address, in any browser:\n\n  %s\n\n"+
		"It ends at a page that may not load. Paste its address here: ", visit.URL())
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(d.stdin).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		u, err := url.Parse(text)
		if err != nil || u.RawQuery == "" {
			return nil, errors.New("that is not an address with an answer in it: it has a ? and a code")
		}
		return u.Query(), nil
	case <-ctx.Done():
		return nil, errors.New("nobody has signed in")
	}
}

// prove makes a call with the grant.
func (d *authDesk) prove(ctx context.Context, source *oauth.Source, settings *config.Connector) error {
	instance, err := openInstance(settings, d.registry, way{signIns: d.signIns})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	caps, err := instance.Connector.Check(ctx)
	if err != nil {
		return fmt.Errorf("signed in, but the CRM does not work with it: %w", err)
	}
	report := authReport{Class: caps.Class}
	if report.Status, err = source.Status(ctx); err != nil {
		return err
	}
	if source.Settings.Shared() {
		report.Kept = d.signIns.where()
	}
	if d.json {
		return d.printJSON(report)
	}
	d.printf("%s", report.text())
	if risk := d.signIns.risk(ctx); risk != "" {
		d.sayf("Redis keeps the sign-in, and %s\n", risk)
	}
	return nil
}

func (r authReport) text() string {
	if r.Kept == "" {
		return fmt.Sprintf("%s needs nobody to sign in (%s), and its credentials work.\n", r.Connector, r.Flow)
	}
	text := fmt.Sprintf("%s is signed in, and it works. The grant is kept in %s.\n", r.Connector, r.Kept)
	if !r.Renewable {
		text += "The CRM gave nothing to renew it with: once the token ends, sign in again.\n"
	}
	if len(r.Scopes) > 0 {
		text += "Granted: " + strings.Join(r.Scopes, ", ") + "\n"
	}
	return text
}

func (d *authDesk) signOut(ctx context.Context, source *oauth.Source) error {
	if !source.Settings.Shared() {
		return fmt.Errorf("%s keeps no grant: its flow is %s", source.Connector, source.Settings.Flow)
	}
	revoked, err := source.SignOut(ctx)
	if err != nil {
		return err
	}
	if d.json {
		return d.printJSON(map[string]any{"connector": source.Connector, "signed_out": true, "revoked": revoked})
	}
	d.printf("%s is signed out.\n", source.Connector)
	if !revoked {
		d.printf("Remove the application's access in the CRM's own settings, too: it cannot be revoked from here.\n")
	}
	return nil
}

func (d *authDesk) sayf(format string, args ...any) { _, _ = fmt.Fprintf(d.stderr, format, args...) }

// openBrowser tries to open a page; the address is printed in any case.
func openBrowser(ctx context.Context, page string) {
	if os.Getenv("SSH_CONNECTION") != "" {
		return
	}
	name, arguments := "xdg-open", []string{page}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, arguments = "rundll32", []string{"url.dll,FileProtocolHandler", page}
	}
	if cmd := exec.CommandContext(context.WithoutCancel(ctx), name, arguments...); cmd.Start() == nil { //nolint:gosec // G204: the address is that of the configured CRM
		go func() { _ = cmd.Wait() }()
	}
}
