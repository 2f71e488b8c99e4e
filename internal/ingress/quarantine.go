package ingress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"go.temporal.io/sdk/temporal"

	"crmsync/activities"
	"crmsync/internal/justcall"
	"crmsync/sms"
	"crmsync/workflows"
)

// Quarantine keeps an authentic body that could not be decoded.
func (d *Door) Quarantine(ctx context.Context, account, reason string, body []byte) (Answer, error) {
	sum := sha256.Sum256(body)
	p := parcel{At: time.Now().UTC(), ID: activities.QuarantineID(account, hex.EncodeToString(sum[:])), Body: &activities.Quarantined{
		Account: account, Reason: reason, Body: body[:min(len(body), MaxQuarantined)], Size: len(body),
	}}
	if _, err := d.keep(ctx, p); err != nil {
		return Answer{}, err
	}
	return Answer{Result: Quarantined, Key: p.ID, Reason: reason}, nil
}

func (d *Door) startQuarantine(ctx context.Context, p parcel) (string, error) {
	in := workflows.QuarantineInput{Quarantined: *p.Body}
	options := d.options(sms.Event{Account: p.Body.Account, Kind: activities.Quarantine}, p.ID)
	options.StaticSummary = "quarantined: " + p.Body.Reason
	err := withoutAttributes(&options, &in.Plain, func() error {
		_, err := d.Temporal.ExecuteWorkflow(ctx, options, activities.Quarantine, in)
		return err
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return Duplicate, nil
	}
	return Quarantined, notTaken(err)
}

// Admit implements activities.Door.
func (d *Door) Admit(ctx context.Context, account string, body []byte) (activities.Admitted, *activities.Refusal, error) {
	decoded, err := justcall.Decode(body, d.input(account))
	if err != nil {
		//nolint:nilerr // a refusal is an answer: trying again at once would not help
		return activities.Admitted{}, &activities.Refusal{Kind: "QUARANTINED", Message: err.Error()}, nil
	}
	answer, err := d.take(ctx, decoded, false)
	return activities.Admitted{Result: answer.Result, Key: answer.Key}, nil, err
}

// take acts on what a body turned out to be.
func (d *Door) take(ctx context.Context, decoded justcall.Decoded, live bool) (Answer, error) {
	switch {
	case decoded.Outcome == justcall.IsPing:
		return Answer{Result: Ping}, nil
	case decoded.Outcome == justcall.IsIgnored:
		return Answer{Result: Ignored, Reason: string(decoded.Reason)}, nil
	}
	return d.Accept(ctx, decoded.Event, live)
}

func (d *Door) input(account string) justcall.Input {
	return justcall.Input{Account: account, Region: d.Config.JustCall[account].Region}
}
