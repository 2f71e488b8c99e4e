package crm

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"crmsync/sms"
)

//go:embed page
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"initials": initials,
	"instant":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":    func(t time.Time) string { return t.UTC().Format("15:04") },
	"stamp":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") },
	"hue":      hue,
	"words":    words,
}).ParseFS(files, "page/*.html"))

// words is the text without the lines that only repeat a link of its media,
// which the page shows by itself.
func words(m Message) string {
	lines := slices.DeleteFunc(strings.Split(m.Body, "\n"), func(line string) bool {
		return slices.ContainsFunc(m.Media, func(media sms.Media) bool { return media.URL == line })
	})
	return strings.Join(lines, "\n")
}

// How much a page shows.
const (
	listed = 200
	texts  = 300
)

// view is what the template shows.
type view struct {
	Words     string // searched for
	Contacts  []Contact
	More      int // contacts that are not listed
	Unlinked  int // texts without contact; at most texts are counted
	Home      bool
	Contact   *Contact
	Days      []day
	Older     bool
	Others    []Contact // to merge with
	Truncated bool      // Unlinked is a lower bound
}

// Title names the browser's tab.
func (v view) Title() string {
	switch {
	case v.Contact != nil:
		return v.Contact.Label()
	case v.Home:
		return "Contacts"
	}
	return "Unlinked texts"
}

// day is one day of a timeline.
type day struct {
	Title string
	Texts []Message
}

// Label is how a page calls the contact.
func (c Contact) Label() string {
	switch {
	case c.Name != "":
		return c.Name
	case len(c.Phones) > 0:
		return string(c.Phones[0])
	}
	return "Contact " + c.ID
}

// Outbound reports whether the company wrote the text.
func (m Message) Outbound() bool { return m.Direction == sms.Outbound }

// Shown is the status that a page shows: outbound texts start as sent.
func (m Message) Shown() sms.Status {
	if m.Status == "" && m.Outbound() {
		return sms.StatusSent
	}
	return m.Status
}

func (c *CRM) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { c.page(w, r, view{Home: true}) })
	mux.HandleFunc("GET /unlinked", func(w http.ResponseWriter, r *http.Request) { c.page(w, r, view{}) })
	mux.HandleFunc("GET /contacts/{id}", func(w http.ResponseWriter, r *http.Request) {
		contact, err := c.Contact(r.PathValue("id"))
		if err != nil {
			sorry(w, err)
			return
		}
		c.page(w, r, view{Contact: &contact})
	})
	mux.HandleFunc("POST /contacts/{id}/rename", c.act(func(r *http.Request, id string) (string, error) {
		return "/contacts/" + id, c.Rename(id, strings.TrimSpace(r.PostFormValue("name")))
	}))
	mux.HandleFunc("POST /contacts/{id}/merge", c.act(func(r *http.Request, id string) (string, error) {
		into := r.PostFormValue("into")
		return "/contacts/" + into, c.Merge(id, into)
	}))
	mux.HandleFunc("POST /contacts/{id}/delete", c.act(func(_ *http.Request, id string) (string, error) {
		return "/", c.Delete(id)
	}))
	mux.HandleFunc("GET /events", c.events)
	static, _ := fs.Sub(files, "page")
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
}

// act does what a form asks for and shows the page to go on with.
func (c *CRM) act(do func(r *http.Request, id string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
		next, err := do(r, r.PathValue("id"))
		if err != nil {
			sorry(w, err)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
}

func sorry(w http.ResponseWriter, err error) {
	secure(w)
	w.WriteHeader(statusOf(err))
	_ = pages.ExecuteTemplate(w, "sorry.html", err.Error())
}

func secure(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
}

func (c *CRM) page(w http.ResponseWriter, r *http.Request, v view) {
	v.Words = r.FormValue("q")
	if err := c.fill(&v); err != nil {
		sorry(w, err)
		return
	}
	var out bytes.Buffer // so that a template that fails shows no half page
	if err := pages.ExecuteTemplate(&out, "index.html", v); err != nil {
		sorry(w, err)
		return
	}
	secure(w)
	_, _ = out.WriteTo(w)
}

func (c *CRM) fill(v *view) error {
	all, err := c.Contacts(v.Words)
	if err != nil {
		return err
	}
	v.Contacts = all[:min(len(all), listed)]
	v.More = len(all) - len(v.Contacts)
	unlinked, older, err := c.Timeline("", texts)
	if err != nil {
		return err
	}
	v.Unlinked, v.Truncated = len(unlinked), older
	switch {
	case v.Contact != nil:
		shown, older, err := c.Timeline(v.Contact.ID, texts)
		v.Days, v.Older = days(shown), older
		for _, other := range v.Contacts {
			if other.ID != v.Contact.ID {
				v.Others = append(v.Others, other)
			}
		}
		return err
	case !v.Home:
		v.Days, v.Older = days(unlinked), older
	}
	return nil
}

func days(messages []Message) []day {
	var out []day
	for _, m := range messages {
		title := m.At.UTC().Format("Monday, 2 January 2006")
		if len(out) == 0 || out[len(out)-1].Title != title {
			out = append(out, day{Title: title})
		}
		out[len(out)-1].Texts = append(out[len(out)-1].Texts, m)
	}
	return out
}

// quiet is the least time between two signals to a page.
const quiet = 250 * time.Millisecond

// events tells a page that something changed, until it goes away.
func (c *CRM) events(w http.ResponseWriter, r *http.Request) {
	changes, stop := c.watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w)
	_, _ = fmt.Fprint(w, "retry: 1000\n\n")
	pause := time.NewTicker(quiet)
	defer pause.Stop()
	for {
		if flush.Flush() != nil || !either(r, c.closed, changes) {
			return
		}
		if _, err := fmt.Fprint(w, "data: changed\n\n"); err != nil {
			return
		}
		if flush.Flush() != nil || !either(r, c.closed, pause.C) {
			return
		}
	}
}

// either waits for a signal and answers false where the stream ends instead.
func either[T any](r *http.Request, closed <-chan struct{}, signal <-chan T) bool {
	select {
	case <-signal:
		return true
	case <-r.Context().Done():
	case <-closed:
	}
	return false
}

// initials are what an avatar shows.
func initials(c Contact) string {
	var out []rune
	for word := range strings.FieldsSeq(c.Name) {
		if first := []rune(word)[0]; unicode.IsLetter(first) && len(out) < 2 {
			out = append(out, unicode.ToUpper(first))
		}
	}
	if len(out) == 0 {
		return "#"
	}
	return string(out)
}

// hue gives each contact a colour of its own.
func hue(c Contact) int {
	sum := 0
	for _, b := range []byte(c.ID + c.ID) {
		sum = sum*31 + int(b)
	}
	return sum * 47 % 360
}
