package phones_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors/phones"
	"crmsync/sms"
)

func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range phones.Cases() {
		require.Equal(t, c.Same, phones.Same(c.Phone, c.Stored), c.Name)
	}
}

func TestSpellingsMeanTheNumber(t *testing.T) {
	t.Parallel()
	for _, c := range phones.Cases() {
		for _, s := range phones.Spellings(c.Phone) {
			require.True(t, phones.Same(c.Phone, s), "%s: %q", c.Name, s)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"+15125550100", "15125550100", "5125550100", "(512) 555-0100", "+1 512-555-0100", "1 512-555-0100", "0015125550100",
		"512-555-0100", "512.555.0100", "512 555 0100", "+1-512-555-0100", "+1.512.555.0100", "+1 512 555 0100",
	}, phones.Spellings("+15125550100"))
	require.Equal(t, []string{"72345"}, phones.Spellings("72345"))
	require.Equal(t, []string{"ACME"}, phones.Spellings("ACME"))
	require.Contains(t, phones.Spellings("+442079460958"), "020 7946 0958")
	require.False(t, slices.Contains(phones.Spellings("+442079460958"), ""))
}

func TestRegion(t *testing.T) {
	t.Parallel()
	for p, want := range map[sms.Phone]string{"+15125550100": "US", "+4915112345678": "DE", "72345": "", "ACME": ""} {
		require.Equal(t, want, phones.Region(p), p)
	}
}
