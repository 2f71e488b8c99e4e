package ingress

import (
	"context"

	"crmsync/sms"
)

// AdmitText implements activities.Door: it takes in a text that JustCall was
// asked for, as one that did not come live. Where the text goes to no connector
// it answers those of the account and starts nothing.
func (d *Door) AdmitText(ctx context.Context, text sms.Event) (notFor []string, err error) {
	if len(d.targets(text)) == 0 {
		return d.Config.AccountConnectors(text.Account), nil
	}
	_, err = d.Accept(ctx, text, false)
	return nil, err
}
