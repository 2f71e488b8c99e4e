// Package skeleton writes a connector to begin with: a module with a connector for
// a made-up CRM, its fake, its conformance test, and a build of crmsync with it.
// It is examples/connector under another name; there is one source, which CI
// builds and tests.
package skeleton

import (
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// example holds the files of examples/connector, each with the suffix .txt: that
// is a module of its own, which cannot be embedded here. `make generate` writes
// them; TestSkeletonIsTheExample compares.
//
//go:embed example
var example embed.FS

const suffix = ".txt"

// The example's name, in each of the forms in which it stands in the files.
const original, originalTitle, originalUpper = "juniper", "Juniper", "JUNIPER"

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

// reserved are names that a package beside main.go and fake cannot have.
var reserved = map[string]bool{"main": true, "fake": true, "crmsync": true, "connectors": true, "connectortest": true}

// CheckName reports why name cannot be a connector's: it is the type in a
// configuration, and a Go package.
func CheckName(name string) error {
	switch {
	case !nameForm.MatchString(name):
		return errors.New("the name must be 2 to 31 small letters and digits, a letter first: it becomes a Go package")
	case token.IsKeyword(name) || reserved[name]:
		return fmt.Errorf("the name %s means something else in Go or here", name)
	}
	return nil
}

// Write writes the skeleton into dir, which it makes. The name is one that
// CheckName approves; source is the folder of crmsync's own module.
func Write(dir, name, source string) error {
	way, err := replacement(dir, source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return fmt.Errorf("nothing is overwritten: %w", err)
	}
	names := strings.NewReplacer(
		original, name, originalTitle, strings.ToUpper(name[:1])+name[1:], originalUpper, strings.ToUpper(name),
		"crmsync => ../..", "crmsync => "+way,
	)
	return fs.WalkDir(example, "example", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := example.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "example/"), suffix)
		return writeFile(filepath.Join(dir, names.Replace(name)), []byte(names.Replace(string(data))))
	})
}

// replacement is how the go.mod in dir names crmsync's source.
func replacement(dir, source string) (string, error) {
	from, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	if way, err := filepath.Rel(from, to); err == nil {
		to = way
	}
	to = filepath.ToSlash(to)
	if strings.ContainsAny(to, " \"'`,()") {
		return strconv.Quote(to), nil
	}
	return to, nil
}

// writeFile formats Go anew, since other names are aligned and sorted otherwise.
func writeFile(path string, data []byte) (err error) {
	if strings.HasSuffix(path, ".go") {
		if data, err = format.Source(data); err != nil {
			return fmt.Errorf("format %s: %w", path, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
