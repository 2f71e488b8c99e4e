package pipedrive

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"crmsync/connectors"
	"crmsync/sms"
)

// The longest subject, in characters, and note, in bytes. Not confirmed.
const (
	maxSubject = 255
	maxNote    = 60000
)

// cut ends what was too long.
const cut = "… (cut)"

// marker is the key in brackets. Every character that could end it or mean
// something in HTML is escaped; two keys never have the same marker.
func marker(key string) string {
	return "[crmsync:" + strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") + "]"
}

var markers = regexp.MustCompile(`\[crmsync:([^\]\s<]+)\]`)

// keyOf answers the key of an activity of ours, "" of others. The description
// counts first, since nobody else writes there; of several markers the last, since
// a person may have texted the others.
func keyOf(a activity) string {
	for _, text := range []string{a.PublicDescription, a.Note} {
		if all := markers.FindAllStringSubmatch(text, -1); len(all) > 0 {
			key, _ := url.QueryUnescape(all[len(all)-1][1])
			return key
		}
	}
	return ""
}

// subject shows the direction whatever the template says.
func subject(r connectors.Record) string {
	arrow := "→ "
	if r.Message.Direction == sms.Inbound {
		arrow = "← "
	}
	runes := []rune(strings.TrimSpace(arrow + line(r.Subject)))
	if len(runes) > maxSubject {
		runes = append(runes[:maxSubject-1], '…')
	}
	return string(runes)
}

// note is the text in HTML, which is what notes are, with the marker below it.
func note(text, key string) string {
	end := "<br><br>" + marker(key)
	var b strings.Builder
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
		if b.Len() > maxNote-len(end) {
			b.WriteString(cut)
			break
		}
		b.WriteString(escaped(r))
	}
	return b.String() + end
}

func escaped(r rune) string {
	switch {
	case r == '\n':
		return "<br>"
	case r == '<', r == '>', r == '&':
		return html.EscapeString(string(r))
	case unicode.IsControl(r) && r != '\t':
		return ""
	}
	return string(r)
}

// statusLine is the status in plain text: delivered 2026-11-21 09:31 UTC.
func statusLine(s connectors.StatusChange) string {
	said := string(s.Status)
	if !s.At.IsZero() {
		said += " " + s.At.UTC().Format("2006-01-02 15:04 MST")
	}
	if reason := strings.Map(noMarkup, line(s.Reason)); reason != "" {
		said += ": " + reason
	}
	return said
}

func noMarkup(r rune) rune {
	if strings.ContainsRune("<>&[]", r) {
		return -1
	}
	return r
}

// line brings a text onto one line.
func line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// consentLine is what the person field holds: opted out 2026-11-02T10:00:00Z.
func consentLine(c sms.Consent) string {
	if c.OptedOut {
		return "opted out " + c.At.UTC().Format(time.RFC3339)
	}
	return "opted in " + c.At.UTC().Format(time.RFC3339)
}

var (
	lineEnds = regexp.MustCompile(`(?i)<br\s*/?>|</(p|div|li|ul|h\d)>`)
	tags     = regexp.MustCompile(`<[^>]*>`)
	inwards  = regexp.MustCompile(`(?i)\b(inbound|incoming|received)\b`)
	outwards = regexp.MustCompile(`(?i)\b(outbound|outgoing|sent)\b`)
)

// holds reports whether a note of another integration ends with exactly that
// text, perhaps below or behind a heading.
func holds(note, text string) bool {
	plain := strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(lineEnds.ReplaceAllString(note, "\n"), "")))
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	before, ok := strings.CutSuffix(plain, text)
	return ok && (before == "" || strings.HasSuffix(before, "\n") || strings.HasSuffix(before, ": "))
}

// directionOf reads the direction from the subject of another integration's
// record; "" where it does not say.
func directionOf(a activity) sms.Direction {
	in, out := inwards.MatchString(a.Subject), outwards.MatchString(a.Subject)
	switch {
	case in && !out:
		return sms.Inbound
	case out && !in:
		return sms.Outbound
	}
	return ""
}
