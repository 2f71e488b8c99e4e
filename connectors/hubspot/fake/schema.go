package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/sms"
)

const (
	communications = "communications"
	contacts       = "contacts"
)

// property is a field of a record type.
type property struct {
	Name        string   `json:"name"`
	Label       string   `json:"label"`
	Description string   `json:"description"`
	Group       string   `json:"groupName"`
	Type        string   `json:"type"`
	FieldType   string   `json:"fieldType"`
	Unique      bool     `json:"hasUniqueValue"`
	Options     []option `json:"options"`
	readOnly    bool
}

type option struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Order  int    `json:"displayOrder"`
	Hidden bool   `json:"hidden"`
}

func text(name string) property { return property{Name: name, Type: "string", FieldType: "text"} }

func calculated(name string) property {
	return property{Name: name, Type: "string", FieldType: "text", readOnly: true}
}

func choice(name string, values ...string) property {
	p := property{Name: name, Type: "enumeration", FieldType: "select"}
	for _, v := range values {
		p.Options = append(p.Options, option{Label: v, Value: v})
	}
	return p
}

// schema holds HubSpot's own properties.
func schema() map[string]map[string]*property {
	own := map[string][]property{
		communications: {
			choice("hs_communication_channel_type", "SMS", "WHATS_APP", "LINKEDIN_MESSAGE"),
			choice("hs_communication_logged_from", "CRM"),
			text("hs_communication_body"), text("hubspot_owner_id"), calculated("hs_object_id"),
			{Name: "hs_timestamp", Type: "datetime", FieldType: "date"},
		},
		contacts: {
			text("firstname"), text("lastname"), text("phone"), text("mobilephone"), text("hs_whatsapp_phone_number"), text(textField),
			{Name: "email", Type: "string", FieldType: "text", Unique: true},
			choice("lifecyclestage", "subscriber", "lead", "customer"),
			text("hubspot_owner_id"), calculated("hs_object_id"),
			calculated("hs_calculated_phone_number"), calculated("hs_calculated_mobile_number"),
			calculated("hs_searchable_calculated_phone_number"), calculated("hs_searchable_calculated_mobile_number"),
		},
	}
	all := map[string]map[string]*property{}
	for kind, list := range own {
		all[kind] = map[string]*property{}
		for _, p := range list {
			all[kind][p.Name] = &p
		}
	}
	return all
}

// provision adds the custom properties under their usual names.
func (f *Fake) provision() {
	add := func(kind string, list ...property) {
		for _, p := range list {
			f.schema[kind][p.Name] = &p
		}
	}
	add(communications, choice("justcall_direction", "inbound", "outbound"),
		choice("justcall_status", "sent", "delivered", "failed"), text("justcall_status_reason"))
	if !f.options.NoKey {
		add(communications, property{Name: "justcall_message_id", Type: "string", FieldType: "text", Unique: !f.options.NoUnique})
	}
	add(contacts, property{Name: "justcall_sms_opt_out", Type: "bool", FieldType: "booleancheckbox"},
		property{Name: "justcall_sms_opt_out_at", Type: "datetime", FieldType: "date"})
	f.groups[communications+".crmsync"], f.groups[contacts+".crmsync"] = true, true
}

// violation is why a value is refused.
type violation struct {
	Valid   bool   `json:"isValid"`
	Message string `json:"message"`
	Error   string `json:"error"`
	Name    string `json:"name"`
}

// maxText is the longest value of a text, in characters.
const maxText = 65_536

func (f *Fake) check(kind, name, value string) *violation {
	p := f.schema[kind][name]
	no := func(code, format string, args ...any) *violation {
		return &violation{Message: fmt.Sprintf(format, args...), Error: code, Name: name}
	}
	switch {
	case p == nil:
		return no("PROPERTY_DOESNT_EXIST", "Property %q does not exist", name)
	case p.readOnly:
		return no("READ_ONLY_VALUE", "%q is a read only property; its value cannot be set.", name)
	case value == "":
		return nil
	case strings.ContainsRune(value, 0) || len([]rune(value)) > maxText:
		return no("INVALID_STRING", "%q is too long, or holds what no text holds", name)
	case p.Type == "enumeration" && !slices.ContainsFunc(p.Options, func(o option) bool { return o.Value == value }):
		return no("INVALID_OPTION", "%s was not one of the allowed options", value)
	case p.Type == "bool" && value != "true" && value != "false":
		return no("INVALID_BOOLEAN", "%s was not one of the allowed options: [true, false]", value)
	case p.Type == "datetime" && !isInstant(value):
		return no("INVALID_DATE", "%s was not a valid long", value)
	case name == "hubspot_owner_id" && !f.isOwner(value):
		return no("INVALID_OWNER_ID", "Owner %s does not exist", value)
	}
	return nil
}

func (f *Fake) isOwner(id string) bool {
	n, err := strconv.Atoi(id)
	return err == nil && n > firstOwner && n <= firstOwner+len(f.users)
}

// instant reads both forms that HubSpot takes: milliseconds and ISO 8601.
func instant(value string) (time.Time, bool) {
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), true
	}
	at, err := time.Parse(time.RFC3339, value)
	return at.UTC(), err == nil
}

func isInstant(value string) bool {
	_, ok := instant(value)
	return ok
}

// calculate reads a contact's numbers as HubSpot does, in an account of the US.
func calculate(values map[string]string) {
	for field, name := range map[string]string{"phone": "phone", "mobilephone": "mobile"} {
		searchable, e164 := "hs_searchable_calculated_"+name+"_number", "hs_calculated_"+name+"_number"
		delete(values, searchable)
		delete(values, e164)
		raw := values[field]
		if raw == "" {
			continue
		}
		values[searchable] = strings.TrimLeft(notDigit.ReplaceAllString(raw, ""), "0")
		if p, err := sms.ParsePhone(raw, "US"); err == nil && p.E164() {
			values[searchable], values[e164] = strings.TrimLeft(p.National(), "0"), string(p)
		}
	}
}

var notDigit = regexp.MustCompile(`[^0-9]`)

func (f *Fake) readProperties(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	var ask struct {
		Archived    bool   `json:"archived"`
		Sensitivity string `json:"dataSensitivity"`
		Inputs      []struct {
			Name string `json:"name"`
		} `json:"inputs"`
	}
	if !ok || !decode(w, r, &ask) {
		return
	}
	out := batch{Status: "COMPLETE", Results: []any{}}
	for _, in := range ask.Inputs {
		if p := f.schema[kind][in.Name]; p != nil {
			out.Results = append(out.Results, p)
		} else {
			out.fail(problem{Category: "OBJECT_NOT_FOUND", Message: "Property " + in.Name + " does not exist", Context: context{"name": {in.Name}}})
		}
	}
	out.answer(w, http.StatusOK)
}

// types are the fields that show each type.
var types = map[string][]string{
	"string": {"text", "textarea", "phonenumber", "file", "html"}, "enumeration": {"select", "radio", "checkbox", "booleancheckbox"},
	"bool": {"booleancheckbox"}, "datetime": {"date"}, "date": {"date"}, "number": {"number"},
}

func (f *Fake) createProperty(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	var p property
	if !ok || !decode(w, r, &p) {
		return
	}
	switch {
	case p.Name == "" || p.Label == "" || p.Group == "" || !slices.Contains(types[p.Type], p.FieldType):
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Some required fields were not set, or do not fit"})
	case !f.groups[kind+"."+p.Group]:
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Property group " + p.Group + " does not exist"})
	case f.schema[kind][p.Name] != nil:
		refuse(w, http.StatusConflict, problem{Category: "OBJECT_ALREADY_EXISTS", Message: "A property named " + p.Name + " already exists."})
	case p.Type == "bool" && len(p.Options) != 2:
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Boolean properties must have exactly two options"})
	case kind == communications && (p.Unique && f.options.NoUnique || p.Name == "justcall_message_id" && f.options.NoKey):
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Unique properties are not supported for this object type"})
	default:
		f.schema[kind][p.Name] = &p
		reply(w, http.StatusCreated, p)
	}
}

func (f *Fake) createGroup(w http.ResponseWriter, r *http.Request) {
	kind, ok := f.kind(w, r)
	var g struct {
		Name  string `json:"name"`
		Label string `json:"label"`
		Order int    `json:"displayOrder"`
	}
	if !ok || !decode(w, r, &g) {
		return
	}
	switch at := kind + "." + g.Name; {
	case g.Name == "" || g.Label == "":
		refuse(w, http.StatusBadRequest, problem{Category: "VALIDATION_ERROR", Message: "Some required fields were not set: [name, label]"})
	case f.groups[at]:
		refuse(w, http.StatusConflict, problem{Category: "OBJECT_ALREADY_EXISTS", Message: "The property group already exists"})
	default:
		f.groups[at] = true
		reply(w, http.StatusCreated, g)
	}
}

// invalid words violations as HubSpot does, within the message.
func invalid(list ...violation) problem {
	raw, _ := json.Marshal(list) // plain structs always marshal
	return problem{Category: "VALIDATION_ERROR", Message: "Property values were not valid: " + string(raw)}
}
