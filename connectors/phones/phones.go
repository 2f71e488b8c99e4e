// Package phones finds a number in CRMs that keep it as somebody typed it: it
// answers the spellings to search for, and tells whether what was found means
// the number. Searches are wider than they are told to be, or narrower; a
// connector asks for [Spellings] and keeps what is [Same].
package phones

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"crmsync/sms"
)

// Spellings lists how people and products write p, the most usual ones first:
// E.164, then its digits, the national digits and the national form with and
// without the trunk prefix and punctuation, and the international form. What is
// no full number has one spelling.
func Spellings(p sms.Phone) []string {
	n, err := phonenumbers.Parse(string(p), "")
	if !p.E164() || err != nil {
		return []string{string(p)}
	}
	national := phonenumbers.Format(n, phonenumbers.NATIONAL)
	international := phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
	digits := strings.TrimPrefix(string(p), "+")
	all := []string{
		string(p), digits, p.National(), digitsOf(national), national, international,
		strings.TrimPrefix(international, "+"), "00" + digits,
	}
	// People put what they like between the groups.
	for _, form := range []string{national, international} {
		groups := strings.FieldsFunc(form, func(r rune) bool { return strings.ContainsRune(" ()-./", r) })
		all = append(all, strings.Join(groups, "-"), strings.Join(groups, "."), strings.Join(groups, " "))
	}
	return unique(all)
}

// Same reports whether raw, as a CRM keeps it, means p. One without a country is
// read as one of p's country, or as one without its plus; an extension is left out
// of account.
func Same(p sms.Phone, raw string) bool {
	if string(p) == raw || p.E164() && "+"+digitsOf(raw) == string(p) {
		return true
	}
	parsed, err := sms.ParsePhone(raw, Region(p))
	return err == nil && parsed == p
}

// Region answers the country of p (ISO 3166-1 alpha-2), "" where it has none.
func Region(p sms.Phone) string {
	n, err := phonenumbers.Parse(string(p), "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(n); region != "" {
		return region
	}
	return phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func unique(all []string) []string {
	var out []string
	for _, s := range all {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
