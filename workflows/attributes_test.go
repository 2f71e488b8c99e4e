package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"crmsync/workflows"
)

// Databases index 255 bytes of a value.
func TestRecordValueCanAlwaysBeIndexed(t *testing.T) {
	t.Parallel()
	require.Equal(t, "hubspot#42", workflows.RecordValue("hubspot", "42"))
	fits := strings.Repeat("x", 255-len("hubspot#"))
	require.Equal(t, "hubspot#"+fits, workflows.RecordValue("hubspot", fits))

	long := workflows.RecordValue("hubspot", fits+"y")
	require.Len(t, long, len("hubspot#sha256:")+64)
	require.Equal(t, long, workflows.RecordValue("hubspot", fits+"y"))
	require.NotEqual(t, long, workflows.RecordValue("hubspot", fits+"z"))
	require.Regexp(t, `^hubspot#sha256:`, workflows.RecordValue("hubspot", `a"b`))
}

func TestTextsStartWithTheirDeliveries(t *testing.T) {
	t.Parallel()
	a := workflows.AttributesOf("two-parts")
	require.Equal(t, "two_parts_deliveries", a.Deliveries.GetName())
	list, ok := a.Start("main", "sms.received", "hash", []string{"close", "hubspot"}).GetKeywordList(a.Deliveries)
	require.True(t, ok)
	require.Equal(t, []string{"close=syncing", "hubspot=syncing"}, list)
	_, ok = a.Start("main", "sms.delivered", "", nil).GetKeywordList(a.Deliveries)
	require.False(t, ok)
}

func TestSyncing(t *testing.T) {
	t.Parallel()
	a := workflows.AttributesOf("two-parts")
	payload, err := converter.GetDefaultDataConverter().ToPayload([]string{"close=written", "hubspot=syncing"})
	require.NoError(t, err)
	found := &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"two_parts_deliveries": payload}}
	require.True(t, a.Syncing(found, "hubspot"))
	require.False(t, a.Syncing(found, "close"))
	require.False(t, a.Syncing(found, "spot"))
	require.False(t, workflows.AttributesOf("other").Syncing(found, "hubspot"))
	require.False(t, a.Syncing(nil, "hubspot"), "a workflow that was started without attributes")
}
