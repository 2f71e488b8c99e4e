package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors"
	"crmsync/connectors/all"
	"crmsync/connectors/connectortest"
)

// instanceOf opens the connector named crm of a configuration.
func instanceOf(t *testing.T, c *config.Config) *activities.Instance {
	t.Helper()
	registry, err := connectors.NewRegistry(append(all.Connectors(), connectortest.Definition(connectortest.Options{MaxBatch: 2}))...)
	require.NoError(t, err)
	instances, err := openInstances(c, registry, way{})
	require.NoError(t, err)
	return instances["crm"]
}

func TestCheckNamesOwnersWhomTheCRMDoesNotKnow(t *testing.T) {
	t.Parallel()
	const text = `
justcall:
  main:
    agents: { "7": ann@example.com, "8": old@example.com }
    lines: { "+15125550100": line@example.com }
  other: { agents: { "9": other@example.com } }
connectors:
  crm: { type: %s, base_url: %s, accounts: [main], owner: { from: %s, default: ops@example.com } }
`
	crm := connectortest.NewCRM(connectortest.CRMOptions{})
	crm.AddOwner("ann@example.com")
	base := crm.Start(t)
	const old, line, ops = "warning connectors.crm: no user of this CRM has the address old@example.com of justcall.main.agents.8\n",
		"warning connectors.crm: no user of this CRM has the address line@example.com of justcall.main.lines.+15125550100\n",
		"warning connectors.crm: no user of this CRM has the address ops@example.com of connectors.crm.owner.default\n"
	for from, want := range map[string]string{
		"[agent, line]": old + line + ops, "[agent]": old + ops, "[line]": line + ops, "[]": ops,
	} {
		c := parse(t, fmt.Sprintf(text, "testcrm", base, from))
		var f findings
		f.owners(t.Context(), c, instanceOf(t, c))
		require.Equal(t, want, f.lines(), from)
	}
	crm.AddOwner("ops@example.com")
	c := parse(t, fmt.Sprintf(text, "testcrm", base, "[contact]"))
	var f findings
	f.owners(t.Context(), c, instanceOf(t, c))
	require.Empty(t, f)

	crm.SetFaults(func(f *connectortest.Faults) { f.Down = true })
	f.owners(t.Context(), c, instanceOf(t, c))
	require.Contains(t, f.lines(), "warning connectors.crm: users cannot be looked up")

	c, f = parse(t, fmt.Sprintf(text, "http, class: B, check: { path: /me }, put_message: { path: /texts, body: '{}', result: { id: body.id } }", base, "[]")), nil
	f.owners(t.Context(), c, instanceOf(t, c))
	require.Equal(t, "warning connectors.crm: this CRM offers no way to look users up, so connectors.crm.owner.default has no effect here\n", f.lines())
}

// Who asks for what a CRM cannot do is told, since both records would stand there.
func TestCheckWarnsWhereNothingCanBeAdopted(t *testing.T) {
	t.Parallel()
	for class, warned := range map[connectors.Class]bool{"A": true, "B": false} {
		base := connectortest.NewCRM(connectortest.CRMOptions{Class: class}).Start(t)
		c := parse(t, fmt.Sprintf("justcall: { main: {} }\nconnectors: { crm: { type: testcrm, base_url: %s, class: %s, adopt: true } }", base, class))
		instance := instanceOf(t, c)
		require.Equal(t, activities.Adoption{On: true, Wait: 2 * time.Minute}, instance.Adoption)
		var f findings
		f.connector(t.Context(), c, instance)
		require.Equal(t, warned, strings.Contains(f.lines(), "warning connectors.crm: adopt has no effect"), f.lines())
	}
}

func TestStaffIsOfItsAccount(t *testing.T) {
	t.Parallel()
	all := staff(parse(t, `
justcall:
  main: { agents: { Ann Lee: ann@example.com }, lines: { "+15125550100": line@example.com } }
  other: {}
`))
	require.Equal(t, "ann@example.com", all["main"].Agents["ann lee"], "however it is spelt")
	require.Equal(t, "line@example.com", all["main"].Lines["+15125550100"])
	require.Empty(t, all["other"].Agents)
}
