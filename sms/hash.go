package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// HashLength is the length of what [Hasher.Phone] answers, in characters.
const HashLength = 32

// The purposes keep these hashes apart from each other and from anything else
// that the same key is used for. They are persisted in effect: a change makes
// every hash a new one.
const (
	phonePurpose = "crmsync phone\x00"
	emailPurpose = "crmsync email\x00"
)

// Hasher gives a phone number a name that can be found again but not read back.
// It is used wherever a number must be part of a name that others see: workflow
// ids, Redis keys, log lines. The zero Hasher is one with an empty key. Safe
// for concurrent use.
type Hasher struct{ key []byte }

// NewHasher makes a Hasher with the deployment's hash key, which stays the same
// when encryption keys rotate. All processes of a deployment need the same key,
// and a new key makes new names.
// An empty key works and is the same everywhere, but whoever reads a hash can
// then find the number by trying all of them: it is for trials only, and the
// caller says so to the operator.
func NewHasher(key []byte) Hasher { return Hasher{key: slices.Clone(key)} }

// Keyed reports whether the Hasher has a key, so that its hashes hide numbers.
func (h Hasher) Keyed() bool { return len(h.key) > 0 }

// Phone answers the first [HashLength] hex digits of the HMAC-SHA256 of p in its
// canonical form. 128 bits make a collision of two numbers impossible in
// practice.
func (h Hasher) Phone(p Phone) string { return h.hash(phonePurpose + string(p)) }

// Email answers the same of an e-mail address, as it is spelt.
func (h Hasher) Email(address string) string { return h.hash(emailPurpose + address) }

func (h Hasher) hash(s string) string {
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(s))
	return hex.EncodeToString(mac.Sum(nil))[:HashLength]
}
