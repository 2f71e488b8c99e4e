package pipedrive_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// document is what is read of an OpenAPI file.
type document struct {
	Paths map[string]map[string]struct {
		Cost       int `yaml:"x-token-cost"`
		Parameters []struct{ Name string }
		Body       struct {
			Content map[string]struct{ Schema schema }
		} `yaml:"requestBody"`
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref        string `yaml:"$ref"`
	Properties map[string]schema
	Items      *schema
	AllOf      []schema `yaml:"allOf"`
	AnyOf      []schema `yaml:"anyOf"`
	OneOf      []schema `yaml:"oneOf"`
}

// spec reads one of Pipedrive's own files, which are not ours to ship:
// https://developers.pipedrive.com/docs/api/v1/openapi-v2.yaml, and openapi-v1.yaml
// beside it, in the folder pipedrive below CRMSYNC_VENDOR_SPECS.
func spec(t *testing.T, file string) document {
	t.Helper()
	folder := os.Getenv("CRMSYNC_VENDOR_SPECS")
	if folder == "" {
		t.Skip("CRMSYNC_VENDOR_SPECS names no folder with the vendors' OpenAPI files")
	}
	raw, err := os.ReadFile(filepath.Join(folder, "pipedrive", file))
	if os.IsNotExist(err) {
		t.Skipf("CRMSYNC_VENDOR_SPECS has no pipedrive/%s", file)
	}
	require.NoError(t, err)
	var d document
	require.NoError(t, yaml.Unmarshal(raw, &d))
	return d
}

// names answers the properties of s and of everything below it.
func (d document) names(s schema, into map[string]bool) {
	if _, name, ok := strings.Cut(s.Ref, "#/components/schemas/"); ok {
		d.names(d.Components.Schemas[name], into)
	}
	for name, below := range s.Properties {
		into[name] = true
		d.names(below, into)
	}
	if s.Items != nil {
		d.names(*s.Items, into)
	}
	for _, all := range [][]schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, one := range all {
			d.names(one, into)
		}
	}
}

// Every endpoint is there, and costs what limits.go says.
func TestEndpointsAreTheVendors(t *testing.T) {
	t.Parallel()
	for base, file := range map[string]string{"/v1": "openapi-v1.yaml", "/api/v2": "openapi-v2.yaml"} {
		d := spec(t, file)
		for request, want := range costs {
			if path, ours := strings.CutPrefix(request[1], base); ours {
				cost, ok := d.find(request[0], path)
				require.True(t, ok, request)
				require.Equal(t, want, cost, request)
			}
		}
	}
}

var (
	segment     = regexp.MustCompile(`/(7|abc)$`)
	placeholder = regexp.MustCompile(`\{\w+\}`)
)

// find answers what a request costs.
func (d document) find(method, path string) (cost int, ok bool) {
	for pattern, methods := range d.Paths {
		if segment.ReplaceAllString(path, "/{}") == placeholder.ReplaceAllString(pattern, "{}") {
			o, ok := methods[strings.ToLower(method)]
			return o.Cost, ok
		}
	}
	return 0, false
}

// Every parameter, and every property that is written or read, is there.
func TestPropertiesAreTheVendors(t *testing.T) {
	t.Parallel()
	const v1, v2 = "openapi-v1.yaml", "openapi-v2.yaml"
	activity := "id is_deleted note public_description subject due_date due_time person_id participants next_cursor"
	person := "id name owner_id phones value update_time is_deleted"
	for _, c := range []struct{ file, method, path, params, writes, reads string }{
		{v2, "get", "/activities", "person_id updated_since sort_by sort_direction limit cursor", "", activity},
		{v2, "post", "/activities", "", "subject type owner_id participants person_id primary due_date due_time done busy note public_description", ""},
		{v2, "patch", "/activities/{id}", "", "public_description", ""},
		{v2, "get", "/persons/search", "term fields limit cursor", "", "items item id name phones custom_fields owner next_cursor"},
		{v2, "get", "/persons", "ids limit", "", person},
		{v2, "post", "/persons", "", "name owner_id emails phones value primary label custom_fields visible_to label_ids org_id", ""},
		{v2, "patch", "/persons/{id}", "", "custom_fields", ""},
		{v2, "get", "/personFields", "limit cursor", "", "field_name field_code field_type is_custom_field next_cursor"},
		{v2, "post", "/personFields", "", "field_name field_type", ""},
		{v1, "get", "/activityTypes", "", "", "key_string active_flag"},
		{v1, "post", "/activityTypes", "", "name icon_key", "key_string"},
		{v1, "get", "/users", "", "", "id email active_flag is_deleted"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			d := spec(t, c.file)
			operation := d.Paths[c.path][c.method]
			params, writes, reads := map[string]bool{}, map[string]bool{}, map[string]bool{}
			for _, p := range operation.Parameters {
				params[p.Name] = true
			}
			d.names(operation.Body.Content["application/json"].Schema, writes)
			d.names(operation.Responses["200"].Content["application/json"].Schema, reads)
			for known, wanted := range map[*map[string]bool]string{&params: c.params, &writes: c.writes, &reads: c.reads} {
				for name := range strings.FieldsSeq(wanted) {
					require.Contains(t, *known, name)
				}
			}
		})
	}
}
