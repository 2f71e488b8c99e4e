package activities

import (
	"context"
	"net/url"
	"strings"
)

// ReconciledInput is how a run of reconciliation ended.
type ReconciledInput struct {
	Account string `json:"account"`
	Counts
	IDsDiffer bool `json:"ids_differ,omitempty"`
}

// webhookPath stands before the account in the path of its webhook.
const webhookPath = "/webhooks/justcall/"

// Causes of what a run found, for people.
const (
	causeIDs = "webhooks and API call the same text by different ids: nothing was repaired, since all of it would be doubled; " +
		"set reconcile.every to 0, and write to whoever looks after crmsync"
	causeStatuses = "statuses did not come by webhook: are sms.delivered and sms.failed ticked (in the newer webhooks sms.status_updated)?"
	causeUnknown  = "was the webhook paused or blacklisted, or crmsync away? Look at Settings, Webhooks in JustCall"
	causeNone     = "JustCall has no webhook for this account: add it, 'crmsync check' says how"
	causeActive   = "the webhook is active now: it was paused for a while, or crmsync was away"
)

// TellReconciled tells operators how a run ended: metrics count it, and what was
// missing is a warning that names the likely cause, which it answers, too.
func (a *Activities) TellReconciled(ctx context.Context, in ReconciledInput) (cause string, err error) {
	if a.Metrics != nil {
		a.Metrics.Reconciled(in.Account, in.Counts, in.IDsDiffer)
	}
	log := a.Log.With("account", in.Account, "listed", in.Listed, "known", in.Known, "missing", in.Missing,
		"repaired", in.Repaired, "statuses_missing", in.Statuses.Missing, "quarantined", in.Quarantined)
	switch {
	case in.IDsDiffer:
		cause = causeIDs
	case in.Missing > 0:
		cause = a.webhookState(ctx, in.Account)
	case in.Statuses.Missing > 0:
		cause = causeStatuses
	default:
		log.Info("reconciled with JustCall")
		return "", nil
	}
	log.Warn("texts at JustCall were unknown here", "cause", cause)
	return cause, nil
}

// webhookState says how the account's webhook does, where the API tells it.
func (a *Activities) webhookState(ctx context.Context, account string) string {
	client, err := a.justcall(account)
	if err != nil {
		return causeUnknown
	}
	webhooks, err := client.Webhooks(ctx)
	if err != nil {
		return causeUnknown
	}
	for _, webhook := range webhooks {
		if !leadsTo(webhook.URL, account) {
			continue
		}
		if strings.EqualFold(webhook.Status, "active") {
			return causeActive
		}
		return "JustCall says that the webhook is " + strings.ToLower(webhook.Status) +
			": mend what refused it, then delete it there and add it again"
	}
	return causeNone
}

// leadsTo reports whether a webhook's URL is that of an account.
func leadsTo(webhook, account string) bool {
	u, err := url.Parse(webhook)
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(u.Path, webhookPath)
	name, _, _ := strings.Cut(rest, "/")
	return found && name == account
}
