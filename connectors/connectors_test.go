package connectors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/sms"
)

type minimal struct{}

func (minimal) Check(context.Context) (connectors.Capabilities, error) {
	return connectors.Capabilities{}, nil
}
func (minimal) PutMessages(context.Context, []connectors.Record) []connectors.Outcome { return nil }

type finder struct{ minimal }

func (finder) FindContacts(context.Context, []sms.Phone) ([][]connectors.Contact, error) {
	return nil, nil
}

func TestCapabilitiesComeFromMethods(t *testing.T) {
	t.Parallel()
	require.Equal(t, connectors.Capabilities{Class: "A"}, connectors.CapabilitiesOf(minimal{}, connectors.ClassA))
	caps := connectors.CapabilitiesOf(finder{}, connectors.ClassB)
	require.Equal(t, connectors.Capabilities{Class: "B", Find: true}, caps)
	wide := connectors.Capabilities{Class: "C", Find: true, Create: true, Status: true, Consent: true, ReadBack: true}
	require.Equal(t, connectors.Capabilities{Class: "C", Find: true}, caps.Narrow(wide))
	require.Equal(t, connectors.Capabilities{}, caps.Narrow(connectors.Capabilities{}))
	require.Equal(t, connectors.Capabilities{Class: "D", Repeat: true}, caps.Narrow(connectors.Capabilities{Class: "D", Repeat: true}))
}

type definer struct{ minimal }

func (definer) Define(d connectors.Definition) connectors.Definition {
	d.MaxBatch, d.CallTimeout = 7, 0
	return d
}

func TestInstanceMayChangeItsDefinition(t *testing.T) {
	t.Parallel()
	d := connectors.Definition{Name: "a", MaxBatch: 1, CallTimeout: time.Second}
	require.Equal(t, 1, d.For(minimal{}).MaxBatch)
	own := d.For(definer{})
	require.Equal(t, 7, own.MaxBatch)
	require.Equal(t, connectors.DefaultCallTimeout, own.CallTimeout, "defaults fill in what it leaves empty")
	require.Equal(t, "a", own.Name)
}

func TestAsErrorKeepsOrDoubts(t *testing.T) {
	t.Parallel()
	known := &connectors.Error{Op: "put", Kind: connectors.Auth, Status: 401, Err: context.Canceled}
	require.Same(t, known, connectors.AsError("other", fmt.Errorf("wrapped: %w", known)))
	require.ErrorIs(t, known, context.Canceled)
	require.Equal(t, "put: AUTH (HTTP 401): context canceled", known.Error())
	unknown := connectors.AsError("put", errors.New("odd"))
	require.Equal(t, connectors.Unknown, unknown.Kind)
	require.True(t, unknown.Ambiguous)
	out := connectors.FailAll(2, known)
	require.Equal(t, connectors.Outcome{State: connectors.Failed, Err: known}, out[1])
}

func TestKindsThatRepeatingCannotHelp(t *testing.T) {
	t.Parallel()
	for kind, want := range map[connectors.Kind]bool{
		connectors.Unavailable: false, connectors.RateLimited: false, connectors.Unknown: false, connectors.Auth: false,
		connectors.Invalid: true, connectors.Forbidden: true, connectors.NotFound: true, connectors.Conflict: true, connectors.Unsupported: true,
	} {
		require.Equal(t, want, kind.Permanent(), kind)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	open := func(connectors.Config, connectors.Env) (connectors.Connector, error) { return minimal{}, nil }
	r, err := connectors.NewRegistry(connectors.Definition{Name: "b", Open: open, MaxBatch: 9}, connectors.Definition{Name: "a", Open: open})
	require.NoError(t, err)
	all := r.All()
	require.Equal(t, "a", all[0].Name)
	require.Equal(t, 1, all[0].MaxBatch)
	require.Equal(t, connectors.DefaultCallTimeout, all[0].CallTimeout)
	require.Equal(t, 10*time.Second, all[0].Settle)
	require.Equal(t, 9, all[1].MaxBatch)
	_, ok := r.Get("c")
	require.False(t, ok)

	_, err = connectors.NewRegistry(connectors.Definition{Name: "a", Open: open}, connectors.Definition{Name: "a", Open: open})
	require.ErrorContains(t, err, `"a" is defined twice`)
	_, err = connectors.NewRegistry(connectors.Definition{Name: "a"})
	require.ErrorContains(t, err, "needs a name and Open")
}

func TestRefs(t *testing.T) {
	t.Parallel()
	require.True(t, connectors.Ref{Type: "contact"}.Zero())
	require.True(t, connectors.Ref{Type: "lead", ID: "1", URL: "x"}.Same(connectors.Ref{Type: "lead", ID: "1"}))
	require.False(t, connectors.Ref{Type: "lead", ID: "1"}.Same(connectors.Ref{Type: "contact", ID: "1"}))
}
