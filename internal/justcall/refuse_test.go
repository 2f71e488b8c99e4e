package justcall_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

func TestPing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no body":              "",
		"white space":          " \r\n\t",
		"a byte order mark":    "\xef\xbb\xbf",
		"an empty object":      "{}",
		"type and webhook_url": `{"type":"sms.received","webhook_url":"https://sms.example.com/x"}`,
		"with data null":       `{"type":"sms.received","webhook_url":"https://sms.example.com/x","data":null}`,
		"with empty data":      `{"type":"sms.received","webhook_url":"https://sms.example.com/x","data":[]}`,
		"of an unknown type":   `{"type":"test","webhook_url":"https://sms.example.com/x"}`,
		"webhook_url alone":    `{"webhook_url":"https://sms.example.com/x"}`,
		"a classic one":        `{"event":"sms.received"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, err := justcall.Parse([]byte(body))
			require.NoError(t, err)
			require.True(t, env.Ping())
			d, err := env.Decode(input)
			require.NoError(t, err)
			require.Equal(t, justcall.IsPing, d.Outcome)
		})
	}
	for _, name := range justcalltest.Names() {
		env, err := justcall.Parse(justcalltest.Sample(name))
		require.NoError(t, err)
		require.Equal(t, name == "v21_ping", env.Ping(), name)
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, sample, field, value string
		want                       justcall.Reason
	}{
		{"a call", "v21_other_type", "data.id", `1`, justcall.ReasonOtherType},
		{"a classic call", "classic_other_type", "data.id", `1`, justcall.ReasonOtherType},
		{"WhatsApp", "v21_received", "type", `"whatsapp.received"`, justcall.ReasonOtherType},
		{"status sent", "v21_status_sent", "data.delivery_status", `"Sent"`, justcall.ReasonNotFinal},
		{"status received", "v21_status_sent", "data.delivery_status", `"received"`, justcall.ReasonNotFinal},
		{"status empty", "v21_status_sent", "data.delivery_status", `""`, justcall.ReasonNotFinal},
		{"status null", "v21_status_sent", "data.delivery_status", `null`, justcall.ReasonNotFinal},
		{"status unheard of", "v21_status_sent", "data.delivery_status", `"teleported"`, justcall.ReasonUnknownStatus},
		{"no consent in it", "v21_optout", "data.status.dnm", ``, justcall.ReasonNoConsent},
		{"an empty status", "v21_optout", "data.status", `[]`, justcall.ReasonNoConsent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := justcall.Decode(edit(t, c.sample, c.field, c.value), input)
			require.NoError(t, err)
			require.Equal(t, justcall.IsIgnored, d.Outcome)
			require.Equal(t, c.want, d.Reason)
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const c, v = "classic_received", "v21_received"
	cases := []struct {
		sample, field, value string
		cause                justcall.Cause
		named                string
	}{
		{c, "data.from", ``, justcall.CauseMissing, "data.from"},
		{c, "data.from", `""`, justcall.CauseMissing, "data.from"},
		{c, "data.from", `"!!"`, justcall.CauseBadNumber, "data.from"},
		{c, "data.from", `["+15125551234"]`, justcall.CauseWrongType, "data.from"},
		{c, "data.justcall_number", `"?"`, justcall.CauseBadNumber, "data.justcall_number"},
		{v, "data.contact_number", `""`, justcall.CauseMissing, "data.from"},
		{v, "data.contact_number", `1.5e10`, justcall.CauseBadNumber, "data.contact_number"},
		{v, "data.contact_number", `"()"`, justcall.CauseBadNumber, "data.contact_number"},
		{c, "data.message_id", `"a b"`, justcall.CauseBadID, "data.message_id"},
		{c, "data.message_id", `"a\u0000"`, justcall.CauseBadID, "data.message_id"},
		{c, "data.message_id", `"é"`, justcall.CauseBadID, "data.message_id"},
		{c, "data.message_id", `"` + strings.Repeat("x", 129) + `"`, justcall.CauseBadID, "data.message_id"},
		{c, "data.message_id", `true`, justcall.CauseWrongType, "data.message_id"},
		{c, "data.message_id", `"+15125551234-1"`, justcall.CauseBadID, "data.message_id"},
		{v, "data.id", `1.5`, justcall.CauseBadID, "data.id"},
		{v, "data.id", `-1`, justcall.CauseBadID, "data.id"},
		{v, "data.id", `1e3`, justcall.CauseBadID, "data.id"},
		{v, "data.id", `15125550100`, justcall.CauseBadID, "data.id"},
		{c, "timestamp", ``, justcall.CauseMissing, "timestamp"},
		{c, "timestamp", `"12.03.2026"`, justcall.CauseBadTime, "timestamp"},
		{c, "timestamp", `"0000-01-01T00:00:00+23:59"`, justcall.CauseBadTime, "timestamp"},
		{c, "timestamp", `1773325800`, justcall.CauseBadTime, "timestamp"},
		{v, "data.sms_date", ``, justcall.CauseMissing, "data.sms_date"},
		{v, "data.sms_time", `""`, justcall.CauseBadTime, "data.sms_date"},
		{v, "data.sms_time", `"25:00:00"`, justcall.CauseBadTime, "data.sms_date"},
		{"v21_optin", "data.status_updated_at", `"0000-00-00"`, justcall.CauseBadTime, "data.status_updated_at"},
		{"v21_optin", "data.status.dnm", `"perhaps"`, justcall.CauseWrongType, "data.status.dnm"},
		{"v21_optin", "data.status", `"dnm"`, justcall.CauseWrongType, "data.status"},
		{"v21_sent_received_in", "data.direction", `""`, justcall.CauseMissing, "data.direction"},
		{v, "data.direction", `"sideways"`, justcall.CauseBadDirection, "data.direction"},
		{"v21_status_sent", "data.delivery_status", `[]`, justcall.CauseWrongType, "data.delivery_status"},
		{c, "data.body", `{}`, justcall.CauseWrongType, "data.body"},
		{c, "data.media_urls", `5`, justcall.CauseWrongType, "data.media_urls"},
		{v, "data.sms_info.mms", `[{"url":"x"}]`, justcall.CauseMissing, "data.sms_info.mms.media_url"},
		{v, "data.sms_info.mms", `[5]`, justcall.CauseWrongType, "data.sms_info.mms"},
		{v, "data.sms_info.mms", `{"media_url":[5]}`, justcall.CauseWrongType, "data.sms_info.mms"},
		{v, "data.sms_info", `"hi"`, justcall.CauseWrongType, "data.sms_info"},
		{c, "data", `"hi"`, justcall.CauseWrongType, "data"},
		{c, "data", ``, justcall.CauseMissing, "data"},
		{v, "type", `7`, justcall.CauseWrongType, "type"},
		{c, "event", `["sms.received"]`, justcall.CauseWrongType, "event"},
	}
	for _, tc := range cases {
		t.Run(tc.named+" "+string(tc.cause), func(t *testing.T) {
			t.Parallel()
			_, err := justcall.Decode(edit(t, tc.sample, tc.field, tc.value), input)
			requireCause(t, err, tc.cause, tc.named)
		})
	}
}

func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"hello", "null", "[]", `"x"`, "5", `{"event":`, `{} {}`, `{}x`, "from=%2B1512", strings.Repeat("[", 100000)} {
		_, err := justcall.Decode([]byte(body), input)
		requireCause(t, err, justcall.CauseNotJSON, "body")
	}
	_, err := justcall.Decode([]byte(`{"data":{"x":1}}`), input)
	requireCause(t, err, justcall.CauseMissing, "type")
	_, err = justcall.Decode([]byte(`{"type":"sms.received"}`), input)
	requireCause(t, err, justcall.CauseMissing, "data")
}

func requireCause(t *testing.T, err error, cause justcall.Cause, field string) {
	t.Helper()
	var e *justcall.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, cause, e.Cause)
	require.Equal(t, field, e.Field)
	require.Contains(t, e.Error(), field)
	for _, secret := range []string{"5551234", "Sarah", "appointment", "msg_abc"} {
		require.NotContains(t, e.Error(), secret)
	}
}

func TestType(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"classic_sent": "sms.sent", "v21_status_sent": "sms.status_updated", "v21_ping": "sms.received", "v21_other_type": "call.completed",
	} {
		env, err := justcall.Parse(justcalltest.Sample(name))
		require.NoError(t, err)
		require.Equal(t, want, env.Type())
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range justcalltest.Names() {
		f.Add(justcalltest.Sample(name), "US")
	}
	f.Add([]byte(`{"event":"sms.received","timestamp":"0000-01-01T00:00:00+23:59","data":{"from":1,"message_id":9e9}}`), "DE")
	f.Add([]byte(`{"type":"sms.received","data":{"contact_number":"+1 512 555 1234 ext 5","sms_date":"2026-03-12","sms_time":"8:25:43"}}`), "")
	f.Fuzz(func(t *testing.T, body []byte, region string) {
		in := justcall.Input{Account: "main", Region: region}
		d, err := justcall.Decode(body, in)
		again, errAgain := justcall.Decode(body, in)
		require.Equal(t, d, again, "deterministic")
		require.Equal(t, err, errAgain)
		if err != nil {
			var e *justcall.Error
			require.ErrorAs(t, err, &e)
			return
		}
		if d.Outcome == justcall.IsEvent {
			checkEvent(t, d.Event)
		}
	})
}

func checkEvent(t *testing.T, e sms.Event) {
	require.NoError(t, e.Validate())
	for _, p := range []sms.Phone{e.Message.Contact, e.Message.Line} {
		if p.E164() {
			require.NotContains(t, e.Key(), string(p[1:]))
		}
	}
	require.NotContains(t, e.Message.Body, "\x00")
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var back sms.Event
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e.Key(), back.Key())
	require.True(t, e.At.Equal(back.At))
	require.Equal(t, e.Message, back.Message, "what a history holds is what was decoded")
}
