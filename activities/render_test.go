package activities_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/connectors"
	"crmsync/connectors/templates"
	"crmsync/sms"
)

// says has the connector's records made of templates; empty ones are the default.
func (w *world) says(subject, body string) {
	w.t.Helper()
	if subject != "" {
		w.inst.Templates.Subject = parsed(w.t, subject)
	}
	if body != "" {
		w.inst.Templates.Body = parsed(w.t, body)
	}
}

func parsed(t *testing.T, source string) *templates.Template {
	t.Helper()
	parsed, err := activities.ParseTemplate(source)
	require.NoError(t, err)
	return parsed
}

func TestRecordIsRendered(t *testing.T) {
	t.Parallel()
	picture := []sms.Media{{URL: "https://example.com/1"}, {URL: "https://example.com/2"}}
	at := time.Date(2026, 7, 1, 15, 4, 0, 0, time.UTC)
	in, out, bo := sms.Inbound, sms.Outbound, sms.Agent{Name: "Bo"}
	for name, c := range map[string]struct {
		m                         sms.Message
		subjectMadeOf, bodyMadeOf string
		subject, body             string
	}{
		"received":         {m: sms.Message{Direction: in, Line: line, Body: "hi"}, subject: "SMS received on +15125550100", body: "hi"},
		"for a person":     {m: sms.Message{Direction: in, Line: line, Body: "hi", Agent: bo}, subject: "SMS received on +15125550100 for Bo", body: "hi"},
		"sent by a person": {m: sms.Message{Direction: out, Line: line, Body: "hi", Agent: bo}, subject: "SMS sent by Bo from +15125550100", body: "hi"},
		"sent by itself":   {m: sms.Message{Direction: out, Body: "hi"}, subject: "SMS sent", body: "hi"},
		"with pictures":    {m: sms.Message{Direction: in, Body: "hi", Media: picture}, subject: "SMS received", body: "hi\nhttps://example.com/1\nhttps://example.com/2"},
		"pictures only":    {m: sms.Message{Direction: in, Media: picture}, subject: "SMS received", body: "https://example.com/1\nhttps://example.com/2"},
		"plain text":       {m: sms.Message{Direction: in, Body: "<b>{{.ID}}</b> & \"co\""}, subject: "SMS received", body: "<b>{{.ID}}</b> & \"co\""},
		"configured": {
			m:             sms.Message{Direction: out, Line: line, Contact: phone, Body: "hi", At: at, Medium: "api", ContactName: "Ada"},
			subjectMadeOf: "{{.Medium}}: {{.Line.National}}\nto {{.ContactName}}\n",
			bodyMadeOf:    "{{.At | in \"America/New_York\" | date \"15:04\"}} {{upper .Body}}\n",
			subject:       "api: 5125550100 to Ada", body: "11:04 HI",
		},
		"no subject, where there must be one": {
			m: sms.Message{Direction: in, Body: "hi"}, subjectMadeOf: "{{.Agent.Name}}", subject: "SMS received", body: "hi",
		},
		"not of this very text": {
			m: sms.Message{Direction: in, Body: "hi"}, subjectMadeOf: "{{if eq .Body \"hi\"}}{{index .Media 9}}{{end}}x",
			bodyMadeOf: "{{if eq .Body \"hi\"}}{{int .Body}}{{end}}x", subject: "SMS received", body: "hi",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.says(c.subjectMadeOf, c.bodyMadeOf)
			in := to("1")
			in.Event.Message = c.m
			_, err := w.deliver(in)
			require.NoError(t, err)
			require.Equal(t, c.subject, w.crm.records[0].Subject)
			require.Equal(t, c.body, w.crm.records[0].Body)
			require.Equal(t, c.m, w.crm.records[0].Message, "the text itself goes along")
		})
	}
}

// What a template fails on is not told to the log.
func TestErrorOfATemplateHoldsNothingOfTheText(t *testing.T) {
	t.Parallel()
	e := received()
	e.Message.Body = "private"
	body := parsed(t, `{{if eq .Body "private"}}{{int .Body}}{{end}}`)
	subject, text, err := activities.Templates{Body: body}.Render(e)
	require.EqualError(t, err, "body: a value is not a whole number, as int demands")
	require.Equal(t, "SMS received on +15125550100", subject)
	require.Equal(t, "private", text)
}

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{.Nobody}}":                              ".Nobody is not known here",
		"{{.Body":                                  "unclosed action",
		"{{.Body | shout}}":                        `function "shout" not defined; known are choose`,
		"{{range 100000000}}{{end}}":               "range needs a list",
		`{{.At | in "Mars" | date "15:04"}}`:       "there is no time zone of that name",
		"{{(index .Media 0).URL}}":                 "index out of range",
		strings.Repeat("x", 5000):                  "is longer than 4096 bytes",
		`{{printf "%999999d" 1}}`:                  "it becomes too long",
		"{{.Media}}":                               "cannot stand in a text",
		"{{if .Agent}}{{.Agent.Name}}{{end}}":      ".Agent is always there",
		"{{template \"x\"}}":                       "is not supported here",
		"{{range .Media}}{{break}}{{.URL}}{{end}}": "is not supported here",
	} {
		_, err := activities.ParseTemplate(source)
		require.ErrorContains(t, err, want, source)
	}
}

func TestNewContactIsOfItsTypeAndHasFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inst.Contacts.CreateAs = "lead"
	w.inst.Templates.Fields = map[string]*templates.Template{
		"source": parsed(t, "text to {{.Line}}"), "agent": parsed(t, "{{.Agent.Name}}"), "broken": parsed(t, `{{if eq .Body "hello"}}{{int .Body}}{{end}}x`),
	}
	out, err := w.deliver(live())
	require.NoError(t, err)
	require.True(t, out.Asked)
	var created connectors.NewContact
	w.crm.create = func(n connectors.NewContact) (connectors.Contact, error) {
		created = n
		return connectors.Contact{Ref: ref("new")}, nil
	}
	_, err = run[activities.Created](w, w.acts.CreateContact, w.temporal.asked())
	require.NoError(t, err)
	require.Equal(t, connectors.NewContact{
		Key: hash, Phone: phone, Name: "Ada", Email: "ada@example.com", Type: "lead",
		Fields: map[string]string{"source": "text to +15125550100"},
	}, created)
}

// The manual names everything that there is to be named, and shows the defaults.
func TestManualNamesWhatTemplatesSee(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/records.md")
	require.NoError(t, err)
	_, err = activities.ParseTemplate("{{.Nothing}}")
	_, known, found := strings.Cut(err.Error(), "known are ")
	require.True(t, found)
	for name := range strings.SplitSeq(known, ", ") {
		require.Contains(t, string(manual), "`"+name+"`")
	}
	require.Greater(t, strings.Count(known, ","), 10)
	require.Contains(t, string(manual), activities.DefaultSubject)
	require.Contains(t, string(manual), activities.DefaultBody)
}
