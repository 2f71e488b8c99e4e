package messages

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/workflows"
)

const (
	ofTheDeployment = "TaskQueue = 'sms' AND ExecutionStatus != 'ContinuedAsNew' AND "
	anyType         = ofTheDeployment + "WorkflowType IN ('SyncEvent', 'SyncConsent', 'Quarantine')"
)

// queries are what Temporal's list is asked for a filter.
func queries(t *testing.T, f Filter) []string {
	t.Helper()
	m := desk(t)
	require.NoError(t, m.Check(f))
	var asked []string
	for _, part := range f.parts() {
		lookups, err := m.lookups(part)
		require.NoError(t, err)
		for _, l := range lookups {
			asked = append(asked, l.query)
		}
	}
	return asked
}

func TestQueries(t *testing.T) {
	t.Parallel()
	number := desk(t).Hasher.Phone("+15125551234")
	readings, err := desk(t).hashes("(512) 555-1234")
	require.NoError(t, err)
	require.Len(t, readings, 2, "one for each region")
	require.Contains(t, readings, number)
	for name, c := range map[string]struct {
		filter Filter
		want   []string
	}{
		"everything": {Filter{}, []string{anyType}},
		"parked": {
			Filter{State: "parked"},
			[]string{anyType + " AND ExecutionStatus = 'Running' AND sms_state = 'parked'"},
		},
		"open, also what was started without attributes": {
			Filter{State: "open"},
			[]string{anyType + " AND ExecutionStatus = 'Running' AND (sms_state IN ('parked', 'syncing') OR sms_state IS NULL)"},
		},
		"ended by hand": {
			Filter{State: "ended"},
			[]string{anyType + " AND ExecutionStatus IN ('Terminated', 'Canceled', 'Failed', 'TimedOut')"},
		},
		"one connector's, parked with an error": {
			Filter{State: "parked", Connector: "close", Error: "INVALID"},
			[]string{anyType + " AND ExecutionStatus = 'Running' AND sms_state = 'parked' AND sms_deliveries = 'close=parked' AND sms_deliveries = 'close!INVALID'"},
		},
		"any connector's with an error": {
			Filter{Error: "INVALID"},
			[]string{anyType + " AND sms_deliveries IN ('text!INVALID', 'close!INVALID', 'hubspot!INVALID')"},
		},
		"one kind of one account since then": {
			Filter{Kind: "received", Account: "uk", Since: time.Date(2026, 12, 1, 9, 0, 0, 0, time.FixedZone("", 3600))},
			[]string{ofTheDeployment + "sms_kind = 'sms.received' AND WorkflowId STARTS_WITH 'uk/' AND StartTime >= '2026-12-01T08:00:00Z'"},
		},
		"consent": {Filter{Kind: "consent"}, []string{ofTheDeployment + "WorkflowType = 'SyncConsent'"}},
		"a message id": {
			Filter{Keys: []string{"msg_1"}},
			[]string{anyType + " AND (WorkflowId = 'msg_1' OR WorkflowId STARTS_WITH 'msg_1@'" +
				" OR WorkflowId STARTS_WITH 'msg_1/sms.' OR WorkflowId STARTS_WITH 'main/msg_1/sms.' OR WorkflowId STARTS_WITH 'uk/msg_1/sms.')"},
		},
		"a number, and another": {
			Filter{Keys: []string{"+15125551234"}, Number: "(512) 555-1234"},
			[]string{anyType + " AND sms_contact = '" + number + "'", anyType + " AND sms_contact IN ('" + readings[0] + "', '" + readings[1] + "')"},
		},
		"a record's id": {
			Filter{Keys: []string{"4711"}, Connector: "close", State: "done"},
			[]string{
				anyType + " AND ExecutionStatus = 'Completed' AND sms_state = 'done' AND " + ofClose + " AND (WorkflowId = '4711' OR WorkflowId STARTS_WITH '4711@'" +
					" OR WorkflowId STARTS_WITH '4711/sms.' OR WorkflowId STARTS_WITH 'main/4711/sms.' OR WorkflowId STARTS_WITH 'uk/4711/sms.')",
				anyType + " AND ExecutionStatus = 'Completed' AND sms_state = 'done' AND " + ofClose + " AND sms_deliveries = 'close#4711'",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, queries(t, c.filter))
		})
	}
}

const ofClose = "sms_deliveries IN ('close=parked', 'close=syncing', 'close=written', 'close=existed', 'close=not_applicable', 'close=skipped', 'close=superseded', 'close=adopted')"

// Ids come from outside: none may break out of its quotes. Those that the server
// cannot be asked for are looked for by their beginning.
func TestHostileKeys(t *testing.T) {
	t.Parallel()
	require.Equal(t, `'a\' OR \'1\'=\'1\\'`, quote(`a' OR '1'='1\`))
	for _, key := range []string{`x' OR WorkflowId != 'y`, `x\' OR 1=1 --`, `x"`} {
		asked := queries(t, Filter{Keys: []string{key}})
		require.Equal(t, []string{anyType + " AND (WorkflowId STARTS_WITH 'x' OR WorkflowId STARTS_WITH 'main/x' OR WorkflowId STARTS_WITH 'uk/x')"}, asked)
	}
	asked := queries(t, Filter{Keys: []string{`'`}})
	require.Equal(t, []string{anyType + " AND (WorkflowId STARTS_WITH 'main/' OR WorkflowId STARTS_WITH 'uk/')"}, asked)
	asked = queries(t, Filter{Error: `' OR 1=1 OR 'a'='`, Connector: "close"})
	require.Equal(t, 1, strings.Count(asked[0], `'close!\' OR 1=1 OR \'a\'=\''`), asked)
	asked = queries(t, Filter{Keys: []string{`r' OR 1=1`}, Connector: "close"})
	require.Contains(t, asked[1], "sms_deliveries = 'close#sha256:")
}

// What the list answers for a beginning is a little more than the key names.
func TestWhatAKeyNames(t *testing.T) {
	t.Parallel()
	m := desk(t)
	for key, c := range map[string]struct{ is, not []string }{
		"main/msg_1/sms.received": {
			is:  []string{"main/msg_1/sms.received", "main/msg_1/sms.received@close"},
			not: []string{"main/msg_1/sms.received/sms.sent", "main/msg_1/sms.sent", "uk/msg_1/sms.received"},
		},
		"main/msg_1": {
			is:  []string{"main/msg_1/sms.received", "main/msg_1/sms.failed", "main/msg_1/sms.failed@close"},
			not: []string{"main/msg_10/sms.received", "main/msg_1/sms.received/sms.sent", "uk/msg_1/sms.sent"},
		},
		"msg_1":             {is: []string{"main/msg_1/sms.sent", "uk/msg_1/sms.sent@close"}, not: []string{"main/a/msg_1/sms.sent", "other/msg_1/sms.sent"}},
		"main":              {not: []string{"main/sms.sent/sms.sent", "main/msg_1/sms.sent", "main/consent/abc"}},
		"main/consent/abc":  {is: []string{"main/consent/abc"}},
		"a@b":               {is: []string{"main/a@b/sms.sent", "main/a@b/sms.sent@close"}, not: []string{"main/a/sms.sent"}},
		"x/sms.sent@y":      {is: []string{"main/x/sms.sent@y/sms.sent"}},
		"main/x/sms.sent@y": {is: []string{"main/x/sms.sent@y", "main/x/sms.sent@y/sms.sent"}},
	} {
		named := m.named(key)
		for _, id := range c.is {
			require.True(t, named(id), "%s names %s", key, id)
		}
		for _, id := range c.not {
			require.False(t, named(id), "%s does not name %s", key, id)
		}
	}
}

func TestFiltersThatMeanNothing(t *testing.T) {
	t.Parallel()
	m := desk(t)
	for want, f := range map[string]Filter{
		"unknown state":              {State: "lost"},
		"unknown kind":               {Kind: "mms"},
		"an empty KEY names nothing": {Keys: []string{""}},
		"no phone number":            {Keys: []string{"+"}},
		"country code":               {Number: "55512345678901234567890"},
	} {
		err := m.Check(f)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "555", "no number in an error")
	}
	require.ErrorContains(t, m.CheckTo([]string{"close", "pipedrive"}), `"pipedrive" is not configured: there are close, hubspot`)
	require.NoError(t, m.CheckTo([]string{"close"}))
	for _, state := range States {
		require.NoError(t, m.Check(Filter{State: state}))
	}
}

// What was removed from the configuration may have left something behind.
func TestFiltersMayNameWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	m := desk(t)
	removed := Filter{Connector: "pipedrive", Account: "us"}
	require.NoError(t, m.Check(removed))
	require.Len(t, m.Strange(removed), 2)
	require.Empty(t, m.Strange(Filter{Connector: "close", Account: "main"}))
	require.Empty(t, m.Strange(Filter{}))
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	require.False(t, Filter{State: workflows.StateParked, Limit: 3}.Narrow())
	require.True(t, Filter{Kind: "text"}.Narrow())
	require.True(t, Filter{Since: time.Now()}.Narrow())
}
