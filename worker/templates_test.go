package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/all"
	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

func TestTemplatesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	c := parse(t, `
justcall: { main: {} }
connectors:
  crm:
    type: sandbox
    base_url: http://127.0.0.1:1
    contacts: { create_as: lead, fields: { source: "{{.Line}}", empty: "" } }
    templates: { subject: "Text", body: "{{.Phone}}" }
`)
	inst := instanceOf(t, c)
	require.Equal(t, "lead", inst.Contacts.CreateAs)
	require.Len(t, inst.Templates.Fields, 2)
	e := sms.Event{Account: "main", Message: sms.Message{ID: "1", Contact: "+15125550143"}}
	subject, body, err := inst.Templates.Render(e)
	require.NoError(t, err)
	require.Equal(t, "Text", subject)
	require.Equal(t, "+15125550143", body)
	require.Equal(t, "+15125550143", (&rehearsal{inst: inst, phone: "+15125550143"}).text("test/1").Body, "a trial shows it, too")

	_, err = templatesOf(parse(t, "justcall: { main: {} }\nconnectors: { crm: { type: sandbox } }").Connectors["crm"])
	require.NoError(t, err)
}

func TestProblemsOfTemplatesHaveTheirPlace(t *testing.T) {
	t.Parallel()
	c := parse(t, `
justcall: { main: {} }
connectors:
  crm:
    type: sandbox
    base_url: http://127.0.0.1:1
    templates:
      subject: "{{.Subject}}"
      body: "{{range 9}}{{end}}"
    contacts:
      fields:
        source: "{{"
`)
	registry, err := connectors.NewRegistry(all.Connectors()...)
	require.NoError(t, err)
	_, err = openInstances(c, registry, way{})
	require.ErrorContains(t, err, "crmsync.yaml:8: connectors.crm.templates.subject: .Subject is not known here; known are .Account, ")
	require.ErrorContains(t, err, "crmsync.yaml:9: connectors.crm.templates.body: range needs a list, and 9 is none")
	require.ErrorContains(t, err, "crmsync.yaml:12: connectors.crm.contacts.fields.source: unclosed action")
}

func TestCheckWarnsWhereWhatTextsSayIsLeftOut(t *testing.T) {
	t.Parallel()
	for body, left := range map[string]bool{`"{{.Phone}}"`: true, `"{{.Body}}"`: false} {
		c := parse(t, "justcall: { main: {} }\nconnectors: { crm: { type: testcrm, templates: { body: "+body+" }, base_url: "+
			connectortest.NewCRM(connectortest.CRMOptions{}).Start(t)+" } }")
		inst := instanceOf(t, c)
		var f findings
		f.connector(t.Context(), c, inst)
		if left {
			require.Contains(t, f.lines(), "warning connectors.crm: templates.body does not name .Body")
		} else {
			require.NotContains(t, f.lines(), "templates.body")
		}
	}
}
