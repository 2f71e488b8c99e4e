package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// keySize is the length of a privacy key in bytes.
const keySize = 32

// Privacy holds the keys of payload encryption and of keyed hashes.
type Privacy struct {
	// Keys are 32 random bytes each, in hex or base64. The first one encrypts,
	// all decrypt: a new key is put in front of the old ones.
	Keys []Secret `yaml:"keys"`

	name string // the deployment's, where there is no key
}

// EncryptionKeys answers the bytes of all keys in order; none means that
// payloads are not encrypted.
func (p Privacy) EncryptionKeys() [][]byte {
	keys := make([][]byte, 0, len(p.Keys))
	for _, k := range p.Keys {
		if b, err := parseKey(k); err == nil {
			keys = append(keys, b)
		}
	}
	return keys
}

// HashKey is the key that phone numbers are hashed with in ids: the last one
// listed, which is the oldest, so that a new first key changes no id. For the
// same reason the last key must stay in the list for good.
//
// Without keys it is derived from the deployment's name. Anyone can guess it
// then, and a hash hides a phone number from nobody who tries all of them.
func (p Privacy) HashKey() []byte {
	if keys := p.EncryptionKeys(); len(keys) > 0 {
		return keys[len(keys)-1]
	}
	sum := sha256.Sum256([]byte("crmsync hash key\x00" + p.name))
	return sum[:]
}

// parseKey reads 32 bytes in hex or in any flavour of base64. 64 hex digits are
// never taken for base64, since those would be 48 bytes.
func parseKey(s Secret) ([]byte, error) {
	text := strings.TrimSpace(s.Reveal())
	if b, err := hex.DecodeString(text); err == nil && len(b) == keySize {
		return b, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if b, err := base64.RawStdEncoding.DecodeString(plain); err == nil && len(b) == keySize {
		return b, nil
	}
	return nil, errors.New("must be 32 random bytes in hex or base64, such as `openssl rand -base64 32` prints")
}
