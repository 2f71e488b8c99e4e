package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// rule is a compiled `when`.
type rule struct{ program *vm.Program }

// directions are the values of a text's direction.
var directions = []string{"inbound", "outbound"}

// Targets answers the connectors that a text goes to: see [Config.Route], whose
// error it leaves out.
func (c *Config) Targets(in RouteInput) []string {
	targets, _ := c.Route(in)
	return targets
}

// Route answers the connectors that a text goes to, in a stable order: those of
// every route that matches, each once, as far as they serve the text's account.
// Without any route it answers [Config.AccountConnectors].
//
// A route whose expression fails on this text must drop nothing: the text then
// goes to all of the account's connectors, and the error, which is worth a
// warning in the log, comes with them.
func (c *Config) Route(in RouteInput) ([]string, error) {
	all := c.AccountConnectors(in.Account)
	if len(c.Routes) == 0 {
		return all, nil
	}
	var targets []string
	var errs []error
	for i, r := range c.Routes {
		matches, err := r.matches(in)
		if err != nil {
			errs = append(errs, c.doc.problem(fmt.Sprintf("routes[%d].when", i), "%s", firstLine(err)))
		}
		if !matches {
			continue
		}
		for _, to := range r.To {
			if slices.Contains(all, to) && !slices.Contains(targets, to) {
				targets = append(targets, to)
			}
		}
	}
	if len(errs) > 0 {
		return all, errors.Join(errs...)
	}
	return targets, nil
}

// AccountConnectors answers the names of all connectors that serve an account,
// in order. Consent goes to all of them, whatever the routes say.
func (c *Config) AccountConnectors(account string) []string {
	var served []string
	for _, name := range sortedKeys(c.Connectors) {
		if slices.Contains(c.Connectors[name].Accounts, account) {
			served = append(served, name)
		}
	}
	return served
}

func (r Route) matches(in RouteInput) (bool, error) {
	if r.rule == nil {
		return false, errors.New("is not compiled: the route was not read by this package")
	}
	result, err := expr.Run(r.rule.program, in)
	if err != nil {
		return false, err
	}
	matches, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("answered a %T", result)
	}
	return matches, nil
}

// route checks and compiles one route.
func (v *validator) route(i int) {
	path := "routes[" + strconv.Itoa(i) + "]"
	r := &v.c.Routes[i]
	if len(r.To) == 0 {
		v.fail(path+".to", "is missing: list the connectors that matching texts go to")
	}
	for j, to := range r.To {
		item := path + ".to[" + strconv.Itoa(j) + "]"
		if v.c.Connectors[to] == nil {
			v.fail(item, "%s is not a connector%s", v.c.doc.show(item, to), nearest(to, sortedKeys(v.c.Connectors)))
		}
		if slices.Contains(r.To[:j], to) {
			v.fail(item, "is listed twice")
		}
	}
	if strings.TrimSpace(r.When) == "" {
		v.fail(path+".when", "is missing: write an expression, or true for every text")
		return
	}
	program, err := expr.Compile(r.When, expr.Env(RouteInput{}), expr.AsBool())
	if err != nil {
		v.fail(path+".when", "%s", v.explainRule(path+".when", err))
		return
	}
	r.rule = &rule{program: program}
	v.constants(path+".when", r.When)
}

// explainRule gives the compiler's message without the excerpt that it adds.
func (v *validator) explainRule(path string, err error) string {
	if v.c.doc.secret[path] {
		return "is not an expression that answers true or false"
	}
	return firstLine(err) + "; known are account, line, direction, agent and medium"
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// constants reports what an expression compares account or direction with
// although they are never that.
func (v *validator) constants(path, when string) {
	var wrong []string
	for _, c := range comparisons(when) {
		shown := v.c.doc.show(path, c.value)
		switch {
		case c.field == "account" && !slices.Contains(sortedKeys(v.c.JustCall), c.value):
			wrong = append(wrong, shown+" is not an account under justcall"+nearest(c.value, sortedKeys(v.c.JustCall)))
		case c.field == "direction" && !slices.Contains(directions, c.value):
			wrong = append(wrong, "direction is never "+shown+", only "+strings.Join(directions, " or "))
		}
	}
	if len(wrong) > 0 {
		v.fail(path, "%s", strings.Join(wrong, "; "))
	}
}

// comparison is one `field == "value"`, `field != "value"` or an item of
// `field in ["value", …]`.
type comparison struct{ field, value string }

// comparisons finds what an expression compares its fields with.
func comparisons(when string) []comparison {
	tree, err := parser.Parse(when)
	if err != nil {
		return nil
	}
	var found comparisonFinder
	ast.Walk(&tree.Node, &found)
	return found
}

type comparisonFinder []comparison

// Visit implements ast.Visitor.
func (f *comparisonFinder) Visit(node *ast.Node) {
	binary, ok := (*node).(*ast.BinaryNode)
	if !ok {
		return
	}
	switch binary.Operator {
	case "==", "!=":
		f.add(binary.Left, binary.Right)
		f.add(binary.Right, binary.Left)
	case "in":
		if list, ok := binary.Right.(*ast.ArrayNode); ok {
			for _, item := range list.Nodes {
				f.add(binary.Left, item)
			}
		}
	}
}

func (f *comparisonFinder) add(field, value ast.Node) {
	name, isField := field.(*ast.IdentifierNode)
	text, isText := value.(*ast.StringNode)
	if isField && isText {
		*f = append(*f, comparison{name.Value, text.Value})
	}
}
