package fake

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What clients write. Fields that they may not name are refused as unknown.
type (
	activityBody struct {
		Subject           string        `json:"subject"`
		Type              string        `json:"type"`
		OwnerID           int           `json:"owner_id"`
		DealID            *int          `json:"deal_id"`
		LeadID            *string       `json:"lead_id"`
		PersonID          *int          `json:"person_id"`
		OrgID             *int          `json:"org_id"`
		ProjectID         *int          `json:"project_id"`
		DueDate           string        `json:"due_date"`
		DueTime           string        `json:"due_time"`
		Duration          string        `json:"duration"`
		Busy              bool          `json:"busy"`
		Done              bool          `json:"done"`
		Participants      []participant `json:"participants"`
		PublicDescription string        `json:"public_description"`
		Priority          *int          `json:"priority"`
		Note              string        `json:"note"`
	}
	participant struct {
		PersonID int  `json:"person_id"`
		Primary  bool `json:"primary"`
	}
	personBody struct {
		Name         string                     `json:"name"`
		OwnerID      int                        `json:"owner_id"`
		OrgID        *int                       `json:"org_id"`
		Emails       []phone                    `json:"emails"`
		Phones       []phone                    `json:"phones"`
		VisibleTo    int                        `json:"visible_to"`
		LabelIDs     []int                      `json:"label_ids"`
		CustomFields map[string]json.RawMessage `json:"custom_fields"`
	}
	phone struct {
		Value   string `json:"value"`
		Primary bool   `json:"primary"`
		Label   string `json:"label"`
	}
	fieldBody struct {
		Name string `json:"field_name"`
		Type string `json:"field_type"`
	}
	typeBody struct {
		Name  string `json:"name"`
		Icon  string `json:"icon_key"`
		Color string `json:"color"`
	}
)

// What the vendor keeps.
type (
	activity struct {
		ID int `json:"id"`
		activityBody
		IsDeleted  bool      `json:"is_deleted"`
		AddTime    time.Time `json:"add_time"`
		UpdateTime time.Time `json:"update_time"`
	}
	person struct {
		ID int `json:"id"`
		personBody
		IsDeleted  bool      `json:"is_deleted"`
		AddTime    time.Time `json:"add_time"`
		UpdateTime time.Time `json:"update_time"`

		visible time.Time // to searches
	}
	field struct {
		Name   string `json:"field_name"`
		Code   string `json:"field_code"`
		Type   string `json:"field_type"`
		Custom bool   `json:"is_custom_field"`
	}
	activityType struct {
		ID     int    `json:"id"`
		Name   string `json:"name"`
		Key    string `json:"key_string"`
		Icon   string `json:"icon_key"`
		Active bool   `json:"active_flag"`
		Custom bool   `json:"is_custom_flag"`
	}
	user struct {
		ID      int    `json:"id"`
		Name    string `json:"name"`
		Email   string `json:"email"`
		Active  bool   `json:"active_flag"`
		Deleted bool   `json:"is_deleted"`
	}
)

// now has whole seconds, as the vendor's instants have.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func (f *Fake) activity(id string) *activity {
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || n > len(f.activities) {
		return nil
	}
	return f.activities[n-1]
}

func (f *Fake) person(id string) *person {
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || n > len(f.persons) {
		return nil
	}
	return f.persons[n-1]
}

// living answers a person who is not deleted.
func (f *Fake) living(id string) *person {
	if p := f.person(id); p != nil && !p.IsDeleted {
		return p
	}
	return nil
}

// file keeps a new activity.
func (f *Fake) file(a *activity) *activity {
	a.ID, a.AddTime, a.UpdateTime = len(f.activities)+1, now(), now()
	a.link()
	f.activities = append(f.activities, a)
	return a
}

// link sets what follows from the fields that were written.
func (a *activity) link() {
	a.PersonID = nil
	for _, p := range a.Participants {
		if p.Primary {
			a.PersonID = &p.PersonID
		}
	}
	if len(a.DueTime) == len("15:04") {
		a.DueTime += ":00"
	}
	a.Note = sanitised(a.Note)
}

// keep keeps a new person.
func (f *Fake) keep(p *person) *person {
	p.ID, p.AddTime, p.UpdateTime = len(f.persons)+1, now(), now()
	p.visible = time.Now().Add(f.options.SearchLag)
	if p.CustomFields == nil {
		p.CustomFields = map[string]json.RawMessage{}
	}
	f.persons = append(f.persons, p)
	return p
}

func (f *Fake) addField(name, kind string) field {
	added := field{Name: name, Code: fmt.Sprintf("%040x", 0xfade00+len(f.fields)), Type: kind, Custom: true}
	f.fields = append(f.fields, added)
	return added
}

func (f *Fake) addType(name, icon string) activityType {
	key := strings.Trim(notWord.ReplaceAllString(strings.ToLower(name), "_"), "_")
	for base, n := key, 1; slices.ContainsFunc(f.types, func(t activityType) bool { return t.Key == key }); n++ {
		key = fmt.Sprintf("%s_%d", base, n)
	}
	added := activityType{ID: len(f.types) + 1, Name: name, Key: key, Icon: icon, Active: true, Custom: true}
	f.types = append(f.types, added)
	return added
}

var (
	notWord = regexp.MustCompile(`[^a-z0-9]+`)
	tag     = regexp.MustCompile(`</?([a-zA-Z0-9]+)[^>]*>`)
	dates   = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
	times   = regexp.MustCompile(`^\d\d:\d\d(:\d\d)?$`)
)

// sanitised leaves only harmless tags.
func sanitised(note string) string {
	return tag.ReplaceAllStringFunc(note, func(t string) string {
		name := strings.ToLower(tag.FindStringSubmatch(t)[1])
		if slices.Contains([]string{"br", "p", "div", "b", "i", "u", "strong", "em", "ul", "ol", "li", "a", "span"}, name) {
			return t
		}
		return ""
	})
}

// validate answers why the vendor refuses an activity, "" for not.
func (f *Fake) validate(a activityBody) string {
	primary := 0
	for _, p := range a.Participants {
		if f.living(strconv.Itoa(p.PersonID)) == nil {
			return "Participant not found"
		}
		if p.Primary {
			primary++
		}
	}
	switch {
	case a.Type != "" && !slices.ContainsFunc(f.types, func(t activityType) bool { return t.Key == a.Type && t.Active }):
		return "Invalid activity type"
	case a.OwnerID != 0 && !slices.ContainsFunc(f.users, func(u user) bool { return u.ID == a.OwnerID }):
		return "User not found"
	case a.DueDate != "" && !dates.MatchString(a.DueDate), a.DueTime != "" && !times.MatchString(a.DueTime):
		return "Invalid date or time"
	case len(a.Participants) > 0 && primary != 1:
		return "Exactly one participant must be primary"
	case len([]rune(a.Subject)) > 255, len(a.Note) > 65535, strings.ContainsRune(a.Note, 0):
		return "Value is not valid"
	case f.isPoisoned(a):
		return "Note is not valid"
	}
	return ""
}

func (f *Fake) isPoisoned(a activityBody) bool {
	m := (&activity{activityBody: a}).message()
	return m.Key != "" && f.poisoned[m.Key]
}

// validatePerson answers why the vendor refuses a person, "" for not.
func (f *Fake) validatePerson(p personBody) string {
	if strings.TrimSpace(p.Name) == "" {
		return "Name must be given."
	}
	for key, value := range p.CustomFields {
		i := slices.IndexFunc(f.fields, func(d field) bool { return d.Custom && d.Code == key })
		if i < 0 {
			return "Custom field " + key + " does not exist"
		}
		var text *string
		if f.fields[i].Type == "varchar" && json.Unmarshal(value, &text) != nil {
			return "Custom field " + key + " must be a string"
		}
	}
	for _, number := range p.Phones {
		if number.Value == "" {
			return "phones[].value must be given"
		}
	}
	return ""
}
