package sms

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Phone is a party of a text in canonical form: E.164 ("+15125550100"), a short
// code ("72345"), or an alphanumeric sender ("ACME", upper case). Only E.164
// numbers match a contact in a CRM; the others are valid identities of their
// own.
type Phone string

// MaxSenderLength bounds short codes and alphanumeric senders. GSM 03.40 allows
// 11 characters; some aggregators pass longer names on.
const MaxSenderLength = 32

// maxShortCode is the number of digits up to which a number that is not
// possible in its region counts as a short code.
const maxShortCode = 8

// ErrNoNumber is returned for an empty number.
var ErrNoNumber = errors.New("number is empty")

// ParsePhone brings a number into canonical form. The region (ISO 3166-1
// alpha-2, such as US) is used for national numbers; one without + is read as
// national first, then as international. Its errors never repeat the number.
func ParsePhone(raw, region string) (Phone, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return "", ErrNoNumber
	}
	if strings.ContainsFunc(raw, isLetter) {
		return parseSender(raw)
	}
	for _, candidate := range []string{raw, "+" + strings.TrimLeft(raw, "+")} {
		n, err := phonenumbers.Parse(candidate, region)
		if err == nil && phonenumbers.IsValidNumber(n) {
			return Phone(phonenumbers.Format(n, phonenumbers.E164)), nil
		}
	}
	return parseLoose(raw, region)
}

// parseLoose keeps what no numbering plan confirms: short codes, and numbers
// that are possible though not (yet) assigned, such as 555 test numbers.
func parseLoose(raw, region string) (Phone, error) {
	digits := onlyDigits(raw)
	if !strings.HasPrefix(raw, "+") && len(digits) >= 3 && len(digits) <= maxShortCode {
		return Phone(digits), nil
	}
	for _, candidate := range []string{raw, "+" + digits} {
		n, err := phonenumbers.Parse(candidate, region)
		if err == nil && phonenumbers.IsPossibleNumber(n) {
			return Phone(phonenumbers.Format(n, phonenumbers.E164)), nil
		}
	}
	return "", errors.New("number is neither a phone number nor a short code")
}

func parseSender(raw string) (Phone, error) {
	if len(raw) > MaxSenderLength {
		return "", errors.New("sender name is too long")
	}
	for _, r := range raw {
		if r < ' ' || r > '~' {
			return "", errors.New("sender name has a character that is not printable ASCII")
		}
	}
	return Phone(strings.ToUpper(raw)), nil
}

// E164 reports whether p is a full phone number, one that can match a contact.
func (p Phone) E164() bool { return strings.HasPrefix(string(p), "+") }

// National gives the digits without the country code, or all digits where p is
// no E.164 number.
func (p Phone) National() string {
	if n, err := phonenumbers.Parse(string(p), ""); err == nil {
		return phonenumbers.GetNationalSignificantNumber(n)
	}
	return onlyDigits(string(p))
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
