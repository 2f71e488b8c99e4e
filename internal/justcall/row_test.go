package justcall_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

// row is the data of a sample webhook as a row of the API, with further fields.
func row(t *testing.T, sample string, further map[string]any) []byte {
	t.Helper()
	var body struct{ Data map[string]any }
	dec := json.NewDecoder(strings.NewReader(string(justcalltest.Sample(sample))))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&body))
	for name, value := range further {
		body.Data[name] = value
		if value == nil {
			delete(body.Data, name)
		}
	}
	b, err := json.Marshal(body.Data)
	require.NoError(t, err)
	return b
}

func rowEvents(t *testing.T, row []byte) []sms.Event {
	t.Helper()
	events, err := justcall.DecodeRow(row, input)
	require.NoError(t, err)
	for _, e := range events {
		require.NoError(t, e.Validate())
	}
	return events
}

// A row tells of a text what its webhooks tell, under the same keys.
func TestRowIsWhatWebhooksTell(t *testing.T) {
	t.Parallel()
	at := map[string]any{"timestamp": "2026-03-12T14:30:00Z"}
	for sample, further := range map[string]map[string]any{
		"v21_received": nil, "v21_received_mms": nil, "v21_sent": nil, "v21_sent_received_in": nil,
		"classic_received": at, "classic_received_media": at, "classic_sent": at,
	} {
		want := decode(t, justcalltest.Sample(sample))
		got := rowEvents(t, row(t, sample, further))
		require.Len(t, got, 1, sample)
		require.Equal(t, want.Key(), got[0].Key())
		if further != nil {
			want.At, want.Message.At = got[0].At, got[0].At
		}
		require.Equal(t, want, got[0], sample)
	}
	for sample, further := range map[string]map[string]any{
		"v21_status_delivered": nil, "v21_status_undelivered": nil,
		"classic_delivered": {"timestamp": "2026-03-12T14:35:14Z", "status": "delivered"},
		"classic_failed":    {"timestamp": "2026-03-12T14:35:14Z", "status": "Failed"},
	} {
		want := decode(t, justcalltest.Sample(sample))
		got := rowEvents(t, row(t, sample, further))
		require.Len(t, got, 2, sample)
		require.Equal(t, sms.Sent, got[0].Kind)
		require.Empty(t, got[0].Reason)
		require.Equal(t, want.Key(), got[1].Key())
		require.Equal(t, want.Reason, got[1].Reason)
		require.Equal(t, got[0].Message, got[1].Message)
	}
}

// What the classic API answers is not documented: these were seen, or are likely.
func TestRowsOfUnknownForm(t *testing.T) {
	t.Parallel()
	const flat = `{"id":8001,"direction":"outbound","contact_number":"+14155551111","justcall_number":"+14155551234",
		"body":"Hello","mms_media":[{"media_url":"https://x.example.com/a"}],"is_deleted":0,"delivery_status":"delivered"`
	want := time.Date(2024, 3, 15, 14, 30, 0, 0, time.UTC)
	for name, body := range map[string]string{
		"datetime":               flat + `,"datetime":"2024-03-15 14:30:00"}`,
		"timestamp":              flat + `,"timestamp":"2024-03-15T16:30:00+02:00"}`,
		"created_at":             flat + `,"created_at":"2024-03-15T14:30:00Z"}`,
		"2.1's date":             flat + `,"sms_date":"2024-03-15","sms_time":"14:30:00"}`,
		"no direction":           strings.Replace(flat, `"direction":"outbound"`, `"from":"14155551234","to":"14155551111"`, 1) + `,"datetime":"2024-03-15 14:30:00"}`,
		"message_id, and status": strings.NewReplacer(`"id":8001`, `"message_id":"8001"`, "delivery_status", "status").Replace(flat) + `,"datetime":"2024-03-15 14:30:00"}`,
	} {
		events := rowEvents(t, []byte(body))
		require.Len(t, events, 2, name)
		require.Equal(t, "main/8001/sms.sent", events[0].Key(), name)
		require.Equal(t, "main/8001/sms.delivered", events[1].Key(), name)
		require.Equal(t, want, events[0].Message.At, name)
		require.Equal(t, "Hello", events[0].Message.Body)
		require.Len(t, events[0].Message.Media, 1)
		require.Equal(t, sms.Phone("+14155551111"), events[1].Message.Contact)
		require.Equal(t, "8001", justcall.RowID([]byte(body)))
	}
}

func TestRowWithoutEvents(t *testing.T) {
	t.Parallel()
	require.Empty(t, rowEvents(t, row(t, "v21_sent", map[string]any{"delivery_status": "scheduled"})))
	for _, status := range []any{"delivered", "received", "", 0} {
		require.Len(t, rowEvents(t, row(t, "v21_received", map[string]any{"delivery_status": status})), 1, "an inbound text has no final status")
	}
	for _, status := range []string{"queued", "sent", "read"} {
		require.Len(t, rowEvents(t, row(t, "v21_sent", map[string]any{"delivery_status": status})), 1)
	}
	require.Len(t, rowEvents(t, row(t, "v21_received", map[string]any{"status": map[string]any{"a": 1}})), 1)
}

func TestRowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		further map[string]any
		cause   justcall.Cause
		field   string
	}{
		"no direction":            {map[string]any{"direction": nil}, justcall.CauseMissing, "row.direction"},
		"a direction of its own":  {map[string]any{"direction": "sideways"}, justcall.CauseBadDirection, "row.direction"},
		"no instant":              {map[string]any{"sms_date": nil, "sms_time": nil}, justcall.CauseMissing, "row.sms_date"},
		"an instant that is none": {map[string]any{"sms_date": nil, "datetime": "yesterday"}, justcall.CauseBadTime, "row.datetime"},
		"a number that is none":   {map[string]any{"contact_number": "?!"}, justcall.CauseBadNumber, "row.contact_number"},
		"no number":               {map[string]any{"contact_number": ""}, justcall.CauseMissing, "row.to"},
		"an id that is a number":  {map[string]any{"id": "x15125551234"}, justcall.CauseBadID, "row.id"},
		"a status that is a list": {map[string]any{"delivery_status": []int{1}}, justcall.CauseWrongType, "row.delivery_status"},
	} {
		events, err := justcall.DecodeRow(row(t, "v21_sent", c.further), input)
		require.Empty(t, events, name)
		e, ok := errors.AsType[*justcall.Error](err)
		require.True(t, ok, name)
		require.Equal(t, c.cause, e.Cause, name)
		require.Equal(t, c.field, e.Field, name)
		require.Contains(t, err.Error(), "text: row.", name)
	}
	for _, body := range []string{"", "[]", "null", `"a"`, "{", `{"a":1} `} {
		_, err := justcall.DecodeRow([]byte(body), input)
		require.ErrorContains(t, err, "text: row", body)
	}
	require.Empty(t, justcall.RowID([]byte(`{"id":"a b"}`)))
	require.Empty(t, justcall.RowID([]byte(`[]`)))
}

// A row in quarantine is decoded as a webhook is, once it can be.
func TestWrappedRow(t *testing.T) {
	t.Parallel()
	good := row(t, "v21_sent", map[string]any{"delivery_status": "delivered"})
	d, err := justcall.Decode(justcall.WrapRow(good), input)
	require.NoError(t, err)
	require.Equal(t, justcall.Decoded{Outcome: justcall.IsEvent, Dialect: justcall.Row, Event: rowEvents(t, good)[0]}, d)
	d, err = justcall.Decode(justcall.WrapRow(row(t, "v21_sent", map[string]any{"delivery_status": "scheduled"})), input)
	require.NoError(t, err)
	require.Equal(t, justcall.IsIgnored, d.Outcome)
	for bad, field := range map[string]string{
		string(row(t, "v21_sent", map[string]any{"direction": nil})): "row.direction",
		"[]": "type", "7": "row", `"a"`: "row", `[1]`: "row",
	} {
		env, err := justcall.Parse(justcall.WrapRow([]byte(bad)))
		if err == nil {
			for range 2 {
				_, err = env.Decode(input)
			}
		}
		e, ok := errors.AsType[*justcall.Error](err)
		require.True(t, ok, bad)
		require.Equal(t, field, e.Field, bad)
	}
}

// A row comes from outside: whatever it holds, it is decoded into valid events of
// one text, or refused without being repeated.
func FuzzDecodeRow(f *testing.F) {
	for _, name := range justcalltest.Names() {
		var body struct{ Data json.RawMessage }
		_ = json.Unmarshal(justcalltest.Sample(name), &body)
		f.Add([]byte(body.Data))
	}
	f.Add([]byte(`{"id":8001,"direction":"outbound","to":"+14155551111","justcall_number":"1 415 555 1234","datetime":"2024-03-15 14:30:00","status":"failed"}`))
	f.Add([]byte(`{"message_id":"0","from":"72345","to":"+14155551234","justcall_number":"+14155551234","timestamp":"2024-03-15T14:30:00Z","mms_media":{"media_url":"x"}}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		events, err := justcall.DecodeRow(row, input)
		if err != nil {
			require.Empty(t, events)
			require.LessOrEqual(t, len(err.Error()), 100)
			return
		}
		require.LessOrEqual(t, len(events), 2)
		if d, err := justcall.Decode(justcall.WrapRow(row), input); len(events) > 0 {
			require.NoError(t, err)
			require.Equal(t, events[0], d.Event)
		}
		for i, e := range events {
			require.NoError(t, e.Validate())
			require.Equal(t, i == 0, e.Kind.Text())
			require.Equal(t, i == 1, e.Kind.Status())
			require.Equal(t, events[0].Message.Contact, e.Message.Contact)
		}
	})
}
