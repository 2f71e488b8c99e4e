package activities

import (
	"context"

	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// People knows who works with a JustCall account; *[api.Directory] implements it.
// It answers an e-mail address, or "" where nobody can tell: it never fails.
type People interface {
	Agent(ctx context.Context, id string) string
	Line(ctx context.Context, line sms.Phone) string
}

// JustCall is what activities ask of an account's API; *[api.Client] implements
// it. Nothing here sends a text.
type JustCall interface {
	Texts(ctx context.Context, q api.Query, from api.Cursor) (api.Page, error)
	Text(ctx context.Context, id string) (api.Text, error)
	Suppressed(ctx context.Context, from api.Cursor) (phones []sms.Phone, next api.Cursor, err error)
	Webhooks(ctx context.Context) ([]api.Webhook, error)
}
