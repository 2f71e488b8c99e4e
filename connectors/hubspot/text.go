package hubspot

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	"crmsync/connectors"
)

// encoded makes a property's value of a key. Nobody says whether HubSpot tells
// values apart by case, or trims them: small letters, digits and a few marks stay,
// every other byte becomes %xx, as in a URL.
func encoded(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("/._-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// marker ends a text whose key has no property.
func marker(key string) string { return "[jc:" + encoded(key) + "]" }

// maxBody is the longest text of a note, in characters, which that of a
// communication is taken to be, too.
// https://developers.hubspot.com/docs/api-reference/2026-03/crm/activities/notes/guide
const maxBody = 65_536

// shortened stands where a text was cut.
const shortened = "… (shortened)"

// body is the text as HubSpot shows it: subject, text, and in class D its marker.
func (c *Connector) body(r connectors.Record) string {
	head, tail := "", ""
	if r.Subject != "" {
		head = "<strong>" + markup(r.Subject) + "</strong><br>"
	}
	if c.cfg.Fields.Key == "" {
		tail = "<br>" + marker(r.Key)
	}
	return head + fitting(r.Body, maxBody-utf8.RuneCountInString(head+tail)) + tail
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// markup writes plain text in HTML, as HubSpot's pages show it. Control characters
// are shown as such.
func markup(plain string) string {
	plain = newlines.Replace(strings.ToValidUTF8(plain, "\uFFFD"))
	plain = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, plain)
	return strings.ReplaceAll(html.EscapeString(plain), "\n", "<br>")
}

// fitting is as much of a text in markup as there is room for, in characters.
func fitting(plain string, room int) string {
	whole := markup(plain)
	if utf8.RuneCountInString(whole) <= room {
		return whole
	}
	room -= utf8.RuneCountInString(shortened)
	var b strings.Builder
	for _, r := range plain {
		next := markup(string(r))
		if room -= utf8.RuneCountInString(next); room < 0 {
			break
		}
		b.WriteString(next)
	}
	return b.String() + shortened
}

var (
	lineEnd = regexp.MustCompile(`(?i)<br\s*/?>|</(p|div|li)>`)
	tag     = regexp.MustCompile(`<[^>]*>`)
)

// plain answers the lines of a text in HTML, without space around them.
func plain(markup string) []string {
	text := html.UnescapeString(tag.ReplaceAllString(lineEnd.ReplaceAllString(markup, "\n"), ""))
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
