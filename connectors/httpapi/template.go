package httpapi

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"crmsync/connectors/rest"
)

// place is where a template stands, which decides how its values are escaped.
type place string

const (
	inPath   place = "path"
	inQuery  place = "query" // and in a form: the whole is encoded later
	inHeader place = "header"
	inJSON   place = "JSON"
)

// field is one template of a request. It is safe for concurrent use.
type field struct {
	place    place
	template *template.Template
	names    map[string]bool // that it uses, such as Contact
}

// parseField reads a template that is filled in with values such as sample.
func parseField(source string, at place, sample any) (*field, error) {
	t, err := template.New("").Funcs(functions).Funcs(escapers).Parse(source)
	if err != nil {
		return nil, parseError(err)
	}
	f := &field{place: at, template: t}
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

func parseError(err error) error {
	if own, ok := errors.AsType[fillError](err); ok {
		return own
	}
	message := templatePosition.ReplaceAllString(err.Error(), "")
	if strings.HasSuffix(message, "not defined") {
		message += "; known are " + functionNames()
	}
	return errors.New(message)
}

// fill answers the template with the values of data. Its error repeats none of
// them.
func (f *field) fill(data any) (string, error) {
	s, err := f.try(data)
	if err == nil {
		return s, nil
	}
	if own, ok := errors.AsType[fillError](err); ok {
		return "", own
	}
	return "", errors.New("a value is not of the kind that the template expects")
}

// try is fill with the engine's own words for an error, which may repeat
// values.
func (f *field) try(data any) (string, error) {
	var out strings.Builder
	if err := f.template.Execute(&out, data); err != nil {
		return "", err
	}
	switch f.place {
	case inPath:
		return out.String(), checkPath(out.String())
	case inHeader:
		return oneLine(out.String()), nil
	}
	return out.String(), nil
}

// pathSegment escapes a value as one segment of a path, or as part of one.
func pathSegment(v any) (string, error) {
	s, err := textOf(v)
	if err == nil && s == "" {
		err = fillError("an empty value stands in a path")
	}
	return rest.Path(s), err
}

// checkPath refuses empty segments, which would address the collection in place
// of the record, and steps, which servers and proxies resolve, escaped or not.
func checkPath(path string) error {
	if strings.Contains(path, "//") {
		return fillError("the path has an empty segment")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if s := strings.ReplaceAll(strings.ToUpper(segment), "%2E", "."); s == "." || s == ".." {
			return fillError("a segment of the path is . or ..")
		}
	}
	return nil
}

// escaper appends to each action of a template the function that makes its
// value harmless where it stands, as html/template does.
type escaper struct{ place place }

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
	if e.place == inPath && strings.ContainsAny(s, "?#") {
		return within, errors.New("a path has no ? or #: put the query under query")
	}
	if e.place != inJSON {
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
	case e.place == inPath:
		return escapePath
	case e.place == inHeader:
		return escapeHeader
	case e.place == inQuery:
		return escapeText
	case within:
		return escapeFragment
	}
	return escapeJSON
}
