package sms_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/sms"
)

func TestParsePhone(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, raw, region string
		want              sms.Phone // "" for an error
	}{
		{"E.164", "+15125551234", "US", "+15125551234"},
		{"E.164 of another country", "+447911123456", "US", "+447911123456"},
		{"E.164 needs no region", "+15125551234", "", "+15125551234"},
		{"written by a person", " (512) 555-1234 ", "US", "+15125551234"},
		{"with dots", "512.555.1234", "US", "+15125551234"},
		{"national", "5125551234", "US", "+15125551234"},
		{"national with a trunk zero", "07911 123456", "GB", "+447911123456"},
		{"national needs its region", "07911 123456", "US", ""},
		{"without +", "15125551234", "US", "+15125551234"},
		{"without +, from abroad", "447911123456", "US", "+447911123456"},
		{"national before international", "15125551234", "DE", "+4915125551234"},
		{"dialled from the US", "01115125551234", "US", "+15125551234"},
		{"dialled from elsewhere", "0015125551234", "US", "+15125551234"},
		{"two plus signs", "++15125551234", "US", "+15125551234"},
		{"reserved for fiction", "+15125550100", "US", "+15125550100"},
		{"not assigned, yet possible", "+15550001111", "US", "+15550001111"},
		{"digits of another script", "５１２５５５１２３４", "US", "+15125551234"},
		{"a NUL behind it", "+15125551234\x00", "US", "+15125551234"},

		{"extension", "+15125551234 ext 5", "US", "+15125551234"},
		{"extension, short", "512-555-1234 x12", "US", "+15125551234"},
		{"extension, RFC 3966", "tel:+1-512-555-1234;ext=5", "US", "+15125551234"},
		{"extension, with a mark", "+15125551234#5", "US", "+15125551234"},
		{"a scheme", "sms:+15125551234", "US", "+15125551234"},

		{"short code", "72345", "US", "72345"},
		{"short code of six digits", "723456", "US", "723456"},
		{"short code with +", "+72345", "US", "72345"},
		{"emergency number", "911", "US", "911"},
		{"short code of eight digits", "12345678", "US", "12345678"},
		{"no landline texts without its area code", "345678", "DE", "345678"},
		{"but a mobile phone of six digits does", "211234", "FO", "+298211234"},
		{"too short", "12", "US", ""},

		{"name", "Acme", "US", "ACME"},
		{"name with a digit", "Bank4U", "US", "BANK4U"},
		{"name with a space", "Acme Inc", "US", "ACME INC"},
		{"name that ends like an extension", "MAX5", "US", "MAX5"},
		{"name that ends on a word for it", "Next 123", "US", "NEXT 123"},
		{"vanity number", "1-800-FLOWERS", "US", "1-800-FLOWERS"},
		{"name that is too long", strings.Repeat("A", 33), "US", ""},
		{"name with +", "+ACME", "US", ""},
		{"name in another script", "Müller", "US", ""},
		{"name with a line break", "ACME\nINC", "US", ""},

		{"empty", "", "US", ""},
		{"blank", " \t", "US", ""},
		{"a plus sign", "+", "US", ""},
		{"marks", "()-", "US", ""},
		{"zero", "+0", "US", ""},
		{"no such country", "+999123456789", "US", ""},
		{"a digit too few", "+1512555123", "US", ""},
		{"a digit too many", "+151255512345", "US", ""},
		{"no area code", "+15551234", "US", ""},
		{"two numbers", "+15125551234,+15125551235", "US", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := sms.ParsePhone(c.raw, c.region)
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == "", err != nil)
			if err != nil {
				require.NotRegexp(t, `[0-9]`, err.Error(), "an error never repeats the number")
				return
			}
			again, err := sms.ParsePhone(string(got), c.region)
			require.NoError(t, err)
			require.Equal(t, got, again, "a canonical form parses to itself")
		})
	}
	_, err := sms.ParsePhone(" ", "US")
	require.ErrorIs(t, err, sms.ErrNoNumber)
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for p, want := range map[sms.Phone]struct {
		e164     bool
		national string
	}{
		"+15125551234":  {true, "5125551234"},
		"+447911123456": {true, "7911123456"},
		"+390612345678": {true, "0612345678"}, // Italy keeps its zero
		"72345":         {false, "72345"},
		"ACME":          {false, ""},
		"":              {false, ""},
	} {
		require.Equal(t, want.e164, p.E164(), p)
		require.Equal(t, want.national, p.National(), p)
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, raw := range []string{
		"+15125551234", "(512) 555-1234 x5", "tel:+1-512-555-1234;ext=5", "447911123456", "0015125551234", "72345", "+72345",
		"Acme", "Bank 4U", "+ACME", "1-800-FLOWERS", "５１２", "\x00", "+", "#1", "x1", "tel:", "sms:ext 5", "211234",
	} {
		f.Add(raw, "US")
		f.Add(raw, "DE")
	}
	f.Add("211234", "FO")
	f.Add("+31000000", "NL")
	f.Add("sms:sms:", "0")
	f.Add("201+0000", "DE")
	f.Add("810010000000000000", "0")
	f.Add("7>\x99\x99\x99\x993\x99\x99\x99\x9930505", "AS")
	f.Fuzz(func(t *testing.T, raw, region string) {
		p, err := sms.ParsePhone(raw, region)
		if err != nil {
			require.Empty(t, p)
			return
		}
		require.NotEmpty(t, p)
		require.LessOrEqual(t, len(p), sms.MaxSenderLength)
		require.Regexp(t, `^(\+[1-9][0-9]{3,14}|[0-9]{3,8}|[ -*,-~][ -~]*)$`, string(p))
		require.Equal(t, p[0] == '+', p.E164())
		_ = p.National()
		again, err := sms.ParsePhone(string(p), region)
		require.NoError(t, err, "canonical: %q", p)
		require.Equal(t, p, again)
	})
}
