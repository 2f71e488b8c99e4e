package justcall

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The headers of a signed webhook, from developer.justcall.io.
const (
	HeaderSignature = "X-Justcall-Signature"
	HeaderVersion   = "X-Justcall-Signature-Version"
	HeaderTimestamp = "X-Justcall-Request-Timestamp"
)

// SignatureVersion is the only version there is.
const SignatureVersion = "v1"

// DefaultSkew is how far a request's timestamp may lie from now, either way. A
// repeated webhook may carry the timestamp of the first attempt.
const DefaultSkew = 15 * time.Minute

// Why a signature is not accepted.
var (
	// ErrUnsigned: the request carries no signature.
	ErrUnsigned = errors.New("webhook is not signed")
	// ErrMismatch: the signature is not made with any of the secrets, for this
	// URL and type; after a rotation or a wrong public_url it is every request's.
	ErrMismatch = errors.New("webhook signature does not match")
	// ErrStale: the signature is right and its timestamp is too far from now.
	ErrStale = errors.New("webhook signature is stale")
)

// Verify checks the signature of a request of the 2.1 dialect against each of
// the secrets, in constant time; empty secrets are passed over, since anyone
// could sign with them. The url is the configured public one, never the body's;
// typ is [Envelope.Type]. A skew of 0 means [DefaultSkew]. The error is one of
// ErrUnsigned, ErrMismatch and ErrStale.
//
// The vendor does not sign the body: whoever captures a request can send any
// body of the same type with its headers until they are stale.
func Verify(secrets []string, url, typ string, header http.Header, now time.Time, skew time.Duration) error {
	signature := header.Get(HeaderSignature)
	if signature == "" {
		return ErrUnsigned
	}
	if header.Get(HeaderVersion) != SignatureVersion {
		return fmt.Errorf("%w: its version is not %s", ErrMismatch, SignatureVersion)
	}
	stamp := header.Get(HeaderTimestamp)
	if !matches(secrets, url, typ, stamp, signature) {
		return ErrMismatch
	}
	at, err := time.Parse(time.DateTime, stamp)
	if err != nil {
		return fmt.Errorf("%w: its timestamp is not understood", ErrMismatch)
	}
	if skew <= 0 {
		skew = DefaultSkew
	}
	if now.Sub(at).Abs() > skew {
		return ErrStale
	}
	return nil
}

// matches tries every secret, so that the time taken does not tell which one it
// was.
func matches(secrets []string, url, typ, stamp, signature string) bool {
	given, err := hex.DecodeString(strings.TrimSpace(signature))
	if err != nil {
		return false
	}
	found := false
	for _, secret := range secrets {
		if secret != "" && hmac.Equal(given, mac(secret, url, typ, stamp)) {
			found = true
		}
	}
	return found
}

// Sign makes the signature of a request, as the vendor does: lower case hex.
func Sign(secret, url, typ, timestamp string) string {
	return hex.EncodeToString(mac(secret, url, typ, timestamp))
}

func mac(secret, url, typ, timestamp string) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(secret + "|" + encodeURIComponent(url) + "|" + typ + "|" + timestamp))
	return m.Sum(nil)
}

// encodeURIComponent is JavaScript's (ECMA-262 §19.2.6.4). Neither
// url.PathEscape nor url.QueryEscape gives the same.
func encodeURIComponent(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; unescaped(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upper[c>>4], upper[c&15]})
		}
	}
	return b.String()
}

func unescaped(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-_.!~*'()", c) >= 0
}
