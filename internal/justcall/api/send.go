package api

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"crmsync/connectors"
	"crmsync/connectors/rest"
	"crmsync/sms"
)

// MaxBody is how long a text may be, in characters
// (https://developer.justcall.io/reference/texts_new_v21).
const MaxBody = 1600

// SendText sends a text from the company's line and answers its id, "" where
// JustCall does not tell. JustCall knows no idempotency key: repeated, it sends
// again. Nothing in crmsync calls it, which a test holds: it is here so that the
// client knows the whole of the API for texts.
func (c *Client) SendText(ctx context.Context, line, contact sms.Phone, body string) (id string, err error) {
	const op = "send text"
	if body == "" || utf8.RuneCountInString(body) > MaxBody {
		return "", &connectors.Error{Op: op, Kind: connectors.Invalid, Err: errors.New("a text has 1 to 1600 characters")}
	}
	fields := map[string]string{"from": string(line), "to": string(contact), "body": body}
	if c.settings.Version == V21 {
		fields = map[string]string{"justcall_number": string(line), "contact_number": string(contact), "body": body}
	}
	var answer map[string]json.RawMessage
	_, err = c.rest.Do(ctx, rest.Request{Op: op, Method: "POST", Path: c.textsPath("new"), Body: fields, Into: &answer, EmptyOK: true})
	if err != nil {
		return "", err
	}
	return newID(answer, "message_id"), nil
}

// newID finds the id of what was created, in data or beside it.
func newID(answer map[string]json.RawMessage, others ...string) string {
	var data map[string]json.RawMessage
	if json.Unmarshal(answer["data"], &data) == nil && data != nil {
		if id := newID(data, others...); id != "" {
			return id
		}
	}
	for _, name := range append(others, "id") {
		if id := number(answer[name]); id != "" {
			return id
		}
	}
	return ""
}
