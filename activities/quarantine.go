package activities

import "context"

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

// Door takes a body in as the webhook does, after its authentication. It
// answers an error only where trying again may help; what it still cannot
// decode comes back as a Refusal.
type Door interface {
	Admit(ctx context.Context, account string, body []byte) (Admitted, *Refusal, error)
}

// Readmit decodes a quarantined body once more, as after an upgrade.
func (a *Activities) Readmit(ctx context.Context, q Quarantined) (Admitted, error) {
	admitted, refused, err := a.Door.Admit(ctx, q.Account, q.Body)
	if refused != nil {
		return Admitted{}, park(refused.Kind, refused.Message)
	}
	return admitted, err
}
