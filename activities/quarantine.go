package activities

import (
	"context"

	"crmsync/sms"
)

// Quarantined is an authentic body that could not be decoded.
type Quarantined struct {
	Account string `json:"account"`
	Reason  string `json:"reason"`
	// Body is at most 256 KiB of what came; Size is what it was.
	Body []byte `json:"body"`
	Size int    `json:"size"`
}

// Admitted is what became of a body.
type Admitted struct {
	Result string `json:"result"`
	Key    string `json:"key,omitempty"`
}

// Door takes in what does not come by webhook. It answers an error only where
// trying again may help.
type Door interface {
	// Admit takes a body in as the webhook does, after its authentication; what
	// it still cannot decode comes back as a Refusal.
	Admit(ctx context.Context, account string, body []byte) (Admitted, *Refusal, error)
	// AdmitText takes in a text that JustCall was asked for. Where it goes to no
	// connector they are answered, all of the account, and nothing is started.
	AdmitText(ctx context.Context, text sms.Event) (notFor []string, err error)
	// Suppress is told that a number stands on JustCall's do-not-message list as
	// of an instant, and answers how it stood here. It tells the number's
	// workflow, unless that says opted out already.
	Suppress(ctx context.Context, account string, listed sms.Consent) (Standing, error)
	// OptedOut answers how many numbers of the account are opted out here.
	OptedOut(ctx context.Context, account string) (int, error)
	// Targets are the connectors that a text is for, by the routes and `since`.
	Targets(text sms.Event) []string
	// Offer starts what a walk found missing, unless it was started meanwhile.
	Offer(ctx context.Context, account string, o Offer) error
}

// Readmit decodes a quarantined body once more, as after an upgrade.
func (a *Activities) Readmit(ctx context.Context, q Quarantined) (Admitted, error) {
	admitted, refused, err := a.Door.Admit(ctx, q.Account, q.Body)
	if refused != nil {
		return Admitted{}, park(refused.Kind, refused.Message)
	}
	return admitted, err
}
