package sms

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

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

// A number of up to surelyShort digits is a short code unless a mobile phone
// can have it: nobody texts from a landline without its area code. One of up to
// maxShortCode digits is a short code if no numbering plan knows it.
const (
	surelyShort  = 6
	maxShortCode = 8
	minShortCode = 3
)

// maxE164 is the plus and the 15 digits that ITU-T E.164 allows. Some plans have
// longer numbers, which cannot be reached from abroad.
const maxE164 = 16

// maxReadings is how often a number is read until its form stays the same.
const maxReadings = 4

// ErrNoNumber is returned for an empty number.
var ErrNoNumber = errors.New("number is empty")

var errGarbage = errors.New("number is neither a phone number nor a short code")

var (
	// scheme is what some products put before a number.
	scheme = regexp.MustCompile(`(?i)^((tel|sms|whatsapp):\s*)+`)
	// extension is what people put behind one: " x5", ";ext=5", " ext. 5", "#5".
	// A text cannot be sent to an extension.
	extension = regexp.MustCompile(`(?i)[\s,;]*(extension|extn|ext|x|#)[.:=\s]*[0-9]{1,7}$`)
)

// ParsePhone brings a number into canonical form. The region (ISO 3166-1
// alpha-2, such as US) is used for national numbers; one without + is read as
// national first, then as international. Extensions are dropped. A canonical
// form parses to itself, in the same region. Its errors never repeat the number.
func ParsePhone(raw, region string) (Phone, error) {
	p, err := parse(raw, region)
	// What is read from noise may be read as yet another number the next time.
	for range maxReadings {
		if err != nil {
			return "", err
		}
		var again Phone
		if again, err = parse(string(p), region); err == nil && again == p {
			return p, nil
		}
		p = again
	}
	return "", errGarbage
}

func parse(raw, region string) (Phone, error) {
	raw = undecorated(strings.TrimFunc(raw, isBlank))
	if raw == "" {
		return "", ErrNoNumber
	}
	if strings.ContainsFunc(raw, isLetter) {
		return parseSender(raw)
	}
	if strings.ContainsFunc(raw, isForeign) {
		return "", errGarbage
	}
	digits := onlyDigits(raw)
	if len(digits) <= surelyShort {
		return parseShort(raw, digits, region)
	}
	for _, candidate := range candidates(raw, digits) {
		if p, ok := fitting(candidate, region, phonenumbers.IsValidNumber); ok {
			return p, nil
		}
	}
	return parseLoose(raw, digits, region)
}

// undecorated drops what stands before and behind a phone number. A sender's
// name keeps it: "MAX5" is no extension.
func undecorated(raw string) string {
	raw = scheme.ReplaceAllString(raw, "")
	if number := extension.ReplaceAllString(raw, ""); !strings.ContainsFunc(number, isLetter) && len(onlyDigits(number)) > surelyShort {
		raw = number
	}
	return strings.TrimSpace(raw)
}

// candidates are the readings of a number in the order in which they are tried.
func candidates(raw, digits string) []string {
	all := []string{raw, "+" + strings.TrimLeft(raw, "+")}
	if strings.HasPrefix(digits, "00") {
		all = append(all, "+"+digits[2:])
	}
	return all
}

func parseShort(raw, digits, region string) (Phone, error) {
	if p, ok := fitting(raw, region, canText); ok {
		return p, nil
	}
	if len(digits) < minShortCode {
		return "", errGarbage
	}
	return Phone(digits), nil
}

// fitting reads a number and formats it if it fits.
func fitting(raw, region string, fits func(*phonenumbers.PhoneNumber) bool) (Phone, bool) {
	n, err := phonenumbers.Parse(raw, region)
	if err != nil || !fits(n) {
		return "", false
	}
	form := phonenumbers.Format(n, phonenumbers.E164)
	return Phone(form), len(form) <= maxE164
}

func canText(n *phonenumbers.PhoneNumber) bool {
	if !phonenumbers.IsValidNumber(n) {
		return false
	}
	t := phonenumbers.GetNumberType(n)
	return t == phonenumbers.MOBILE || t == phonenumbers.FIXED_LINE_OR_MOBILE
}

// parseLoose keeps what no numbering plan confirms: longer short codes, and
// numbers that are possible though not (yet) assigned, such as 555 test numbers.
func parseLoose(raw, digits, region string) (Phone, error) {
	if !strings.HasPrefix(raw, "+") && len(digits) <= maxShortCode {
		return Phone(digits), nil
	}
	for _, candidate := range []string{raw, "+" + digits} {
		if p, ok := fitting(candidate, region, isPossible); ok {
			return p, nil
		}
	}
	return "", errGarbage
}

func isPossible(n *phonenumbers.PhoneNumber) bool {
	return phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE
}

func parseSender(raw string) (Phone, error) {
	if raw[0] == '+' {
		return "", errGarbage // "+ACME" would pass for a full number
	}
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

func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// isForeign reports whether people write no phone number with r.
func isForeign(r rune) bool {
	return !unicode.IsDigit(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Pd, r) && !strings.ContainsRune("+＋()[]./~·•", r)
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
