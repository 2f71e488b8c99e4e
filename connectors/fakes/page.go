package fakes

import (
	"cmp"
	_ "embed"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"stamp": func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") },
}).Parse(pageSource))

// Page shows people what is in a fake.
type Page struct {
	Title string
	// HTML says that the vendor keeps texts as HTML: the page shows what people
	// would read there.
	HTML bool
	// Owners are users' e-mail addresses by their ids.
	Owners map[string]string
}

// Serve answers the vendor's API and, at the address / alone, the page: contacts,
// and the timeline of one. The page follows what changes, and changes nothing.
func (p Page) Serve(fake Fake) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			fake.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, p.view(fake, r.FormValue("contact")))
	})
}

// view is what the template shows.
type view struct {
	Page
	Contacts []shownContact
	Open     *shownContact // whose timeline it is; nil: that of nobody
	Texts    []shownText
	Unlinked int // texts without a contact
}

type shownContact struct {
	Contact
	Owner string
	Texts int
}

type shownText struct {
	Message
	Owner string
	Words string
}

func (p Page) view(store Store, open string) view {
	v := view{Page: p}
	contacts := store.Contacts()
	if open == "" && len(contacts) > 0 {
		open = contacts[len(contacts)-1].ID // the newest
	}
	texts := map[string][]Message{}
	for _, m := range store.Messages() {
		texts[m.Contact] = append(texts[m.Contact], m)
	}
	known := map[string]bool{}
	for _, c := range slices.Backward(contacts) {
		known[c.ID] = true
		shown := shownContact{c, p.owner(c.OwnerID), len(texts[c.ID])}
		v.Contacts = append(v.Contacts, shown)
		if c.ID == open {
			v.Open = &shown
		}
	}
	var unlinked []Message
	for contact, of := range texts {
		if !known[contact] {
			unlinked = append(unlinked, of...)
		}
	}
	v.Unlinked = len(unlinked)
	v.Texts = p.texts(unlinked)
	if v.Open != nil {
		v.Texts = p.texts(texts[open])
	}
	return v
}

// texts are in the order of time.
func (p Page) texts(messages []Message) []shownText {
	out := make([]shownText, len(messages))
	for i, m := range messages {
		out[i] = shownText{Message: m, Owner: p.owner(m.OwnerID), Words: p.words(m.Body)}
	}
	slices.SortStableFunc(out, func(a, b shownText) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key))
	})
	return out
}

func (p Page) owner(id string) string { return cmp.Or(p.Owners[id], id) }

var (
	lineEnd = regexp.MustCompile(`(?i)<br ?/?>|</(p|div|li)>`)
	tag     = regexp.MustCompile(`<[^>]*>`)
)

// words is what people read of a text.
func (p Page) words(body string) string {
	if !p.HTML {
		return body
	}
	body = tag.ReplaceAllString(lineEnd.ReplaceAllString(body, "\n"), "")
	return strings.TrimSpace(html.UnescapeString(body))
}
