package justcall_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

var update = flag.Bool("update", false, "write the golden files anew")

var input = justcall.Input{Account: "main", Region: "US"}

// Each sample and the canonical event that it comes to stand side by side in
// justcalltest/testdata and testdata/golden.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range justcalltest.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoded, err := justcall.Decode(justcalltest.Sample(name), input)
			require.NoError(t, err)
			got := golden(t, decoded)
			path := filepath.Join("testdata", "golden", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
}

func golden(t *testing.T, d justcall.Decoded) []byte {
	t.Helper()
	out := map[string]any{"outcome": d.Outcome, "dialect": d.Dialect}
	if d.Outcome == justcall.IsEvent {
		out["event"], out["key"] = d.Event, d.Event.Key()
	}
	if d.Reason != "" {
		out["reason"] = d.Reason
	}
	b, err := json.MarshalIndent(out, "", "  ")
	require.NoError(t, err)
	return append(b, '\n')
}

// Both dialects tell of one and the same text with one and the same key.
func TestSubscribedTwiceIsOneKey(t *testing.T) {
	t.Parallel()
	for one, other := range map[string]string{
		"v21_received": "v21_sent_received_in",
		"v21_sent":     "v21_sent_received_out",
	} {
		require.Equal(t, decode(t, justcalltest.Sample(one)).Key(), decode(t, justcalltest.Sample(other)).Key())
	}
}

func decode(t *testing.T, body []byte) sms.Event {
	t.Helper()
	d, err := justcall.Decode(body, input)
	require.NoError(t, err)
	require.Equal(t, justcall.IsEvent, d.Outcome)
	require.NoError(t, d.Event.Validate())
	return d.Event
}

// edit changes a sample: a path such as data.sms_info.body, and the JSON to put
// there; empty JSON removes the field.
func edit(t *testing.T, sample string, changes ...string) []byte {
	t.Helper()
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(string(justcalltest.Sample(sample))))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&doc))
	for i := 0; i < len(changes); i += 2 {
		editOne(doc, strings.Split(changes[i], "."), changes[i+1])
	}
	body, err := json.Marshal(doc)
	require.NoError(t, err)
	return body
}

func editOne(doc map[string]any, path []string, value string) {
	for len(path) > 1 {
		doc = doc[path[0]].(map[string]any)
		path = path[1:]
	}
	if value == "" {
		delete(doc, path[0])
		return
	}
	doc[path[0]] = json.RawMessage(value)
}

func TestLooseTypes(t *testing.T) {
	t.Parallel()
	id := func(e sms.Event) any { return e.Message.ID }
	contact := func(e sms.Event) any { return string(e.Message.Contact) }
	line := func(e sms.Event) any { return string(e.Message.Line) }
	body := func(e sms.Event) any { return e.Message.Body }
	media := func(e sms.Event) any { return e.Message.Media }
	kind := func(e sms.Event) any { return string(e.Kind) }
	agent := func(e sms.Event) any { return e.Message.Agent.ID }
	name := func(e sms.Event) any { return e.Message.ContactName }
	at := func(e sms.Event) any { return e.At.Format(time.RFC3339Nano) }
	one := []sms.Media{{URL: "https://m.example.com/a"}}
	typed := []sms.Media{{URL: "https://m.example.com/a", ContentType: "image/png"}}
	const c, v, vs = "classic_received", "v21_received", "v21_sent"

	cases := []struct {
		name, sample string
		changes      []string
		get          func(sms.Event) any
		want         any
	}{
		{"an id beyond what a float holds", v, []string{"data.id", `123456789012345678901234567890`}, id, "123456789012345678901234567890"},
		{"an id as a string", v, []string{"data.id", `"90071992547409931"`}, id, "90071992547409931"},
		{"a classic id as a number", c, []string{"data.message_id", `42`}, id, "42"},
		{"contact as a number", v, []string{"data.contact_number", `15125551234`}, contact, "+15125551234"},
		{"contact without country code", v, []string{"data.contact_number", `"5125551234"`}, contact, "+15125551234"},
		{"contact in another country, without +", v, []string{"data.contact_number", `"447911123456"`}, contact, "+447911123456"},
		{"a short code writes", v, []string{"data.contact_number", `"72345"`}, contact, "72345"},
		{"a name writes", v, []string{"data.contact_number", `"Acme"`}, contact, "ACME"},
		{"from and to change with the direction", "classic_sent", nil, contact, "+15125551234"},
		{"no direction: the kind tells", "classic_sent", []string{"data.direction", "", "data.justcall_number", ""}, contact, "+15125551234"},
		{"no direction, inbound", c, []string{"data.direction", `null`, "data.justcall_number", `""`}, contact, "+15125551234"},
		{"no line: the other party is it", c, []string{"data.justcall_number", ""}, line, "+15125550100"},
		{"a wrong direction yields to the line", "classic_sent", []string{"data.direction", `"inbound"`}, contact, "+15125551234"},
		{"a status that swaps from and to", "classic_delivered", []string{"data.from", `"+15125551234"`, "data.to", `"+15125550100"`}, contact, "+15125551234"},
		{"a STOP reported on our answer", "classic_optout", []string{"data.from", `"+15125550100"`, "data.to", `"+15125551234"`}, contact, "+15125551234"},
		{"sent_received by direction, upper case", "v21_sent_received_out", []string{"data.direction", `"OUTGOING"`}, kind, "sms.sent"},
		{"sent_received, inbound", "v21_sent_received_out", []string{"data.direction", `"Inbound"`}, kind, "sms.received"},
		{"status failed", "v21_status_delivered", []string{"data.delivery_status", `"Failed"`}, kind, "sms.failed"},
		{"dnm as a number", "v21_optin", []string{"data.status.dnm", `1`}, kind, "sms.optout"},
		{"dnm as a string", "v21_optout", []string{"data.status.dnm", `"0"`}, kind, "sms.optin"},
		{"agent as a string", vs, []string{"data.agent_id", `"10482"`}, agent, "10482"},
		{"agent 0 is none", vs, []string{"data.agent_id", `0`}, agent, ""},
		{"agent null", vs, []string{"data.agent_id", `null`}, agent, ""},
		{"is_mms is not believed", v, []string{"data.sms_info.is_mms", `["odd"]`}, media, []sms.Media(nil)},
		{"mms as one object", v, []string{"data.sms_info.mms", `{"media_url":"https://m.example.com/a","content_type":"image/png"}`}, media, typed},
		{"mms as an object of lists", v, []string{"data.sms_info.mms", `{"media_url":["https://m.example.com/a"],"content_type":["image/png"]}`}, media, typed},
		{"mms with fewer types than files", v, []string{"data.sms_info.mms", `{"media_url":["https://m.example.com/a"],"content_type":[]}`}, media, one},
		{"mms as a list of addresses", v, []string{"data.sms_info.mms", `["https://m.example.com/a", "", null]`}, media, one},
		{"mms as an empty string", v, []string{"data.sms_info.mms", `""`}, media, []sms.Media(nil)},
		{"mms as an empty object", v, []string{"data.sms_info.mms", `{}`}, media, []sms.Media(nil)},
		{"mms null", v, []string{"data.sms_info.mms", `null`}, media, []sms.Media(nil)},
		{"media_urls as one string", c, []string{"data.media_urls", `"https://m.example.com/a"`}, media, one},
		{"media_urls as objects", c, []string{"data.media_urls", `[{"media_url":"https://m.example.com/a","content_type":"image/png"}]`}, media, typed},
		{"no body and no media", c, []string{"data.body", `""`}, body, ""},
		{"sms_info as an empty list", v, []string{"data.sms_info", `[]`}, body, ""},
		{"a body of digits as a number", v, []string{"data.sms_info.body", `123456`}, body, "123456"},
		{"NUL is dropped from a body", c, []string{"data.body", `"a\u0000b\n c"`}, body, "ab\n c"},
		{"half a surrogate pair is replaced", c, []string{"data.body", `"a\ud83d"`}, body, "a\ufffd"},
		{"a name on one line", c, []string{"data.contact_name", `" Sarah\n\u0000Chen "`}, name, "Sarah Chen"},
		{"an offset", c, []string{"timestamp", `"2026-03-12T16:30:00.25+02:00"`}, at, "2026-03-12T14:30:00.25Z"},
		{"an unpadded hour", v, nil, at, "2026-03-12T08:25:43Z"},
		{"an opt-out counts to the end of its day", "v21_optout", nil, at, "2026-03-12T23:59:59Z"},
		{"an opt-in counts from the start of its day", "v21_optin", nil, at, "2026-03-13T00:00:00Z"},
		{"a change of consent with a time", "v21_optout", []string{"data.status_updated_at", `"2026-03-12 10:11:12"`}, at, "2026-03-12T10:11:12Z"},
		{"event and type side by side", c, []string{"type", `"x"`}, kind, "sms.received"},
		{"an event name in capitals", c, []string{"event", `"SMS.Received"`}, kind, "sms.received"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, tc.get(decode(t, edit(t, tc.sample, tc.changes...))))
		})
	}
}

// A US number without + stays American in a region where its digits could be a
// national number too.
func TestNumberWithoutPlusIsInternationalFirst(t *testing.T) {
	t.Parallel()
	body := edit(t, "v21_received", "data.contact_number", `"15123450000"`, "data.justcall_number", `"4915123456789"`)
	d, err := justcall.Decode(body, justcall.Input{Account: "main", Region: "DE"})
	require.NoError(t, err)
	require.Equal(t, sms.Phone("+15123450000"), d.Event.Message.Contact)
	require.Equal(t, sms.Phone("+4915123456789"), d.Event.Message.Line)
}

func TestDerivedID(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"", `null`, `""`, `0`, `"0"`} {
		e := decode(t, edit(t, "v21_received", "data.id", missing))
		require.Equal(t, sms.DerivedID("main", sms.Received, "+15125551234", e.At), e.Message.ID)
	}
	out, in := decode(t, justcalltest.Sample("v21_optout")), decode(t, justcalltest.Sample("v21_optin"))
	require.NotEqual(t, out.Message.ID, in.Message.ID)
	require.NotContains(t, out.Key(), "55512", "a contact's id is no message id")
}

// Within a day the order of STOP and START is not known: STOP wins.
func TestConsentOfOneDay(t *testing.T) {
	t.Parallel()
	out := decode(t, edit(t, "v21_optout", "data.status_updated_at", `"2026-03-12"`))
	in := decode(t, edit(t, "v21_optin", "data.status_updated_at", `"2026-03-12"`))
	optOut := sms.Consent{Phone: out.Message.Contact, OptedOut: true, At: out.At}
	optIn := sms.Consent{Phone: in.Message.Contact, At: in.At}
	require.True(t, optOut.Supersedes(optIn))
	require.False(t, optIn.Supersedes(optOut))
}

func TestReceiptStandsIn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 12, 18, 0, 0, 0, time.UTC)
	at := func(sample, field string) (time.Time, error) {
		d, err := justcall.Decode(edit(t, sample, field, `"soon"`), justcall.Input{Account: "main", Region: "US", Received: now})
		return d.Event.At, err
	}
	for sample, field := range map[string]string{
		"classic_delivered": "timestamp", "classic_failed": "timestamp", "classic_optout": "timestamp",
		"v21_status_delivered": "data.sms_date", "v21_optout": "data.status_updated_at",
	} {
		got, err := at(sample, field)
		require.NoError(t, err, sample)
		require.Equal(t, now, got, sample)
	}
	for sample, field := range map[string]string{
		"classic_received": "timestamp", "classic_sent": "timestamp", "classic_optin": "timestamp",
		"v21_sent": "data.sms_date", "v21_optin": "data.status_updated_at",
	} {
		_, err := at(sample, field)
		require.ErrorContains(t, err, "no usable instant", sample)
	}
}
