package activities

import (
	"context"

	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// Fetched is what became of a text that JustCall was asked for. The zero value
// says that it was taken in, and is under way like any other.
type Fetched struct {
	// NotFor are the account's connectors where the text goes to none of them,
	// being older than their since, or by the routes. Then it is not taken in.
	NotFor []string `json:"not_for,omitempty"`
	// Refused is why a person has to decide.
	Refused *Refusal `json:"refused,omitempty"`
}

// FetchText asks JustCall for the text that a status belongs to, and takes it in
// by the door, with the key that its webhook would have had. It costs one request
// of JustCall's API. It fails, to be tried again, while JustCall does not answer.
func (a *Activities) FetchText(ctx context.Context, status sms.Event) (Fetched, error) {
	justcall := a.JustCall[status.Account]
	if justcall == nil {
		return cannotFetch(connectors.NotFound, "the text of this status was never seen, and JustCall cannot be asked for it: "+
			"set justcall."+status.Account+".api and retry, or skip"), nil
	}
	text, err := justcall.Text(ctx, status.Message.ID)
	if err != nil {
		return notFetched(status.Account, connectors.AsError("get text", err))
	}
	event, refused := textIn(text, status)
	if refused != nil {
		return *refused, nil
	}
	notFor, err := a.Door.AdmitText(ctx, event)
	return Fetched{NotFor: notFor}, err
}

// notFetched says what to do about an answer that is no text.
func notFetched(account string, err *connectors.Error) (Fetched, error) {
	switch {
	case err.Kind == connectors.NotFound:
		return cannotFetch(err.Kind, "the text of this status was never seen, and JustCall does not have it: skip"), nil
	case err.Kind == connectors.Auth:
		return cannotFetch(err.Kind, "JustCall refuses the credentials of justcall."+account+".api: mend them, then retry"), nil
	case err.Kind.Permanent():
		return cannotFetch(err.Kind, "JustCall does not answer for the text of this status: "+err.Error()), nil
	}
	return Fetched{}, failure(err)
}

func cannotFetch(kind connectors.Kind, message string) Fetched {
	return Fetched{Refused: &Refusal{Kind: string(kind), Message: message}}
}

// textIn answers the text itself, which must be the status's.
func textIn(row api.Text, status sms.Event) (sms.Event, *Fetched) {
	switch {
	case row.Err != nil:
		refused := cannotFetch(connectors.Invalid, "the text as JustCall has it cannot be read: "+row.Err.Error()+": skip, or retry after an upgrade")
		return sms.Event{}, &refused
	case len(row.Events) == 0 || !row.Events[0].Kind.Text() || row.Events[0].MessageKey() != status.MessageKey():
		refused := cannotFetch(connectors.Conflict, "JustCall answers another text than that of this status: skip")
		return sms.Event{}, &refused
	}
	return row.Events[0], nil
}
