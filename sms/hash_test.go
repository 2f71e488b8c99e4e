package sms_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/sms"
)

func TestHasher(t *testing.T) {
	t.Parallel()
	h := sms.NewHasher([]byte("a key of the test"))
	hash := h.Phone("+15125551234")

	require.Regexp(t, `^[0-9a-f]{32}$`, hash)
	require.Equal(t, hash, h.Phone("+15125551234"), "stable")
	require.NotEqual(t, hash, h.Phone("+15125551235"), "differs by number")
	require.NotEqual(t, hash, sms.NewHasher([]byte("another")).Phone("+15125551234"), "differs by key")
	require.NotContains(t, hash, "5125551234")
}

// The hashes are part of workflow ids and Redis keys: a change of the
// construction would lose what is under way.
func TestHasherIsFrozen(t *testing.T) {
	t.Parallel()
	h := sms.NewHasher([]byte("0123456789abcdef0123456789abcdef"))
	require.Equal(t, "65bf0ff04be5651e4d3a7da694299d34", h.Phone("+15125551234"))
	require.Equal(t, "546d6b74880973de159c02766eeff586", h.Email("ann@example.com"))
}

func TestHasherKeepsItsOwnKey(t *testing.T) {
	t.Parallel()
	key := []byte("a key of the test")
	h := sms.NewHasher(key)
	before := h.Phone("+15125551234")
	clear(key)
	require.Equal(t, before, h.Phone("+15125551234"))
}

func TestHasherWithoutKeySaysSo(t *testing.T) {
	t.Parallel()
	require.True(t, sms.NewHasher([]byte("k")).Keyed())
	require.False(t, sms.NewHasher(nil).Keyed())
	require.Equal(t, sms.Hasher{}.Phone("+15125551234"), sms.NewHasher(nil).Phone("+15125551234"))
}
