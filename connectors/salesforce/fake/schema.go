package fake

import (
	"fmt"
	"time"
)

// kind is a field's type, in the words of a description.
type kind string

const (
	text      kind = "string"
	textArea  kind = "textarea"
	phone     kind = "phone"
	email     kind = "email"
	picklist  kind = "picklist"
	boolean   kind = "boolean"
	date      kind = "date"
	dateTime  kind = "datetime"
	reference kind = "reference"
	compound  kind = "complexvalue"
)

// field is a column of an object.
type field struct {
	kind          kind
	length        int
	required      bool
	readOnly      bool
	unique        bool
	caseSensitive bool
	hidden        bool // until a permission set of the user's lets it be written
	values        []string
	to            []string
}

// object is a table.
type object struct {
	name, prefix string
	fields       map[string]*field
	rows         []*row
	byID         map[string]*row            // by the id's first 15 characters
	unique       map[string]map[string]*row // by field and value
}

// row is a record.
type row struct {
	id       string
	values   map[string]any
	deleted  bool
	created  time.Time
	modified time.Time
	indexed  bool // a search sees it at once
}

// The custom fields, by the connector's default names.
const (
	keyField       = "JustCall_Message_Id__c"
	directionField = "JustCall_Direction__c"
	timeField      = "JustCall_Time__c"
	statusField    = "JustCall_Status__c"
	reasonField    = "JustCall_Reason__c"
	optOutField    = "SMS_Opt_Out__c"
	optOutTime     = "SMS_Opt_Out_Time__c"
)

// schema answers the standard objects.
func schema() map[string]*object {
	all := map[string]*object{}
	for _, o := range []*object{
		taskObject(), person("Contact", "003"), person("Lead", "00Q"), userObject(),
		setup("PermissionSet", "0PS", map[string]*field{"Name": {kind: text, length: 80, required: true, unique: true}, "Label": {kind: text, length: 80, required: true}}),
		setup("PermissionSetAssignment", "0Pa", map[string]*field{
			"AssigneeId":      {kind: reference, to: []string{"User"}, required: true},
			"PermissionSetId": {kind: reference, to: []string{"PermissionSet"}, required: true},
		}),
		setup("FieldPermissions", "01k", map[string]*field{
			"ParentId":    {kind: reference, to: []string{"PermissionSet"}, required: true},
			"SobjectType": {kind: text, length: 40, required: true}, "Field": {kind: text, length: 150, required: true},
			"PermissionsRead": {kind: boolean}, "PermissionsEdit": {kind: boolean},
		}),
		setup("CustomField", "00N", map[string]*field{
			"DeveloperName": {kind: text, length: 40}, "TableEnumOrId": {kind: text, length: 40}, "Metadata": {kind: compound},
		}),
	} {
		all[o.name] = o
	}
	return all
}

func setup(name, prefix string, fields map[string]*field) *object {
	return &object{name: name, prefix: prefix, fields: withSystem(fields), byID: map[string]*row{}, unique: map[string]map[string]*row{}}
}

func withSystem(fields map[string]*field) map[string]*field {
	fields["Id"] = &field{kind: "id", readOnly: true}
	fields["IsDeleted"] = &field{kind: boolean, readOnly: true}
	fields["CreatedDate"] = &field{kind: dateTime, readOnly: true}
	fields["LastModifiedDate"] = &field{kind: dateTime, readOnly: true}
	return fields
}

func taskObject() *object {
	return setup("Task", "00T", map[string]*field{
		"Subject": {kind: text, length: 255}, "Description": {kind: textArea, length: 32_000},
		"Status":       {kind: picklist, values: []string{"Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"}},
		"Priority":     {kind: picklist, values: []string{"High", "Normal", "Low"}},
		"Type":         {kind: picklist, values: []string{"Call", "Meeting", "Other", "Email"}},
		"TaskSubtype":  {kind: picklist, values: []string{"Task", "Call", "Email"}},
		"ActivityDate": {kind: date}, "IsClosed": {kind: boolean, readOnly: true},
		"CompletedDateTime": {kind: dateTime, readOnly: true},
		"WhoId":             {kind: reference, to: []string{"Contact", "Lead"}},
		"OwnerId":           {kind: reference, to: []string{"User"}},
	})
}

func person(name, prefix string) *object {
	fields := map[string]*field{
		"FirstName": {kind: text, length: 40}, "LastName": {kind: text, length: 80, required: true},
		"Name": {kind: text, readOnly: true}, "Email": {kind: email, length: 80},
		"Title": {kind: text, length: 128}, "MobilePhone": {kind: phone, length: 40}, "Phone": {kind: phone, length: 40}, "Fax": {kind: phone, length: 40},
		"OwnerId": {kind: reference, to: []string{"User"}}, "Description": {kind: textArea, length: 32_000},
	}
	if name == "Contact" {
		for _, more := range []string{"HomePhone", "OtherPhone", "AssistantPhone"} {
			fields[more] = &field{kind: phone, length: 40}
		}
	} else {
		fields["Company"] = &field{kind: text, length: 255, required: true}
		fields["IsConverted"] = &field{kind: boolean, readOnly: true}
		fields["LeadSource"] = &field{kind: picklist, values: []string{"Web", "Phone Inquiry", "Other"}}
	}
	return setup(name, prefix, fields)
}

func userObject() *object {
	return setup("User", "005", map[string]*field{
		"Name": {kind: text, length: 121}, "Email": {kind: email, length: 128}, "IsActive": {kind: boolean},
		"UserType": {kind: picklist, values: []string{"Standard", "CspLitePortal"}},
	})
}

// insert adds a row that needs no checks.
func (o *Org) insert(of *object, values map[string]any) *row {
	o.serial++
	now := time.Now().UTC().Truncate(time.Millisecond)
	r := &row{id: id(of.prefix, o.serial), values: values, created: now, modified: now}
	of.rows = append(of.rows, r)
	of.byID[r.id[:short]] = r
	of.index(r)
	return r
}

// index remembers a row by its unique values.
func (of *object) index(r *row) {
	for name, f := range of.fields {
		if f.unique && r.values[name] != nil {
			if of.unique[name] == nil {
				of.unique[name] = map[string]*row{}
			}
			of.unique[name][f.folded(r.values[name])] = r
		}
	}
}

// holder answers the row that holds a unique value, nil for none.
func (of *object) holder(name string, v any) *row {
	f := of.fields[name]
	r := of.unique[name][f.folded(v)]
	if r == nil || r.deleted || r.values[name] == nil || f.folded(r.values[name]) != f.folded(v) {
		return nil
	}
	return r
}

// short and long are the lengths of an id.
const short, long = 15, 18

// find answers a row by its id, deleted or not.
func (of *object) find(id string) *row {
	if len(id) != short && len(id) != long {
		return nil
	}
	r := of.byID[id[:short]]
	if r == nil || len(id) == long && r.id != id {
		return nil
	}
	return r
}

// id makes an id of 18 characters. The last three tell which of the others are
// capitals.
func id(prefix string, serial int) string {
	id := fmt.Sprintf("%s5f%010d", prefix, serial)
	suffix := make([]byte, long-short)
	for i := range suffix {
		bits := 0
		for j, c := range id[5*i : 5*i+5] {
			if c >= 'A' && c <= 'Z' {
				bits |= 1 << j
			}
		}
		suffix[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]
	}
	return id + string(suffix)
}
