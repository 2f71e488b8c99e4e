package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a parsed file: its tree, in which every reference is expanded,
// and where each key stands.
type document struct {
	file     string
	root     *yaml.Node // a mapping
	lines    map[string]int
	expanded map[*yaml.Node]bool // scalars that held a reference
	secret   map[string]bool     // their keys
	broken   map[*yaml.Node]bool // scalars whose reference is missing
}

// parseDocument reads a file's tree. It answers a usable document even when
// there are problems, so that those of later steps are found as well.
func parseDocument(file string, data []byte, env Lookup) (*document, []Problem) {
	doc := &document{
		file:     file,
		root:     &yaml.Node{Kind: yaml.MappingNode, Line: 1},
		lines:    map[string]int{},
		expanded: map[*yaml.Node]bool{},
		secret:   map[string]bool{},
		broken:   map[*yaml.Node]bool{},
	}
	if i := bytes.IndexAny(data, string([]rune{refOpen, refClose})); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		return doc, []Problem{{File: file, Line: line, Text: "holds a character of Unicode's private use area"}}
	}
	text, refs := shield(string(data))
	root, err := parseYAML(text)
	if err != nil {
		return doc, []Problem{doc.syntaxProblem(refs.restore(err.Error()))}
	}
	if root == nil {
		return doc, nil
	}
	if root.Kind != yaml.MappingNode {
		return doc, []Problem{{File: file, Line: root.Line, Text: "must be a mapping of keys to values"}}
	}
	doc.root = root
	ix := &indexer{doc: doc, refs: refs, env: env}
	ix.node("", root)
	return doc, ix.problems
}

// parseYAML answers the root of the only document in text, nil for none.
func parseYAML(text string) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: a second document begins; there can be only one", max(second.Line, 1))
	}
	root := first.Content[0]
	if root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

var (
	syntaxPattern = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+): (.*)`)
	aliasPattern  = regexp.MustCompile(`^yaml: unknown anchor`)
	// The parser, unlike the scanner below it, counts lines from 0.
	parserPattern = regexp.MustCompile(`^did not find expected ([',<]|key|node)`)
)

// syntaxProblem gives a parser's message its usual form.
func (d *document) syntaxProblem(message string) Problem {
	p := Problem{File: d.file, Line: 1, Text: strings.TrimPrefix(message, "yaml: ")}
	if m := syntaxPattern.FindStringSubmatch(message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = m[2]
		if parserPattern.MatchString(p.Text) {
			p.Line++
		}
	}
	if aliasPattern.MatchString(message) {
		// The parser's message would repeat what may be a secret.
		p.Text = "a value that begins with * must stand in quotes"
	}
	return p
}

// line answers where a key stands, or the nearest key above it.
func (d *document) line(path string) int {
	for path != "" {
		if line, ok := d.lines[path]; ok {
			return line
		}
		path = parentPath(path)
	}
	return 0
}

// has reports whether the file gives a key.
func (d *document) has(path string) bool {
	_, ok := d.lines[path]
	return ok
}

// problem answers one at a key.
func (d *document) problem(path, format string, args ...any) Problem {
	return Problem{File: d.file, Line: d.line(path), Key: path, Text: fmt.Sprintf(format, args...)}
}

// show quotes the value of a key for a message, unless it comes from outside
// the file and so might be secret.
func (d *document) show(path, value string) string {
	if d.secret[path] {
		return "the value"
	}
	return strconv.Quote(value)
}

// indexer walks a tree once: it notes where each key stands, expands scalars in
// place, and refuses what has no single meaning.
type indexer struct {
	doc      *document
	refs     references
	env      Lookup
	problems []Problem
}

func (ix *indexer) node(path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		ix.mapping(path, n)
	case yaml.SequenceNode:
		for i, item := range n.Content {
			itemPath := fmt.Sprintf("%s[%d]", path, i)
			ix.doc.lines[itemPath] = item.Line
			ix.node(itemPath, item)
		}
	case yaml.AliasNode:
		ix.fail(path, "aliases (*name) are not supported: write the value out, or quote it")
	default:
		ix.scalar(path, n)
	}
}

func (ix *indexer) mapping(path string, n *yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || ix.refs.holds(key.Value) {
			ix.problems = append(ix.problems, Problem{
				File: ix.doc.file, Line: key.Line, Key: path, Text: "a key must be a plain word",
			})
			key.Value = ix.refs.restore(key.Value)
			continue
		}
		keyPath := joinPath(path, key.Value)
		if line, twice := first[key.Value]; twice {
			ix.problems = append(ix.problems, Problem{
				File: ix.doc.file, Line: key.Line, Key: keyPath,
				Text: fmt.Sprintf("is given twice; first in line %d", line),
			})
			continue
		}
		first[key.Value] = key.Line
		ix.doc.lines[keyPath] = key.Line
		ix.node(keyPath, value)
	}
}

func (ix *indexer) scalar(path string, n *yaml.Node) {
	if !ix.refs.holds(n.Value) {
		return
	}
	value, errs := ix.refs.expand(n.Value, ix.env)
	for _, err := range errs {
		ix.fail(path, err.Error())
		ix.doc.broken[n] = true
	}
	n.Value = value
	ix.doc.expanded[n] = true
	ix.doc.secret[path] = true
}

func (ix *indexer) fail(path, text string) {
	ix.problems = append(ix.problems, ix.doc.problem(path, "%s", text))
}

// parentPath answers the path of the mapping or list that holds a key.
func parentPath(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
