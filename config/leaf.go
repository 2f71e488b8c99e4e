package config

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// leaf reads a scalar. Its messages never repeat the value.
func (d *decoder) leaf(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fail(path, "must be a single value")
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		parsed, err := time.ParseDuration(n.Value)
		d.must(path, err == nil && parsed >= 0, "must be a duration, such as 90s, 15m or 24h")
		*target = parsed
	case *time.Time:
		var ok bool
		*target, ok = parseInstant(n.Value)
		d.must(path, ok, "must be an instant, such as 2026-12-01T00:00:00Z, or a date")
	case encoding.TextUnmarshaler:
		d.check(path, n, target.UnmarshalText([]byte(n.Value)))
	default:
		d.basic(path, n.Value, v)
	}
}

// basic reads a string, a truth value or a number.
func (d *decoder) basic(path, text string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		_, secret := reflect.TypeAssert[interface{ Reveal() string }](v)
		d.must(path, text != "" || !secret, "is empty")
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		d.must(path, err == nil && len(text) > 1, "must be true or false")
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		d.must(path, err == nil, "must be a whole number")
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		d.must(path, err == nil, "must be a whole number, 0 or more")
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		d.must(path, err == nil, "must be a number")
		v.SetFloat(f)
	default:
		d.fail(path, "cannot be set in a file")
	}
}

func (d *decoder) must(path string, ok bool, text string) {
	if !ok {
		d.fail(path, "%s", text)
	}
}

// check reports what a type's own reader says, unless it might repeat a value
// from outside the file.
func (d *decoder) check(path string, n *yaml.Node, err error) {
	switch {
	case err == nil:
	case strings.Contains(err.Error(), n.Value) && d.doc.expanded[n]:
		d.fail(path, "cannot be read")
	default:
		d.fail(path, "%s", err.Error())
	}
}

// parseInstant reads RFC 3339, or a date, which begins at midnight UTC.
func parseInstant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
