package templates

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"
	"time"
)

// checkNames reports the first name in a template that its values do not have,
// in every branch, and answers which of root's names it uses.
func checkNames(l *parse.ListNode, sample any) (map[string]bool, error) {
	c := &nameCheck{root: reflect.TypeOf(sample), used: map[string]bool{}}
	c.list(l, scope{dot: c.root, vars: map[string]reflect.Type{"$": c.root}})
	return c.used, c.err
}

type nameCheck struct {
	root reflect.Type
	used map[string]bool
	err  error
}

// scope is what is known at one place; a nil type is one that is not known.
type scope struct {
	dot  reflect.Type
	vars map[string]reflect.Type
}

func (s scope) inner(dot reflect.Type) scope { return scope{dot, maps.Clone(s.vars)} }

func (c *nameCheck) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *nameCheck) list(l *parse.ListNode, s scope) {
	if l == nil {
		return
	}
	for _, node := range l.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			c.pipe(n.Pipe, s)
		case *parse.IfNode:
			c.branch(n.BranchNode, s)
		case *parse.WithNode:
			c.branch(n.BranchNode, s)
		case *parse.RangeNode:
			c.branch(n.BranchNode, s)
		}
	}
}

func (c *nameCheck) branch(b parse.BranchNode, s scope) {
	inner := s.inner(s.dot)
	value := c.pipe(b.Pipe, inner)
	switch b.NodeType {
	case parse.NodeIf, parse.NodeWith:
		if value != nil && value.Kind() == reflect.Struct && value != timeType {
			c.fail(fmt.Errorf("%s is always there: ask for one of its values, such as %s.ID", b.Pipe, b.Pipe))
		}
		if b.NodeType == parse.NodeWith {
			inner.dot = value
		}
	case parse.NodeRange:
		if value != nil && value.Kind() != reflect.Slice && value.Kind() != reflect.Map {
			c.fail(fmt.Errorf("range needs a list, and %s is none", b.Pipe))
		}
		inner.dot = element(value)
		if n := len(b.Pipe.Decl); n > 0 {
			inner.vars[b.Pipe.Decl[n-1].Ident[0]] = inner.dot
			if n == 2 {
				inner.vars[b.Pipe.Decl[0].Ident[0]] = reflect.TypeFor[int]()
			}
		}
	}
	c.list(b.List, inner)
	c.list(b.ElseList, s.inner(s.dot))
}

func element(list reflect.Type) reflect.Type {
	if list == nil || list.Kind() != reflect.Slice {
		return nil
	}
	return list.Elem()
}

// pipe answers the type of a pipeline that is nothing but a name.
func (c *nameCheck) pipe(p *parse.PipeNode, s scope) reflect.Type {
	var last reflect.Type
	for _, command := range p.Cmds {
		for _, arg := range command.Args {
			last = c.arg(arg, s)
		}
	}
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		last = nil
	}
	for _, variable := range p.Decl {
		s.vars[variable.Ident[0]] = last
	}
	return last
}

func (c *nameCheck) arg(node parse.Node, s scope) reflect.Type {
	switch n := node.(type) {
	case *parse.DotNode:
		return s.dot
	case *parse.NumberNode:
		return reflect.TypeFor[int]()
	case *parse.FieldNode:
		return c.resolve(s.dot, n.Ident, n)
	case *parse.VariableNode:
		return c.resolve(s.vars[n.Ident[0]], n.Ident[1:], n)
	case *parse.ChainNode:
		return c.resolve(c.arg(n.Node, s), n.Field, n)
	case *parse.PipeNode:
		return c.pipe(n, s)
	}
	return nil
}

// resolve follows a chain of names from a type.
func (c *nameCheck) resolve(t reflect.Type, names []string, node parse.Node) reflect.Type {
	for _, name := range names {
		if t == nil {
			return nil
		}
		from := t
		if t = member(from, name); t == nil {
			c.fail(fmt.Errorf("%s is not known here; known are %s", node, Known(from)))
			return nil
		}
		if from == c.root {
			c.used[name] = true
		}
	}
	return t
}

// member answers the type of a field or of a method's result.
func member(t reflect.Type, name string) reflect.Type {
	if method, ok := t.MethodByName(name); ok && method.Type.NumOut() > 0 {
		return method.Type.Out(0)
	}
	if t.Kind() == reflect.Struct {
		if f, ok := t.FieldByName(name); ok && f.IsExported() {
			return f.Type
		}
	}
	return nil
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	phoneType = reflect.TypeFor[Phone]()
)

// Names lists what can be named of a type, in order.
func Names(t reflect.Type) []string {
	var names []string
	switch {
	case t.Kind() == reflect.Slice:
		return Names(t.Elem())
	case t == phoneType:
		names = []string{".Digits", ".E164", ".National"}
	case t.Kind() == reflect.Struct && t != timeType:
		for f := range t.Fields() {
			names = append(names, "."+f.Name)
			for _, name := range Names(f.Type) {
				names = append(names, "."+f.Name+name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Known lists the names of a type in a sentence.
func Known(t reflect.Type) string {
	if names := Names(t); len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return "none"
}
