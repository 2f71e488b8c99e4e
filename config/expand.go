package config

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Lookup reads what ${NAME} and ${file:/path} stand for. A nil function finds
// nothing.
type Lookup struct {
	Env  func(name string) (string, bool)
	File func(path string) ([]byte, error)
}

// System looks things up in the process's environment and file system.
func System() Lookup { return Lookup{Env: os.LookupEnv, File: os.ReadFile} }

// YAML takes the braces of ${NAME} for a mapping inside of [ ] and { }. So
// before the text is parsed each reference is replaced by its number between
// two private-use characters, and afterwards that by what it stands for.
const (
	refOpen  = '\uE000'
	refClose = '\uE001'
)

var (
	refPattern   = regexp.MustCompile(`\$\$|\$\{[^{}\n]*\}`)
	tokenPattern = regexp.MustCompile(string(refOpen) + `([0-9]+)` + string(refClose))
	namePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// references are the ${…} and $$ of a file, in order.
type references []string

// shield replaces the references of a text.
func shield(text string) (string, references) {
	var refs references
	shielded := refPattern.ReplaceAllStringFunc(text, func(ref string) string {
		refs = append(refs, ref)
		return string(refOpen) + strconv.Itoa(len(refs)-1) + string(refClose)
	})
	return shielded, refs
}

// holds reports whether a parsed text has references.
func (refs references) holds(text string) bool { return tokenPattern.MatchString(text) }

// expand puts what the references of a parsed text stand for in their place.
func (refs references) expand(text string, env Lookup) (string, []error) {
	var errs []error
	expanded := tokenPattern.ReplaceAllStringFunc(text, func(token string) string {
		value, err := resolve(refs.original(token), env)
		if err != nil {
			errs = append(errs, err)
		}
		return value
	})
	return expanded, errs
}

// restore undoes shield, for messages.
func (refs references) restore(text string) string {
	return tokenPattern.ReplaceAllStringFunc(text, refs.original)
}

func (refs references) original(token string) string {
	i, err := strconv.Atoi(strings.Trim(token, string(refOpen)+string(refClose)))
	if err != nil || i >= len(refs) {
		return token
	}
	return refs[i]
}

// resolve reads one reference.
func resolve(ref string, env Lookup) (string, error) {
	if ref == "$$" {
		return "$", nil
	}
	name := strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}")
	if path, isFile := strings.CutPrefix(name, "file:"); isFile {
		return resolveFile(path, env)
	}
	if !namePattern.MatchString(name) {
		return "", fmt.Errorf("%s is neither ${NAME} nor ${file:/path}; write $$ for a literal $", ref)
	}
	if env.Env != nil {
		if value, ok := env.Env(name); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("the environment variable %s is not set", name)
}

func resolveFile(path string, env Lookup) (string, error) {
	if env.File == nil {
		return "", fmt.Errorf("the file %s cannot be read here", path)
	}
	content, err := env.File(path)
	if err != nil {
		return "", fmt.Errorf("the file %s cannot be read: %w", path, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
