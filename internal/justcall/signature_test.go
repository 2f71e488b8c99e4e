package justcall_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/justcall"
	"crmsync/internal/justcall/justcalltest"
)

// The vendor's own example, from developer.justcall.io.
const (
	vendorSecret    = "ea39089c40790e9dc7a080ec95e849b8fa0fa5fb"
	vendorURL       = "https://webhook.site/3bcea770-370a-4b09-8b66-426f687e08a4"
	vendorType      = "call.completed"
	vendorStamp     = "2024-03-21 17:08:22"
	vendorSignature = "56761bae5b27a784a3ddd2af828bc5def7176bc0a8650199b04c737bd39bbecf"
)

var vendorInstant = time.Date(2024, 3, 21, 17, 8, 22, 0, time.UTC)

func TestSignIsTheVendors(t *testing.T) {
	t.Parallel()
	require.Equal(t, vendorSignature, justcall.Sign(vendorSecret, vendorURL, vendorType, vendorStamp))
	h := justcalltest.Sign(vendorSecret, vendorURL, vendorType, vendorInstant)
	require.Equal(t, vendorSignature, h.Get("x-justcall-signature"))
	require.Equal(t, vendorStamp, h.Get("x-justcall-request-timestamp"))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		secrets []string
		url     string
		typ     string
		change  func(http.Header)
		late    time.Duration
		skew    time.Duration
		want    error
	}{
		"the vendor's example":             {},
		"second of two secrets":            {secrets: []string{"new", vendorSecret}},
		"first of two secrets":             {secrets: []string{vendorSecret, "old"}},
		"at the end of the window":         {late: 15 * time.Minute},
		"at its beginning, a clock ahead":  {late: -15 * time.Minute},
		"a wider window":                   {late: time.Hour, skew: 2 * time.Hour},
		"upper case hex":                   {change: upperSignature},
		"after the window":                 {late: 15*time.Minute + time.Second, want: justcall.ErrStale},
		"before the window":                {late: -15*time.Minute - time.Second, want: justcall.ErrStale},
		"a narrower window":                {late: time.Minute, skew: time.Second, want: justcall.ErrStale},
		"another secret":                   {secrets: []string{"other"}, want: justcall.ErrMismatch},
		"no secret":                        {secrets: []string{}, want: justcall.ErrMismatch},
		"another url":                      {url: vendorURL + "/", want: justcall.ErrMismatch},
		"another type":                     {typ: "sms.received", want: justcall.ErrMismatch},
		"wrong and stale is wrong":         {secrets: []string{"other"}, late: time.Hour, want: justcall.ErrMismatch},
		"no headers":                       {change: dropAll, want: justcall.ErrUnsigned},
		"no signature":                     {change: set(justcall.HeaderSignature, ""), want: justcall.ErrUnsigned},
		"another version":                  {change: set(justcall.HeaderVersion, "v2"), want: justcall.ErrMismatch},
		"no version":                       {change: set(justcall.HeaderVersion, ""), want: justcall.ErrMismatch},
		"no timestamp":                     {change: set(justcall.HeaderTimestamp, ""), want: justcall.ErrMismatch},
		"another timestamp":                {change: set(justcall.HeaderTimestamp, "2024-03-21 17:08:23"), want: justcall.ErrMismatch},
		"a signature that is no hex":       {change: set(justcall.HeaderSignature, "zz"), want: justcall.ErrMismatch},
		"a part of the signature":          {change: set(justcall.HeaderSignature, vendorSignature[:62]), want: justcall.ErrMismatch},
		"an empty secret signs for nobody": {secrets: []string{""}, change: signEmpty, want: justcall.ErrMismatch},
		"an odd timestamp, signed":         {change: signOddStamp, want: justcall.ErrMismatch},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := justcalltest.Sign(vendorSecret, vendorURL, vendorType, vendorInstant)
			if c.change != nil {
				c.change(h)
			}
			if c.secrets == nil {
				c.secrets = []string{vendorSecret}
			}
			err := justcall.Verify(c.secrets, or(c.url, vendorURL), or(c.typ, vendorType), h, vendorInstant.Add(c.late), c.skew)
			require.ErrorIs(t, err, c.want)
			if err != nil {
				require.NotContains(t, err.Error(), vendorSecret)
				require.NotContains(t, err.Error(), vendorSignature)
			}
		})
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func set(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
func dropAll(h http.Header)                    { clear(h) }
func upperSignature(h http.Header)             { h.Set(justcall.HeaderSignature, strings.ToUpper(vendorSignature)) }

func signEmpty(h http.Header) {
	h.Set(justcall.HeaderSignature, justcall.Sign("", vendorURL, vendorType, vendorStamp))
}

func signOddStamp(h http.Header) {
	h.Set(justcall.HeaderTimestamp, "yesterday")
	h.Set(justcall.HeaderSignature, justcall.Sign(vendorSecret, vendorURL, vendorType, "yesterday"))
}

func FuzzSignature(f *testing.F) {
	f.Add(vendorSecret, vendorURL, vendorType, vendorSignature, "v1", vendorStamp)
	f.Add("s", "https://sms.example.com/a b?c=d&e=é", "sms.received", "00", "v1", "2026-03-12 8:25:43")
	f.Add("", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, secret, url, typ, signature, version, stamp string) {
		h := http.Header{justcall.HeaderSignature: {signature}, justcall.HeaderVersion: {version}, justcall.HeaderTimestamp: {stamp}}
		err := justcall.Verify([]string{secret}, url, typ, h, vendorInstant, 0)
		known := errors.Is(err, justcall.ErrUnsigned) || errors.Is(err, justcall.ErrMismatch) || errors.Is(err, justcall.ErrStale)
		require.True(t, err == nil || known, "every error is one of three")
		if err == nil {
			require.Equal(t, justcall.Sign(secret, url, typ, stamp), strings.ToLower(strings.TrimSpace(signature)))
		}
		signed := justcalltest.Sign(secret, url, typ, vendorInstant)
		require.Equal(t, secret != "", justcall.Verify([]string{secret}, url, typ, signed, vendorInstant, 0) == nil,
			"what is signed verifies, except with no secret")
	})
}
