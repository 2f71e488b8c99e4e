package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// idSize is the length of a key's id in a sealed value, in bytes.
const idSize = 4

// Ring is a set of keys, of which the first seals and all open. The zero Ring
// has none: it seals nothing and opens nothing. It is safe for concurrent use.
type Ring struct{ keys []key }

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// ErrUnknownKey means that the value was sealed with a key that is not in the ring.
var ErrUnknownKey = errors.New("sealed with a key that is not in privacy.keys")

// errDamaged: the value is not what a Ring made, or was meant for another use.
var errDamaged = errors.New("the sealed value is damaged")

// NewRing makes a ring of keys of 32 random bytes each, newest first.
//
// A sealed value takes a random nonce of 96 bits, so one key is good for 2³²
// values (some hundred million texts) before a new one should be put in front.
func NewRing(keys [][]byte) (*Ring, error) {
	r := &Ring{}
	for _, secret := range keys {
		k, err := newKey(secret)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// newKey derives the key that seals, so that the same secret can serve for
// hashes too, and an id that tells nothing about either.
func newKey(secret []byte) (key, error) {
	sealing, err := hkdf.Key(sha256.New, secret, nil, "crmsync seal", 32)
	if err != nil {
		return key{}, fmt.Errorf("derive key: %w", err)
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "crmsync key id", idSize)
	if err != nil {
		return key{}, fmt.Errorf("derive key id: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return key{}, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, fmt.Errorf("make cipher: %w", err)
	}
	return key{id: [idSize]byte(id), aead: aead}, nil
}

func (r *Ring) all() []key {
	if r == nil {
		return nil
	}
	return r.keys
}

// Empty reports whether there is no key, so that nothing is sealed.
func (r *Ring) Empty() bool { return len(r.all()) == 0 }

// Seal encrypts with AES-256-GCM under the first key. What it is for must be
// given again to open it. Without a key it answers the value as it is.
func (r *Ring) Seal(plain []byte, purpose string) []byte {
	if r.Empty() {
		return plain
	}
	k := r.keys[0]
	return k.aead.Seal(k.id[:], nil, plain, []byte(purpose)) //nolint:gosec // G407: this AEAD makes a random nonce itself
}

// Open decrypts what Seal made with any key of the ring.
func (r *Ring) Open(sealed []byte, purpose string) ([]byte, error) {
	if len(sealed) < idSize {
		return nil, errDamaged
	}
	id := [idSize]byte(sealed)
	for _, k := range r.all() {
		if k.id != id {
			continue
		}
		plain, err := k.aead.Open(nil, nil, sealed[idSize:], []byte(purpose))
		if err != nil {
			return nil, errDamaged
		}
		return plain, nil
	}
	return nil, fmt.Errorf("key %s: %w", hex.EncodeToString(id[:]), ErrUnknownKey)
}

// keyID names the key of a sealed value, for those who look at it.
func keyID(sealed []byte) string { return hex.EncodeToString(sealed[:min(idSize, len(sealed))]) }
