package worker

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/justcall/api"
)

// justcallAPIs asks the API of each account what it says of us.
func (f *findings) justcallAPIs(ctx context.Context, c *config.Config) {
	apis := openJustCall(c, way{}, hclog.NewNullLogger())
	for _, name := range slices.Sorted(maps.Keys(c.JustCall)) {
		about := "justcall." + name + ".api"
		client, ok := apis[name]
		switch {
		case len(c.AccountConnectors(name)) == 0:
		case !ok:
			f.warn(about, "has no key and secret: nobody finds the texts that a paused webhook did not bring; copy them from JustCall's settings under APIs and Webhooks")
		case f.texts(ctx, about, client.Client):
			f.webhooks(ctx, about, name, c.JustCall[name], client.Client)
		}
	}
}

// texts reports whether the credentials work, by listing the latest texts.
func (f *findings) texts(ctx context.Context, about string, client *api.Client) bool {
	page, err := client.Texts(ctx, api.Query{Since: time.Now().Add(-24 * time.Hour)}, "")
	if err != nil {
		f.fail(about, "%v: %s", err, adviceOf(connectors.AsError("list texts", err).Kind))
		return false
	}
	strange := 0
	for _, t := range page.Texts {
		if t.Err != nil {
			strange++
			err = t.Err
		}
	}
	if strange > 0 {
		f.warn(about, "%d of %d texts cannot be read, such as: %v; they would be quarantined: report the form of their rows", strange, len(page.Texts), err)
		return true
	}
	f.ok(about, "credentials work: what webhooks do not bring is found again")
	return true
}

// adviceOf says what a person can do about a failure.
func adviceOf(k connectors.Kind) string {
	switch k {
	case connectors.Auth, connectors.Forbidden:
		return "copy key and secret anew from JustCall's settings under APIs and Webhooks, and see whether version and auth are those of your account"
	case connectors.NotFound:
		return "see whether base_url and version are those of your account"
	case connectors.RateLimited:
		return "other applications use this account's requests up; try again later"
	case connectors.Unavailable:
		return "see whether base_url can be reached from here; try again later"
	}
	return "see whether base_url and version are those of your account; else the API has changed"
}

// webhooks says how JustCall thinks of our webhook.
func (f *findings) webhooks(ctx context.Context, about, account string, settings config.Account, client *api.Client) {
	all, err := client.Webhooks(ctx)
	if e := connectors.AsError("list webhooks", err); err != nil {
		if e.Kind == connectors.Unsupported {
			f.ok(about, "version v2 does not tell how the webhook does: look into JustCall's settings now and then, or set version: v2.1")
			return
		}
		f.warn(about, "JustCall does not tell how the webhook does: %v", err)
		return
	}
	ours := slices.DeleteFunc(all, func(w api.Webhook) bool { return !settings.Webhook.At(account, w.URL) })
	if len(ours) == 0 {
		f.warn(about, "JustCall posts to no webhook of this account: add %s in its settings under Webhooks (classic ones may be missing from its list)", webhookURL(account, settings.Webhook))
	}
	var events []string
	for _, w := range ours {
		f.webhook(about, w)
		events = append(events, w.Events...)
	}
	if len(ours) > 0 {
		f.subscribed(about, events)
	}
}

func (f *findings) webhook(about string, w api.Webhook) {
	switch w.Status {
	case api.Blacklisted:
		f.fail(about, "JustCall has blacklisted the webhook for %s and posts nothing any more: delete it in its settings and add it again; what is missing is found again", strings.Join(w.Events, ", "))
	case api.Warning:
		f.warn(about, "JustCall warns that the webhook failed lately, and will blacklist it: see whether it can be reached from outside")
	default:
		f.ok(about, "the webhook is active")
	}
}

// subscribed names the events that are not ticked. In either dialect six things
// may happen, which the newer one tells in four.
func (f *findings) subscribed(about string, events []string) {
	has := func(event string) bool { return slices.Contains(events, event) }
	both := has("sms.sent_received")
	if both && (has("sms.sent") || has("sms.received")) {
		f.warn(about, "sms.sent_received repeats what sms.received and sms.sent bring: untick it")
	}
	for event := range strings.SplitSeq(newerEvents, ", ") {
		text := event == "sms.sent" || event == "sms.received"
		if !has(event) && (!both || !text) {
			f.warn(about, "%s is not ticked for the webhook", event)
		}
	}
}
