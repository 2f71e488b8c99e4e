package activities

import (
	"context"

	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// JustCall is what activities ask of an account's API; *[api.Client] implements
// it. Nothing here sends a text.
type JustCall interface {
	Texts(ctx context.Context, q api.Query, from api.Cursor) (api.Page, error)
	Text(ctx context.Context, id string) (api.Text, error)
	Suppressed(ctx context.Context, from api.Cursor) (phones []sms.Phone, next api.Cursor, err error)
	Webhooks(ctx context.Context) ([]api.Webhook, error)
}
