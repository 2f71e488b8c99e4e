package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/internal/justcall/justcalltest"
)

const (
	signingSecret = "signing-secret-of-the-test"
	publicURL     = "https://sms.example.com/webhooks/justcall/main"
	// signedAccount takes the path's token as well as signatures.
	signedAccount = `{ region: US, webhook: { token: "` + token + `", signing_secrets: ["` + signingSecret + `"], public_url: "` + publicURL + `" } }`
)

// dialect is how the same story is told on the wire. The two are about
// different numbers, so that one daemon can hear both.
type dialect struct {
	name, number, received, sent, failing string
	post                                  func(p *process, sample []byte) answer
}

var dialects = []dialect{
	{"classic", "+15125551234", "msg_abc123", "msg_def456", "msg_ghi789", (*process).post},
	{"v21", "+15125555678", "90071992547409931", "90071992547409941", "90071992547409951", (*process).postSigned},
}

// TestBothDialects tells one story in each dialect to one daemon: two texts, a
// delivery, a failure, a STOP and a START.
func TestBothDialects(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{justcall: signedAccount})
	p := st.daemon()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := &story{st: st.of(t), p: p.of(t), dialect: d}
			s.texts()
			s.statuses()
			s.consent()
		})
	}
}

// story is one dialect's account of what happened.
type story struct {
	dialect
	st *stack
	p  *process
}

func (s *story) texts() {
	s.accepted("received", s.received, "sms.received")
	require.Equal(s.st.t, connectors.Written, s.st.result("main/" + s.received + "/sms.received").Deliveries["crm"].State)
	s.accepted("sent", s.sent, "sms.sent")
	require.Equal(s.st.t, connectors.Written, s.st.result("main/" + s.sent + "/sms.sent").Deliveries["crm"].State)
	in, out := s.st.message("main/"+s.received), s.st.message("main/"+s.sent)
	require.Equal(s.st.t, "inbound", in.Direction)
	require.Contains(s.st.t, in.Body, "schedule an appointment")
	require.Equal(s.st.t, "outbound", out.Direction)
	require.Contains(s.st.t, out.Body, "Tuesday at 10 works")
	require.Equal(s.st.t, in.Contact, out.Contact, "both stand on one timeline")
	require.Equal(s.st.t, s.contact().ID, in.Contact)
	require.Equal(s.st.t, "Sarah Chen", s.contact().Name)
	s.repeated()
}

// repeated posts the one event of 2.1 that means both kinds of text: it is the
// same text again.
func (s *story) repeated() {
	if s.name != "v21" {
		return
	}
	for sample, id := range map[string]string{"sent_received_in": s.received, "sent_received_out": s.sent} {
		eventually(s.st.t, time.Minute, "it is a duplicate", func() bool { return s.say(sample, id).Result == "duplicate" })
	}
	require.Equal(s.st.t, "ignored", s.say("status_sent", s.sent).Result)
}

func (s *story) statuses() {
	s.accepted(s.sample("delivered", "status_delivered"), s.sent, "sms.delivered")
	s.st.result("main/" + s.sent + "/sms.delivered")
	require.Equal(s.st.t, "delivered", s.st.message("main/"+s.sent).Status)

	// The samples of a failure are about a text of their own.
	text := bytes.ReplaceAll(justcalltest.Sample(s.name+"_sent"), []byte(s.sent), []byte(s.failing))
	require.Equal(s.st.t, "accepted", s.post(s.p, s.mine(text)).Result)
	s.accepted(s.sample("failed", "status_undelivered"), s.failing, "sms.failed")
	s.st.result("main/" + s.failing + "/sms.failed")
	require.Equal(s.st.t, "failed", s.st.message("main/"+s.failing).Status)
	require.Empty(s.st.t, s.st.crm.Doubles())
}

func (s *story) consent() {
	require.False(s.st.t, s.contact().OptedOut)
	require.Equal(s.st.t, "accepted", s.say("optout", "").Result)
	eventually(s.st.t, time.Minute, "the contact has opted out", func() bool { return s.contact().OptedOut })
	require.Equal(s.st.t, "duplicate", s.say("optout", "").Result, "a state that is told again does nothing")
	require.Equal(s.st.t, "accepted", s.say("optin", "").Result)
	eventually(s.st.t, time.Minute, "the contact has opted in", func() bool { return !s.contact().OptedOut })
}

// accepted posts a sample and expects a new event of that key.
func (s *story) accepted(sample, id, kind string) {
	s.st.t.Helper()
	a := s.say(sample, id)
	require.Equal(s.st.t, answer{Status: 200, Result: "accepted", Key: "main/" + id + "/" + kind}, a)
}

// say posts a sample, and expects it to be about the text with that id.
func (s *story) say(sample, id string) answer {
	s.st.t.Helper()
	body := justcalltest.Sample(s.name + "_" + sample)
	require.Contains(s.st.t, string(body), id)
	a := s.post(s.p, s.mine(body))
	require.Equal(s.st.t, 200, a.Status, a)
	return a
}

func (s *story) sample(classic, v21 string) string {
	if s.name == "classic" {
		return classic
	}
	return v21
}

// mine puts this dialect's number into a sample.
func (s *story) mine(sample []byte) []byte {
	return bytes.ReplaceAll(sample, []byte("15125551234"), []byte(s.number[1:]))
}

func (s *story) contact() connectortest.Contact {
	s.st.t.Helper()
	return s.st.contact(s.number)
}

// contact is the one contact that has the number.
func (st *stack) contact(number string) connectortest.Contact {
	st.t.Helper()
	var found []connectortest.Contact
	for _, c := range st.crm.Contacts() {
		if len(c.Phones) == 1 && c.Phones[0] == number {
			found = append(found, c)
		}
	}
	require.Len(st.t, found, 1, number)
	return found[0]
}

// postSigned posts a webhook to the URL without token, signed as JustCall does.
func (p *process) postSigned(body []byte) answer {
	p.st.t.Helper()
	a, err := send(http.MethodPost, p.url(""), signed(publicURL, body), bytes.NewReader(body))
	require.NoError(p.st.t, err)
	return a
}

// signed are the headers that a body of the 2.1 dialect comes with.
func signed(url string, body []byte) http.Header {
	return justcalltest.Sign(signingSecret, url, typeOf(body), time.Now())
}

// of is the same stack for a subtest, whose failures are its own.
func (st *stack) of(t *testing.T) *stack {
	s := *st
	s.t = t
	return &s
}

// of is the same daemon for a subtest.
func (p *process) of(t *testing.T) *process {
	return &process{st: p.st.of(t), address: p.address, admin: p.admin, config: p.config, log: p.log, cmd: p.cmd}
}

// typeOf is what the signature of a body covers beside the URL.
func typeOf(body []byte) string {
	var top struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(body, &top)
	return top.Type
}
