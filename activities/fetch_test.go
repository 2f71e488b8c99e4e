package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/sms"
)

// justcall answers one text, and a list of two pages.
type justcall struct {
	activities.JustCall // nil: nothing else is called

	text  api.Text
	pages map[api.Cursor][]sms.Phone
	err   error
}

func (j justcall) Text(_ context.Context, id string) (api.Text, error) {
	if id != "msg_1" {
		return api.Text{}, errors.New("asked for another text")
	}
	return j.text, j.err
}

func (j justcall) Suppressed(_ context.Context, from api.Cursor) ([]sms.Phone, api.Cursor, error) {
	next := api.Cursor("")
	if from == "" && len(j.pages) > 1 {
		next = "2"
	}
	return j.pages[from], next, j.err
}

func (w *world) fetch(j activities.JustCall, d *door) (activities.Fetched, error) {
	w.t.Helper()
	w.acts.Door = d
	if j != nil {
		w.acts.JustCall = map[string]activities.JustCall{"main": j}
	}
	return run[activities.Fetched](w, w.acts.FetchText, outbound(sms.Delivered))
}

func TestFetchedTextIsTakenIn(t *testing.T) {
	t.Parallel()
	text := outbound(sms.Sent)
	row := api.Text{ID: "msg_1", Events: []sms.Event{text, outbound(sms.Delivered)}}
	d := &door{}
	fetched, err := newWorld(t).fetch(justcall{text: row}, d)
	require.NoError(t, err)
	require.Zero(t, fetched)
	require.Equal(t, []sms.Event{text}, d.texts, "the text alone: its status is under way")

	fetched, err = newWorld(t).fetch(justcall{text: row}, &door{notFor: []string{"crm"}})
	require.NoError(t, err)
	require.Equal(t, activities.Fetched{NotFor: []string{"crm"}}, fetched)

	_, err = newWorld(t).fetch(justcall{text: row}, &door{err: errAway})
	hiccup(t, err)
}

// What JustCall cannot tell waits for a person, who is told what to do.
func TestTextThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	other := outbound(sms.Sent)
	other.Message.ID = "msg_2"
	for name, c := range map[string]struct {
		api  activities.JustCall
		kind connectors.Kind
		says string
	}{
		"there is no API":                 {nil, connectors.NotFound, "set justcall.main.api and retry, or skip"},
		"JustCall does not have it":       {justcall{err: &connectors.Error{Kind: connectors.NotFound}}, connectors.NotFound, "skip"},
		"the credentials are refused":     {justcall{err: &connectors.Error{Kind: connectors.Auth}}, connectors.Auth, "mend them, then retry"},
		"the credentials do not suffice":  {justcall{err: &connectors.Error{Op: "get text", Kind: connectors.Forbidden}}, connectors.Forbidden, "get text: FORBIDDEN"},
		"its row cannot be read":          {justcall{text: api.Text{Err: errors.New("data.from: BAD_NUMBER")}}, connectors.Invalid, "retry after an upgrade"},
		"its row holds no text":           {justcall{text: api.Text{Events: []sms.Event{outbound(sms.Delivered)}}}, connectors.Conflict, "another text"},
		"it answers some other text":      {justcall{text: api.Text{Events: []sms.Event{other}}}, connectors.Conflict, "another text"},
		"it answers a row without events": {justcall{}, connectors.Conflict, "another text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &door{}
			fetched, err := newWorld(t).fetch(c.api, d)
			require.NoError(t, err)
			require.Equal(t, string(c.kind), fetched.Refused.Kind)
			require.Contains(t, fetched.Refused.Message, c.says)
			require.Empty(t, d.texts)
		})
	}
}

func TestFetchingIsTriedAgain(t *testing.T) {
	t.Parallel()
	_, err := newWorld(t).fetch(justcall{err: &connectors.Error{Op: "get text", Kind: connectors.RateLimited, RetryAfter: time.Minute}}, &door{})
	retried(t, string(connectors.RateLimited), err)
	require.Equal(t, time.Minute, delayOf(t, err))
}
