// Package templates fills in the text/template templates of configurations: the
// requests of connector http, and what records of texts say.
//
// A template is checked when it is read: every name in every branch must be one
// that its values have. Each value is made harmless where it stands (a [Place]),
// as html/template does. What goes wrong is said without repeating a value.
package templates

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"crmsync/connectors/rest"
)

// Place is where a template stands, which decides how its values are escaped.
type Place string

// The places.
const (
	Path   Place = "path"   // of a URL: each value is one segment, or part of one
	Text   Place = "text"   // as it is: whoever takes it encodes the whole
	Header Place = "header" // of a request: one line
	JSON   Place = "JSON"   // a value, with its quotes, or part of a string
)

// Template is a template that was read. It is safe for concurrent use.
type Template struct {
	place    Place
	template *template.Template
	names    map[string]bool // that it uses, such as Contact
}

// Parse reads a template that is filled in with values of sample's type, a
// struct.
func Parse(source string, at Place, sample any) (*Template, error) {
	t, err := template.New("").Funcs(functions).Funcs(escapers).Parse(source)
	if err != nil {
		return nil, Explain(err)
	}
	f := &Template{place: at, template: t}
	if f.names, err = checkNames(t.Tree.Root, sample); err != nil {
		return nil, err
	}
	end, err := escaper{at}.list(t.Tree.Root, false)
	if err == nil && end {
		err = errors.New("a JSON string does not end")
	}
	return f, err
}

var templatePosition = regexp.MustCompile(`^template: ?:\d+(:\d+)?: ?(executing "" at )?`)

// Explain gives an error of the engine in the words of who writes a template. It
// may repeat a value.
func Explain(err error) error {
	if own, ok := errors.AsType[Error](err); ok {
		return own
	}
	message := templatePosition.ReplaceAllString(err.Error(), "")
	if strings.HasSuffix(message, "not defined") {
		message += "; known are " + functionNames()
	}
	return errors.New(message)
}

// Uses reports whether any branch of the template names a value, such as Contact.
func (f *Template) Uses(name string) bool { return f.names[name] }

// Fill answers the template with the values of data. Its error repeats none of
// them.
func (f *Template) Fill(data any) (string, error) { return private(f.Try(data)) }

// FillWithin is Fill for a template that must neither answer more than size
// bytes nor take longer than timeout.
func (f *Template) FillWithin(size int, timeout time.Duration, data any) (string, error) {
	out := &bounded{room: size, ends: time.Now().Add(timeout)}
	return private(f.write(out, &out.Builder, data))
}

func private(s string, err error) (string, error) {
	if err == nil {
		return s, nil
	}
	if own, ok := errors.AsType[Error](err); ok {
		return "", own
	}
	return "", errors.New("a value is not of the kind that the template expects")
}

// bounded is what a template may write.
type bounded struct {
	strings.Builder
	room int
	ends time.Time
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, Error("it becomes too long")
	}
	if time.Now().After(b.ends) {
		return 0, Error("it takes too long")
	}
	return b.Builder.Write(p)
}

// Try is Fill with the engine's own words for an error, which may repeat
// values.
func (f *Template) Try(data any) (string, error) {
	var out strings.Builder
	return f.write(&out, &out, data)
}

// write writes to w, which keeps it in out.
func (f *Template) write(w io.Writer, out *strings.Builder, data any) (string, error) {
	if err := f.template.Execute(w, data); err != nil {
		return "", err
	}
	switch f.place {
	case Path:
		return out.String(), checkPath(out.String())
	case Header:
		return OneLine(out.String()), nil
	}
	return out.String(), nil
}

// pathSegment escapes a value as one segment of a path, or as part of one.
func pathSegment(v any) (string, error) {
	s, err := textOf(v)
	if err == nil && s == "" {
		err = Error("an empty value stands in a path")
	}
	return rest.Path(s), err
}

// checkPath refuses empty segments, which would address the collection in place
// of the record, and steps, which servers and proxies resolve, escaped or not.
func checkPath(path string) error {
	if strings.Contains(path, "//") {
		return Error("the path has an empty segment")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if s := strings.ReplaceAll(strings.ToUpper(segment), "%2E", "."); s == "." || s == ".." {
			return Error("a segment of the path is . or ..")
		}
	}
	return nil
}

// escaper appends to each action of a template the function that makes its
// value harmless where it stands, as html/template does.
type escaper struct{ place Place }

// list walks the nodes of a list. Of JSON it knows whether it is within a
// string, before and after.
func (e escaper) list(l *parse.ListNode, within bool) (bool, error) {
	if l == nil {
		return within, nil
	}
	for _, node := range l.Nodes {
		var err error
		if within, err = e.node(node, within); err != nil {
			return within, err
		}
	}
	return within, nil
}

func (e escaper) node(node parse.Node, within bool) (bool, error) {
	switch n := node.(type) {
	case *parse.TextNode:
		return e.text(string(n.Text), within)
	case *parse.ActionNode:
		e.action(n.Pipe, within)
		return within, nil
	case *parse.IfNode:
		return e.branches(n.BranchNode, within)
	case *parse.WithNode:
		return e.branches(n.BranchNode, within)
	case *parse.RangeNode:
		end, err := e.branches(n.BranchNode, within)
		if err == nil && end != within {
			err = errors.New("what stands in a range begins and ends on different sides of a JSON string's quote")
		}
		return end, err
	}
	return within, fmt.Errorf("%s is not supported here", node)
}

// branches demands that the ways through an if end alike.
func (e escaper) branches(b parse.BranchNode, within bool) (bool, error) {
	end, err := e.list(b.List, within)
	if err != nil {
		return end, err
	}
	other, err := e.list(b.ElseList, within)
	if err == nil && end != other {
		err = fmt.Errorf("the branches of {{%s %s}} end on different sides of a JSON string's quote", branchName(b), b.Pipe)
	}
	return end, err
}

func branchName(b parse.BranchNode) string {
	return map[parse.NodeType]string{parse.NodeIf: "if", parse.NodeWith: "with", parse.NodeRange: "range"}[b.NodeType]
}

// text follows the quotes in a piece of JSON.
func (e escaper) text(s string, within bool) (bool, error) {
	if e.place == Path && strings.ContainsAny(s, "?#") {
		return within, errors.New("a path has no ? or #: put the query under query")
	}
	if e.place != JSON {
		return within, nil
	}
	for i := 0; i < len(s); i++ {
		switch {
		case within && s[i] == '\\':
			if i++; i == len(s) {
				return within, errors.New("a backslash stands before {{")
			}
		case s[i] == '"':
			within = !within
		}
	}
	return within, nil
}

func (e escaper) action(pipe *parse.PipeNode, within bool) {
	if len(pipe.Decl) > 0 {
		return // sets a variable, writes nothing
	}
	name := parse.NewIdentifier(e.function(within)).SetPos(pipe.Pos)
	pipe.Cmds = append(pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pipe.Pos, Args: []parse.Node{name}})
}

func (e escaper) function(within bool) string {
	switch {
	case e.place == Path:
		return escapePath
	case e.place == Header:
		return escapeHeader
	case e.place == Text:
		return escapeText
	case within:
		return escapeFragment
	}
	return escapeJSON
}
