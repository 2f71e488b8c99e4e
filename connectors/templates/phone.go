package templates

import (
	"strings"

	"crmsync/sms"
)

// Phone is a number in canonical form. As a text it is that form.
type Phone string

// E164 is the number with plus and country code.
func (p Phone) E164() string { return string(p) }

// Digits are those of E164.
func (p Phone) Digits() string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, string(p))
}

// National gives the digits without the country code.
func (p Phone) National() string { return sms.Phone(p).National() }
