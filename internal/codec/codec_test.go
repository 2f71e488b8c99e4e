package codec_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"crmsync/internal/codec"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func ring(t testing.TB, keys ...[]byte) *codec.Ring {
	t.Helper()
	r, err := codec.NewRing(keys)
	require.NoError(t, err)
	return r
}

type text struct{ From, Body string }

var sample = text{From: "+15125550100", Body: "Your table is ready"}

func TestPayloadsAreEncrypted(t *testing.T) {
	t.Parallel()
	data, _ := ring(t, key(1)).Converters()
	p, err := data.ToPayload(sample)
	require.NoError(t, err)
	wire, err := proto.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(wire), "5550100")
	require.NotContains(t, string(wire), "table")
	require.Equal(t, "binary/encrypted", string(p.Metadata["encoding"]))

	var back text
	require.NoError(t, data.FromPayload(p, &back))
	require.Equal(t, sample, back)

	again, err := data.ToPayload(sample)
	require.NoError(t, err)
	require.NotEqual(t, p.Data, again.Data, "equal texts do not show as equal")
}

// Keys rotate: the new one in front encrypts, the old ones still decrypt.
func TestRotation(t *testing.T) {
	t.Parallel()
	old, _ := ring(t, key(1)).Converters()
	both, _ := ring(t, key(2), key(1)).Converters()
	next, _ := ring(t, key(2)).Converters()
	p, err := old.ToPayload(sample)
	require.NoError(t, err)
	q, err := both.ToPayload(sample)
	require.NoError(t, err)

	var back text
	require.NoError(t, both.FromPayload(p, &back))
	require.NoError(t, next.FromPayload(q, &back))
	require.Equal(t, sample, back)
	require.NotEqual(t, p.Metadata["encryption-key-id"], q.Metadata["encryption-key-id"])
	require.ErrorIs(t, next.FromPayload(p, &back), codec.ErrUnknownKey)
	require.ErrorContains(t, next.FromPayload(p, &back), string(p.Metadata["encryption-key-id"]))
}

// Keys are added while workflows run: what was written before stays readable.
func TestPlainPayloadsStayReadable(t *testing.T) {
	t.Parallel()
	plain, _ := (&codec.Ring{}).Converters()
	p, err := plain.ToPayload(sample)
	require.NoError(t, err)
	require.Contains(t, string(p.Data), "table", "without keys nothing is encrypted")
	var back text
	data, _ := ring(t, key(1)).Converters()
	require.NoError(t, data.FromPayload(p, &back))
	require.Equal(t, sample, back)
}

func TestFailuresAreEncrypted(t *testing.T) {
	t.Parallel()
	_, failures := ring(t, key(1)).Converters()
	cause := errors.New("no contact has +15125550100")
	f := failures.ErrorToFailure(temporal.NewApplicationErrorWithOptions("contact of +15125550100", "NOT_FOUND",
		temporal.ApplicationErrorOptions{Cause: cause, Details: []any{sample}}))
	wire, err := proto.Marshal(f)
	require.NoError(t, err)
	require.NotContains(t, string(wire), "5550100")
	require.Equal(t, "NOT_FOUND", f.GetApplicationFailureInfo().GetType(), "workflows switch on the type")
	back := failures.FailureToError(f)
	require.ErrorContains(t, back, "contact of +15125550100")
	require.ErrorContains(t, errors.Unwrap(back), "no contact has +15125550100")
}

// A sealed value that is changed, cut, or moved to another use does not open.
func TestSealedValuesAreBound(t *testing.T) {
	t.Parallel()
	r := ring(t, key(1))
	sealed := r.Seal([]byte("contact 7"), "redis a")
	plain, err := r.Open(sealed, "redis a")
	require.NoError(t, err)
	require.Equal(t, "contact 7", string(plain))
	_, err = r.Open(sealed, "redis b")
	require.Error(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := r.Open(changed, "redis a")
		require.Error(t, err, "byte %d", i)
		_, err = r.Open(sealed[:i], "redis a")
		require.Error(t, err, "first %d bytes", i)
	}
}

func FuzzDecode(f *testing.F) {
	r := ring(f, key(1))
	data, _ := r.Converters()
	p, err := data.ToPayload(sample)
	require.NoError(f, err)
	for _, seed := range [][]byte{p.Data, nil, []byte("abcd"), []byte(strings.Repeat("x", 64)), r.Seal([]byte("no payload"), "temporal payload")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		var back text
		damaged := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("binary/encrypted")}, Data: sealed}
		if data.FromPayload(damaged, &back) == nil {
			require.Equal(t, sample, back, "only what the ring sealed opens")
		}
	})
}

// Without its key a payload is an error to an activity or a command, which try
// again or say so; a workflow must be blocked instead, since the SDK would fail
// it for good.
func TestALostKeyBlocksWorkflows(t *testing.T) {
	t.Parallel()
	data, _ := ring(t, key(1)).Converters()
	p, err := data.ToPayloads(sample)
	require.NoError(t, err)
	for name, r := range map[string]*codec.Ring{"another key": ring(t, key(2)), "no key": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, _ := r.Converters()
			var back text
			require.ErrorIs(t, data.FromPayloads(p, &back), codec.ErrUnknownKey)
			inWorkflow := data.(workflow.ContextAware).WithWorkflowContext(nil)
			require.Panics(t, func() { _ = inWorkflow.FromPayloads(p, &back) })
			require.Panics(t, func() { _ = inWorkflow.FromPayload(p.Payloads[0], &back) })
			plain, err := converter.GetDefaultDataConverter().ToPayload(1)
			require.NoError(t, err)
			require.Error(t, inWorkflow.FromPayload(plain, &back), "what is merely of another form is an error")
		})
	}
}
