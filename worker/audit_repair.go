package worker

import (
	"context"
	"errors"

	"crmsync/internal/audit"
	"crmsync/internal/ingress"
	"crmsync/internal/messages"
	"crmsync/sms"
)

// auditRepair is what became of a repair.
type auditRepair struct {
	messages.Tally
	err error
}

var errIDs = errors.New("of these texts neither the CRM nor Temporal knows one: JustCall's list may call them by other ids " +
	"than its webhooks, so nothing is repaired, since every text would be doubled; where they really are missing, deliver them with 'crmsync backfill'")

// repairAudit delivers what is missing. It answers nil where nothing is to be
// repaired, or not all is known of it.
func (a *app) repairAudit(ctx context.Context, d *desk, f *auditFlags, report audit.Report, failed error) *auditRepair {
	switch {
	case !f.repair || failed != nil || len(report.Lost) == 0:
		return nil
	case report.IDsDiffer():
		return &auditRepair{Tally: messages.Tally{Found: report.Missing, Left: report.Missing, Failed: []messages.Problem{}}, err: errIDs}
	}
	lost, items := map[string]audit.Lost{}, make([]messages.Item, len(report.Lost))
	for i, l := range report.Lost {
		key := l.Events[0].Key()
		lost[key], items[i] = l, messages.Item{Key: key}
	}
	bar := a.progress("repair", len(items))
	tally, err := messages.Each(ctx, items, func(ctx context.Context, item messages.Item) error {
		return d.deliver(ctx, lost[item.Key], f.to, f.reason)
	}, bar.told)
	bar.end()
	return &auditRepair{tally, err}
}

// deliver brings a missing text to a connector, and its status after it. One that
// crmsync never saw goes wherever it is routed.
func (d *desk) deliver(ctx context.Context, lost audit.Lost, to, reason string) error {
	for i, e := range lost.Events {
		known := lost.Known
		if i > 0 {
			fate, err := d.Fate(ctx, e, to)
			if err != nil {
				return err
			}
			known = fate.Known
		}
		err := d.bring(ctx, e, known, to, reason)
		if i > 0 && errors.Is(err, messages.ErrRunning) {
			err = nil // a status waits for its text by itself
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) bring(ctx context.Context, e sms.Event, known bool, to, reason string) error {
	if !known {
		_, err := d.door.Accept(ctx, e, false)
		return err
	}
	_, err := d.Resync(ctx, messages.Item{Key: e.Key()}, []string{to}, reason)
	if errors.Is(err, ingress.ErrUnderWay) {
		return nil // an earlier repair did that
	}
	return err
}
