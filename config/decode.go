package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder reads a tree into Go values over what they already hold, and gathers
// everything that does not fit.
type decoder struct {
	doc      *document
	problems []Problem
}

// defaulter is a map's element that has defaults of its own.
type defaulter interface{ setDefaults(key string) }

// keeper is a struct that keeps the keys that it does not know.
type keeper interface {
	keep(doc *document, rest *yaml.Node)
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func (d *decoder) fail(path, format string, args ...any) {
	d.problems = append(d.problems, d.doc.problem(path, format, args...))
}

// value reads the node at path into v, which can be set.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	switch {
	case d.doc.broken[n] || n.Kind == yaml.AliasNode:
		return // reported already
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(path, n, v.Elem())
	case v.Kind() == reflect.Interface:
		d.set(v, d.plain(n))
	case d.null(n):
		d.fail(path, "has no value: fill it in or remove the line")
	case isLeaf(v):
		d.leaf(path, n, v)
	default:
		d.composite(path, n, v)
	}
}

func (d *decoder) composite(path string, n *yaml.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	default:
		d.fail(path, "cannot be set in a file")
	}
}

// isLeaf reports whether v is read from a scalar.
func isLeaf(v reflect.Value) bool {
	if v.Addr().Type().Implements(textType) {
		return true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}

// null reports whether a key has no value. What came from outside is never
// null, only perhaps empty.
func (d *decoder) null(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && !d.doc.expanded[n] && n.ShortTag() == "!!null"
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fail(path, "must be a list, such as [a, b]")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.fail(path, "must be a mapping of keys to values")
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for key, value := range pairs(n) {
		element := reflect.New(v.Type().Elem()).Elem()
		target := element
		if element.Kind() == reflect.Pointer {
			element.Set(reflect.New(element.Type().Elem()))
			target = element.Elem()
		}
		if withDefaults, ok := reflect.TypeAssert[defaulter](target.Addr()); ok {
			withDefaults.setDefaults(key.Value)
		}
		d.value(joinPath(path, key.Value), value, target)
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), element)
	}
}

func (d *decoder) structure(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(path, "must be a mapping with the keys %s", strings.Join(names(fieldsOf(v)), ", "))
		return
	}
	fields := fieldsOf(v)
	kept, keeps := reflect.TypeAssert[keeper](v.Addr())
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}
	for key, value := range pairs(n) {
		field, known := fields[key.Value]
		switch {
		case known:
			d.value(joinPath(path, key.Value), value, field)
		case keeps:
			rest.Content = append(rest.Content, key, value)
		default:
			d.fail(joinPath(path, key.Value), "unknown key%s", nearest(key.Value, names(fields)))
		}
	}
	if keeps {
		kept.keep(d.doc, rest)
	}
}

// plain reads a node of any shape. What came from outside stays a string.
func (d *decoder) plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for key, value := range pairs(n) {
			m[key.Value] = d.plain(value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			list = append(list, d.plain(item))
		}
		return list
	}
	var x any
	if d.doc.expanded[n] || n.Decode(&x) != nil {
		return n.Value
	}
	return x
}

// set assigns x to an interface that may be nil.
func (d *decoder) set(v reflect.Value, x any) {
	if x == nil {
		v.SetZero()
	} else if reflect.TypeOf(x).AssignableTo(v.Type()) {
		v.Set(reflect.ValueOf(x))
	}
}

// pairs walks the scalar keys of a mapping.
func pairs(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode && !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// fieldsOf answers the fields of a struct by their keys, those of inlined
// structs included.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case key == "-":
		case options == "inline" && field.Type.Kind() == reflect.Struct:
			maps.Copy(fields, fieldsOf(v.Field(i)))
		case key == "":
			fields[strings.ToLower(field.Name)] = v.Field(i)
		default:
			fields[key] = v.Field(i)
		}
	}
	return fields
}

func names(fields map[string]reflect.Value) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// decodeVendor reads a connector's own settings; see [Connector.Decode].
func (d *document) decodeVendor(path string, rest *yaml.Node, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return errors.New("config: Decode needs a pointer to a struct")
	}
	dec := &decoder{doc: d}
	dec.value(path, rest, target.Elem())
	if v, ok := into.(interface{ Validate() error }); ok && len(dec.problems) == 0 {
		dec.problems = append(dec.problems, d.locate(path, v.Validate())...)
	}
	return join(dec.problems)
}

// locate turns the errors that err joins into problems, each at the key that it
// begins with.
func (d *document) locate(path string, err error) []Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []Problem
		for _, e := range joined.Unwrap() {
			problems = append(problems, d.locate(path, e)...)
		}
		return problems
	}
	if p, ok := errors.AsType[Problem](err); ok {
		return []Problem{p}
	}
	key, text, found := strings.Cut(err.Error(), ": ")
	if !found || strings.ContainsAny(key, " \n") {
		return []Problem{d.problem(path, "%s", err.Error())}
	}
	return []Problem{d.problem(joinPath(path, key), "%s", text)}
}
