package fake

import (
	"encoding/json"
	"net/http"
	"strings"
)

// tables are the objects that custom fields can be on, by the name in the setup.
var tables = map[string]string{"Activity": "Task", "Contact": "Contact", "Lead": "Lead"}

// setUp does what the connector's manual says: custom fields, and a permission set
// of the user's that lets them be written.
func (o *Org) setUp() {
	set := o.insert(o.objects["PermissionSet"], map[string]any{"Name": "crmsync", "Label": "crmsync"})
	o.insert(o.objects["PermissionSetAssignment"], map[string]any{"AssigneeId": o.objects["User"].rows[0].id, "PermissionSetId": set.id})
	add := func(table, name string, f *field) {
		o.addField(table, name, f)
		o.insert(o.objects["FieldPermissions"], map[string]any{
			"ParentId": set.id, "SobjectType": tables[table], "Field": tables[table] + "." + name, "PermissionsRead": true, "PermissionsEdit": true,
		})
	}
	add("Activity", keyField, &field{kind: text, length: 255, unique: !o.options.NotUnique, caseSensitive: true})
	for _, name := range []string{directionField, statusField, reasonField} {
		add("Activity", name, &field{kind: text, length: 255})
	}
	add("Activity", timeField, &field{kind: dateTime})
	for _, table := range []string{"Contact", "Lead"} {
		add(table, optOutField, &field{kind: boolean})
		add(table, optOutTime, &field{kind: dateTime})
	}
	o.reveal()
}

// RemoveFields implements fakes.FieldRemover.
func (o *Org) RemoveFields() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, table := range tables {
		for name := range o.objects[table].fields {
			if strings.HasSuffix(name, "__c") {
				delete(o.objects[table].fields, name)
			}
		}
	}
	for _, name := range []string{"CustomField", "PermissionSet", "PermissionSetAssignment", "FieldPermissions"} {
		clear(o.objects[name].byID)
		clear(o.objects[name].unique)
		o.objects[name].rows = nil
	}
}

func (o *Org) addField(table, name string, f *field) *row {
	f.hidden = true
	o.objects[tables[table]].fields[name] = f
	return o.insert(o.objects["CustomField"], map[string]any{"DeveloperName": strings.TrimSuffix(name, "__c"), "TableEnumOrId": table})
}

// reveal shows the custom fields that the user may write.
func (o *Org) reveal() {
	sets := map[string]bool{}
	for _, r := range o.objects["PermissionSetAssignment"].rows {
		if r.str("AssigneeId") == o.objects["User"].rows[0].id {
			sets[r.str("PermissionSetId")] = true
		}
	}
	for _, r := range o.objects["FieldPermissions"].rows {
		table, name, _ := strings.Cut(r.str("Field"), ".")
		if of := o.objects[table]; of != nil && of.fields[name] != nil && sets[r.str("ParentId")] && r.values["PermissionsEdit"] == true {
			of.fields[name].hidden = false
		}
	}
}

// createField serves CustomField of the Tooling API. Like the real one, the field
// is hidden from everybody at first.
func (o *Org) createField(c call, _ []string) answer {
	var body struct {
		FullName string
		Metadata struct {
			Type          string          `json:"type"`
			Label         string          `json:"label"`
			Length        int             `json:"length"`
			Required      bool            `json:"required"`
			Unique        bool            `json:"unique"`
			CaseSensitive bool            `json:"caseSensitive"`
			ExternalID    bool            `json:"externalId"`
			DefaultValue  json.RawMessage `json:"defaultValue"`
		}
	}
	if a := parse(c.body, &body); a != nil {
		return *a
	}
	table, name, _ := strings.Cut(body.FullName, ".")
	of := o.objects[tables[table]]
	kinds := map[string]kind{"Text": text, "DateTime": dateTime, "Checkbox": boolean}
	m := body.Metadata
	switch {
	case of == nil || !strings.HasSuffix(name, "__c"):
		return refuse(400, "INVALID_FIELD", "Entity or field name is not valid: "+body.FullName)
	case of.fields[name] != nil:
		return refuse(400, "DUPLICATE_DEVELOPER_NAME", "There is already a field named "+strings.TrimSuffix(name, "__c")+" on "+table+".")
	case m.Unique && o.options.NotUnique:
		return refuse(400, "FIELD_INTEGRITY_EXCEPTION", "Can not specify 'unique' for a CustomField of this object")
	case kinds[m.Type] == "", m.Label == "", m.Type == "Text" && (m.Length < 1 || m.Length > 255), m.Type == "Checkbox" && m.DefaultValue == nil:
		return refuse(400, "FIELD_INTEGRITY_EXCEPTION", "Must specify type, label, length or default value")
	}
	r := o.addField(table, name, &field{
		kind: kinds[m.Type], length: m.Length, required: m.Required, unique: m.Unique, caseSensitive: m.CaseSensitive,
	})
	return answer{http.StatusCreated, result{ID: r.id, Success: true, Errors: []itemProblem{}}}
}

// Hide takes the permission set from the user, as an administrator might.
func (o *Org) Hide() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.objects["PermissionSetAssignment"].rows = nil
	for _, table := range tables {
		for name, f := range o.objects[table].fields {
			f.hidden = strings.HasSuffix(name, "__c")
		}
	}
}

// IgnoreCase makes the key's field one that disregards case, as when it is made
// by hand.
func (o *Org) IgnoreCase() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.objects["Task"].fields[keyField].caseSensitive = false
}
