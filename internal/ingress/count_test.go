package ingress

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCountsByResult(t *testing.T) {
	t.Parallel()
	var c Counts
	require.Empty(t, c.Snapshot())
	for _, a := range []Answer{
		{Result: Accepted, Key: "main/msg_1/sms.received"},
		{Result: Accepted, Key: "main/msg_2/sms.received"},
		{Result: Ignored, Reason: "other_type"},
		{Result: Quarantined, Reason: "webhook: body: not a JSON object"},
	} {
		c.add(a)
	}
	require.Equal(t, map[string]int64{"accepted": 2, "ignored: other_type": 1, "quarantined": 1}, c.Snapshot())
}
