package salesforce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// permissionSet is the name of the one that lets people and this connector use
// the custom fields.
const permissionSet = "crmsync"

// activity holds the custom fields that Task and Event share.
const activity = "Activity"

// wanted is a custom field that the connector needs.
type wanted struct {
	object, name string
	metadata     record
}

// permits is the object under whose name the field's permissions stand.
func (w wanted) permits() string {
	if w.object == activity {
		return task
	}
	return w.object
}

// wanted lists the custom fields. Those of the standard, without __c, are there.
func (c *Connector) wanted() []wanted {
	text := func(label string, more record) record {
		m := record{"type": "Text", "length": maxText, "label": label, "required": false}
		maps.Copy(m, more)
		return m
	}
	key := record{"externalId": true}
	if c.cfg.Unique {
		key["unique"], key["caseSensitive"] = true, true
	}
	all := []wanted{
		{activity, c.cfg.Fields.Key, text("JustCall Message ID", key)},
		{activity, c.cfg.Fields.Direction, text("JustCall Direction", nil)},
		{activity, c.cfg.Fields.At, record{"type": "DateTime", "label": "JustCall Time", "required": false}},
		{activity, c.cfg.Fields.Status, text("JustCall Status", nil)},
		{activity, c.cfg.Fields.Reason, text("JustCall Reason", nil)},
	}
	for _, object := range c.objects() {
		all = append(all,
			wanted{object, c.cfg.Fields.OptOut, record{"type": "Checkbox", "label": "SMS Opt Out", "defaultValue": "false"}},
			wanted{object, c.cfg.Fields.OptOutAt, record{"type": "DateTime", "label": "SMS Opt Out Time", "required": false}},
		)
	}
	return slices.DeleteFunc(all, func(w wanted) bool { return !strings.HasSuffix(w.name, "__c") })
}

// Provision implements connectors.Provisioner: the custom fields (Tooling API), a
// permission set that lets its members use them, and its assignment to the user
// whose credentials these are. It needs the permissions Customize Application,
// and Manage Profiles and Permission Sets, unless those credentials may write all
// the fields already. Page layouts are left to a person.
// https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_customfield.htm
func (c *Connector) Provision(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
	p := provisioning{api: c.api, dryRun: dryRun}
	fields := c.wanted()
	if ready, err := c.ready(ctx, fields); ready || err != nil {
		return nil, err
	}
	err := p.fields(ctx, fields)
	if err == nil {
		err = p.permissions(ctx, fields)
	}
	return p.changes, err
}

// ready reports whether these credentials may write all the fields, by whatever
// profile or permission set.
func (c *Connector) ready(ctx context.Context, fields []wanted) (bool, error) {
	found, err := c.api.describe(ctx, provisionOp, append([]string{task}, c.objects()...))
	return err == nil && !slices.ContainsFunc(fields, func(w wanted) bool {
		return !found[w.permits()].writable(w.name)
	}), err
}

// provisioning is one run of Provision.
type provisioning struct {
	api     api
	dryRun  bool
	changes []connectors.Change
}

const provisionOp = "provision"

// do notes a change, and makes it unless this is a dry run.
func (p *provisioning) do(what string, change func() error) error {
	p.changes = append(p.changes, connectors.Change{What: what})
	if p.dryRun {
		return nil
	}
	err := change()
	p.changes[len(p.changes)-1].Done = err == nil
	return err
}

// create makes one record of an object and answers its id.
func (p *provisioning) create(ctx context.Context, path string, body any) (string, error) {
	var out saved
	_, err := p.api.Do(ctx, rest.Request{Op: provisionOp, Method: http.MethodPost, Path: p.api.root + "/" + path + "/", Body: body, Into: &out})
	if err == nil && out.ID == "" {
		err = &connectors.Error{Op: provisionOp, Kind: connectors.Unknown, Ambiguous: true, Err: errForm}
	}
	return out.ID, err
}

func (p *provisioning) fields(ctx context.Context, fields []wanted) error {
	names := make([]string, len(fields))
	for i, w := range fields {
		names[i] = strings.TrimSuffix(w.name, "__c")
	}
	// It shows those that field permissions hide, too.
	soql := "SELECT DeveloperName, TableEnumOrId FROM CustomField WHERE DeveloperName IN (" + strings.Join(lists(names, maxQuery), ",") + ")"
	found, err := p.api.pagesOf(ctx, provisionOp, p.api.root+"/tooling/query", soql)
	if err != nil {
		return err
	}
	for _, w := range fields {
		there := slices.ContainsFunc(found, func(r record) bool {
			return r.str("TableEnumOrId") == w.object && strings.EqualFold(r.str("DeveloperName")+"__c", w.name)
		})
		if there {
			continue
		}
		err := p.do("create the field "+w.object+"."+w.name, func() error {
			_, err := p.create(ctx, "tooling/sobjects/CustomField", record{"FullName": w.object + "." + w.name, "Metadata": w.metadata})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *provisioning) permissions(ctx context.Context, fields []wanted) error {
	set, err := p.permissionSet(ctx)
	if err != nil {
		return err
	}
	if err := p.permit(ctx, set, fields); err != nil {
		return err
	}
	return p.assign(ctx, set)
}

// permissionSet answers the id of the permission set, "" where a dry run does not
// find it.
func (p *provisioning) permissionSet(ctx context.Context) (string, error) {
	found, err := p.find(ctx, "SELECT Id FROM PermissionSet WHERE Name = "+quoted(permissionSet))
	if err != nil || len(found) > 0 {
		return first(found), err
	}
	var id string
	err = p.do("create the permission set "+permissionSet, func() error {
		id, err = p.create(ctx, "sobjects/PermissionSet", record{"Name": permissionSet, "Label": permissionSet})
		return err
	})
	return id, err
}

// permit lets the permission set read and write the fields.
func (p *provisioning) permit(ctx context.Context, set string, fields []wanted) error {
	var found []record
	var err error
	if set != "" {
		found, err = p.find(ctx, "SELECT Field FROM FieldPermissions WHERE PermissionsEdit = true AND ParentId = "+quoted(set))
	}
	if err != nil {
		return err
	}
	for _, w := range fields {
		name := w.permits() + "." + w.name
		if slices.ContainsFunc(found, func(r record) bool { return r.str("Field") == name }) {
			continue
		}
		err := p.do("let the permission set "+permissionSet+" edit "+name, func() error {
			_, err := p.create(ctx, "sobjects/FieldPermissions", record{
				"ParentId": set, "SobjectType": w.permits(), "Field": name, "PermissionsRead": true, "PermissionsEdit": true,
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// assign gives the permission set to the user whose credentials these are.
func (p *provisioning) assign(ctx context.Context, set string) error {
	id, err := p.self(ctx)
	if err != nil {
		return err
	}
	var found []record
	if set != "" {
		found, err = p.find(ctx, "SELECT Id FROM PermissionSetAssignment WHERE AssigneeId = "+quoted(id)+" AND PermissionSetId = "+quoted(set))
	}
	if err != nil || len(found) > 0 {
		return err
	}
	return p.do(fmt.Sprintf("assign the permission set %s to the user %s", permissionSet, id), func() error {
		_, err := p.create(ctx, "sobjects/PermissionSetAssignment", record{"AssigneeId": id, "PermissionSetId": set})
		return err
	})
}

// self answers the id of the user whose credentials these are: the last part of
// the identity URL among the version's resources.
// https://developer.salesforce.com/docs/platform/api-rest/guide/resources-discoveryresource.html
func (p *provisioning) self(ctx context.Context) (string, error) {
	var out struct {
		Identity string `json:"identity"`
	}
	if _, err := p.api.Do(ctx, rest.Request{Op: provisionOp, Path: p.api.root + "/", Into: &out}); err != nil {
		return "", err
	}
	u, err := url.Parse(out.Identity)
	if err != nil || !strings.Contains(u.Path, "/"+userPrefix) {
		return "", &connectors.Error{Op: provisionOp, Kind: connectors.Unknown, Err: errors.New("who these credentials belong to is not told")}
	}
	return u.Path[strings.LastIndex(u.Path, "/")+1:], nil
}

func (p *provisioning) find(ctx context.Context, soql string) ([]record, error) {
	return p.api.pagesOf(ctx, provisionOp, p.api.root+"/query", soql)
}

func first(found []record) string {
	if len(found) == 0 {
		return ""
	}
	return found[0].str("Id")
}
