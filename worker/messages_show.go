package worker

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"crmsync/connectors"
	"crmsync/internal/messages"
	"crmsync/sms"
	"crmsync/workflows"
)

func (a *app) messagesShowCommand() *cobra.Command {
	f := &messagesFlags{}
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "show KEY...",
		Short: "Show all that is known of a message",
		Long: `Show the event, and of each delivery: its state, the contact and why it was chosen,
the record in the CRM, how often it was tried, the last error and the next try;
and what persons decided about it. No daemon need be running.

It prints the phone number and the text.`,
		Example: `  crmsync messages show msg_1
  crmsync messages show main/msg_1/sms.received --json
  crmsync messages show --connector hubspot 4711      # by the id of a record`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, keys []string) error {
			f.filter.Keys = keys
			return a.showMessages(cmd, f.filter)
		},
	})
	cmd.Flags().StringVar(&f.filter.Connector, "connector", "", "a KEY may be the id of a record of this connector")
	cmd.Flags().IntVar(&f.filter.Limit, "limit", listLimit, "at most so many, the newest; 0 for all")
	return cmd
}

func (a *app) showMessages(cmd *cobra.Command, f messages.Filter) error {
	d, err := a.openDesk(cmd.Context(), f)
	if err != nil {
		return err
	}
	defer d.close()
	found, err := d.List(cmd.Context(), f)
	if err != nil {
		return err
	}
	details := make([]messages.Detail, 0, len(found.Items))
	for _, item := range found.Items {
		detail, err := d.Show(cmd.Context(), item)
		if err != nil {
			return err
		}
		details = append(details, detail)
	}
	if a.json {
		if err := a.printJSON(details); err != nil {
			return err
		}
	} else {
		for i, detail := range details {
			if i > 0 {
				a.printf("\n")
			}
			if err := printDetail(a.stdout, detail); err != nil {
				return err
			}
		}
	}
	if found.More {
		return errors.Join(fmt.Errorf("there are more than %d: --limit 0 shows all", f.Limit), unknownKeys(found.Unknown))
	}
	return unknownKeys(found.Unknown)
}

// card prints lines of a name and a value, whatever characters come from outside.
type card struct{ *tabwriter.Writer }

func (c card) line(name, format string, values ...any) {
	text := printable(fmt.Sprintf(format, values...))
	if text == "" {
		return
	}
	for i, part := range strings.Split(text, "\n") {
		if i > 0 {
			name = ""
		}
		_, _ = fmt.Fprintf(c, "  %s\t%s\n", name, part)
	}
}

func printDetail(w io.Writer, d messages.Detail) error {
	_, _ = fmt.Fprintln(w, printable(d.Key))
	c := card{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	c.line("state", "%s", d.State)
	c.line("since", "%s", stamp(d.Since))
	if !d.Ended.IsZero() {
		c.line("ended", "%s", stamp(d.Ended))
	}
	switch {
	case d.Event != nil:
		c.event(*d.Event)
	case d.Consent != nil:
		c.line("contact", "%s", d.Consent.Phone)
		c.line("consent", "%s since %s", map[bool]string{true: "opted out", false: "opted in"}[d.Consent.OptedOut], stamp(d.Consent.At))
	case d.Quarantined != nil:
		c.line("reason", "%s", d.Quarantined.Reason)
		c.line("body", "%s", d.Quarantined.Body)
	}
	if d.Resync != nil {
		c.line("resync", "%s", decision(*d.Resync))
	}
	for _, delivery := range d.Deliveries {
		c.delivery(delivery)
	}
	for _, r := range d.Repairs {
		by := r.By
		if by == "" {
			r.By = r.Identity
		}
		c.line(r.Verb, "%s %s", stamp(r.At), decision(r.Repair))
	}
	return c.Flush()
}

func (c card) event(e sms.Event) {
	m := e.Message
	c.line("event", "%s at %s", e.Kind, stamp(e.At))
	c.line("contact", "%s", strings.TrimSpace(string(m.Contact)+" "+m.ContactName))
	c.line("line", "%s", m.Line)
	c.line("agent", "%s", m.Agent.Name)
	c.line("reason", "%s", e.Reason)
	c.line("text", "%s", m.Body)
	for _, media := range m.Media {
		c.line("media", "%s", media.URL)
	}
}

func (c card) delivery(d messages.Delivery) {
	c.line("→ "+d.Connector, "%s", d.State)
	c.line("   contact", "%s", reason(link(d.Contact), d.How))
	c.line("   record", "%s", link(d.Record))
	if d.Attempts > 0 {
		c.line("   attempts", "%d", d.Attempts)
	}
	if d.Error != nil {
		c.line("   error", "%s", reason(d.Error.Kind, d.Error.Message))
	}
	if !d.NextTry.IsZero() {
		c.line("   next try", "%s", stamp(d.NextTry))
	}
	if d.Reason != "" || d.By != "" {
		c.line("   decided", "%s", decision(workflows.Repair{Reason: d.Reason, By: d.By}))
	}
}

// link is where a record is found.
func link(r connectors.Ref) string {
	if r.URL != "" {
		return strings.TrimSpace(r.ID + " " + r.URL)
	}
	return r.ID
}

// reason is a thing and why.
func reason(what, why string) string {
	if what == "" || why == "" {
		return what + why
	}
	return what + ": " + why
}

// decision is what a person decided, and why.
func decision(r workflows.Repair) string {
	parts := []string{}
	for _, part := range []struct{ before, what string }{
		{"for ", r.Connector}, {"contact ", r.Contact}, {"by ", r.By}, {"because: ", r.Reason},
	} {
		if part.what != "" {
			parts = append(parts, part.before+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// printable keeps a terminal from being steered by what strangers wrote.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '�'
	}, s)
}
