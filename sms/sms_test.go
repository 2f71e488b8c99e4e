package sms_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/sms"
)

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

func event() sms.Event {
	return sms.Event{Account: "main", Kind: sms.Received, At: noon, Message: sms.Message{ID: "msg_abc123", Contact: "+15125551234", At: noon}}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	e := event()
	require.Equal(t, "main/msg_abc123/sms.received", e.Key())
	require.Equal(t, "main/msg_abc123", e.MessageKey())
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for kind, want := range map[sms.Kind][3]bool{ // text, status, consent
		sms.Received:  {true, false, false},
		sms.Sent:      {true, false, false},
		sms.Delivered: {false, true, false},
		sms.Failed:    {false, true, false},
		sms.OptOut:    {false, false, true},
		sms.OptIn:     {false, false, true},
		"":            {},
		"sms.other":   {},
	} {
		require.Equal(t, want, [3]bool{kind.Text(), kind.Status(), kind.Consent()}, kind)
		require.Equal(t, want != [3]bool{}, kind.Valid(), kind)
		status := sms.Event{Kind: kind}.Status()
		require.Equal(t, kind.Status(), status.Rank() > 0, kind)
	}
}

func TestStatusOrder(t *testing.T) {
	t.Parallel()
	ordered := []sms.Status{"", sms.StatusSent, sms.StatusDelivered, sms.StatusFailed}
	for i := range len(ordered) - 1 {
		require.Less(t, ordered[i].Rank(), ordered[i+1].Rank())
	}
	require.Equal(t, sms.StatusDelivered, sms.Event{Kind: sms.Delivered}.Status())
	require.Equal(t, sms.StatusFailed, sms.Event{Kind: sms.Failed}.Status())
}

func TestDerivedID(t *testing.T) {
	t.Parallel()
	id := sms.DerivedID("main", sms.Received, "+15125551234", noon)
	require.NoError(t, sms.ValidateID(id))
	require.NotContains(t, id, "5125551234")
	elsewhere := noon.In(time.FixedZone("", 3600))
	require.Equal(t, id, sms.DerivedID("main", sms.Received, "+15125551234", elsewhere), "the same instant")
	require.Equal(t, "c02a01ad3ed1c2f206913382e5fa29e9cacabe6953242931760172bb87ae6917", id, "frozen: it is part of workflow ids")
	for _, other := range []string{
		sms.DerivedID("other", sms.Received, "+15125551234", noon),
		sms.DerivedID("main", sms.Sent, "+15125551234", noon),
		sms.DerivedID("main", sms.Received, "+15125551235", noon),
		sms.DerivedID("main", sms.Received, "+15125551234", noon.Add(time.Nanosecond)),
		sms.DerivedID("mainsms", ".received", "+15125551234", noon),
	} {
		require.NotEqual(t, id, other)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, event().Validate())
	err := sms.Event{}.Validate()
	for _, part := range []string{"kind", "message id", "contact", "instant"} {
		require.ErrorContains(t, err, part, "all problems at once")
	}
	for name, breakIt := range map[string]func(*sms.Event){
		"kind":    func(e *sms.Event) { e.Kind = "sms.secret" },
		"contact": func(e *sms.Event) { e.Message.Contact = "" },
		"instant": func(e *sms.Event) { e.At = time.Time{} },
		"id":      func(e *sms.Event) { e.Message.ID = "sec ret" },
	} {
		e := event()
		breakIt(&e)
		require.ErrorContains(t, e.Validate(), name)
		require.NotContains(t, e.Validate().Error(), "ret", "no values")
	}
}

func TestValidateID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"1", "msg_abc123", "90071992547409931", "a/b:c{d}", "!", "~", strings.Repeat("x", 128)} {
		require.NoError(t, sms.ValidateID(id))
	}
	for _, id := range []string{"", " ", "a b", "a\n", "\x00", "\x7f", "é", strings.Repeat("x", 129)} {
		require.Error(t, sms.ValidateID(id))
	}
}

func TestConsentOrder(t *testing.T) {
	t.Parallel()
	at := func(optedOut bool, d time.Duration) sms.Consent {
		return sms.Consent{Phone: "+15125551234", OptedOut: optedOut, At: noon.Add(d)}
	}
	const in, out = false, true
	require.True(t, at(in, 1).Supersedes(at(out, 0)), "a later START")
	require.True(t, at(out, 1).Supersedes(at(in, 0)), "a later STOP")
	require.False(t, at(in, 0).Supersedes(at(out, 1)), "an earlier START, late")
	require.False(t, at(out, 0).Supersedes(at(in, 1)), "an earlier STOP, late")
	require.True(t, at(out, 0).Supersedes(at(in, 0)), "of two at once STOP wins")
	require.False(t, at(in, 0).Supersedes(at(out, 0)))
	require.False(t, at(out, 0).Supersedes(at(out, 0)), "nothing new")
	require.False(t, at(in, 0).Supersedes(at(in, 0)))
	require.True(t, at(out, 0).Supersedes(sms.Consent{}), "the first one known")
	require.True(t, at(in, 0).Supersedes(sms.Consent{}))
}

// Histories hold events for weeks: field names are append-only.
func TestEventJSON(t *testing.T) {
	t.Parallel()
	e := event()
	e.Reason = "r"
	e.Message.Line, e.Message.Direction = "+15125550100", sms.Inbound
	e.Message.Media = []sms.Media{{URL: "u", ContentType: "c"}}
	e.Message.Agent = sms.Agent{ID: "1", Name: "n", Email: "m"}
	e.Message.Body, e.Message.ContactName, e.Message.ContactEmail, e.Message.Medium = "b", "cn", "ce", "md"
	b, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"account":"main","kind":"sms.received","at":"2026-03-12T12:00:00Z","reason":"r","message":{
		"id":"msg_abc123","direction":"inbound","contact":"+15125551234","line":"+15125550100","body":"b",
		"media":[{"url":"u","content_type":"c"}],"agent":{"id":"1","name":"n","email":"m"},
		"contact_name":"cn","contact_email":"ce","medium":"md","at":"2026-03-12T12:00:00Z"}}`, string(b))
	var back sms.Event
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e, back)
}
