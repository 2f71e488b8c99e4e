package fake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// minTerm is the shortest term, in characters.
const minTerm = 2

// hit is a person as searches answer them.
type hit struct {
	Score float64 `json:"result_score"`
	Item  struct {
		ID     int      `json:"id"`
		Type   string   `json:"type"`
		Name   string   `json:"name"`
		Phones []string `json:"phones"`
		Emails []string `json:"emails"`
		Owner  struct {
			ID int `json:"id"`
		} `json:"owner"`
		CustomFields []string `json:"custom_fields"`
		Notes        []string `json:"notes"`
	} `json:"item"`
}

func (f *Fake) searchPersons(r *http.Request) (any, error) {
	q := r.URL.Query()
	fields := strings.Split(q.Get("fields"), ",")
	for _, name := range fields {
		if !slices.Contains([]string{"custom_fields", "email", "name", "notes", "phone"}, name) {
			return nil, badRequest("fields is not valid")
		}
	}
	if len([]rune(q.Get("term"))) < minTerm {
		return nil, badRequest("Search term must be at least 2 characters long.")
	}
	found := []hit{}
	for _, p := range f.persons {
		if !p.IsDeleted && !p.visible.After(time.Now()) && f.matches(p, q.Get("term"), fields) {
			found = append(found, p.hit())
		}
	}
	list, err := paged(r, found)
	list.data = map[string]any{"items": list.data}
	return list, err
}

func (f *Fake) matches(p *person, term string, fields []string) bool {
	h := p.hit().Item
	values := map[string][]string{
		"phone": h.Phones, "email": h.Emails, "name": {h.Name}, "custom_fields": h.CustomFields, "notes": nil,
	}
	return slices.ContainsFunc(fields, func(name string) bool {
		return slices.ContainsFunc(values[name], func(value string) bool { return f.contains(value, term) })
	})
}

// contains compares digits where the term is a number.
func (f *Fake) contains(value, term string) bool {
	if wanted := digits(term); !f.options.TypedPhones && len(wanted) >= minTerm {
		return strings.Contains(digits(value), wanted)
	}
	return strings.Contains(strings.ToLower(value), strings.ToLower(term))
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func (p *person) hit() hit {
	h := hit{Score: 0.5}
	h.Item.ID, h.Item.Type, h.Item.Name, h.Item.Owner.ID = p.ID, "person", p.Name, p.OwnerID
	h.Item.Phones, h.Item.Emails, h.Item.CustomFields, h.Item.Notes = []string{}, []string{}, []string{}, []string{}
	for _, number := range p.Phones {
		h.Item.Phones = append(h.Item.Phones, number.Value)
	}
	for _, mail := range p.Emails {
		h.Item.Emails = append(h.Item.Emails, mail.Value)
	}
	for _, raw := range p.CustomFields {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			h.Item.CustomFields = append(h.Item.CustomFields, text)
		}
	}
	return h
}
