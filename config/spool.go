package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Spool bounds what Redis keeps of the events that Temporal did not take yet.
type Spool struct {
	// MaxEvents is how many there are at most, dead letters among them.
	MaxEvents int64 `yaml:"max_events"`
	// MaxBytes is what they take at most.
	MaxBytes Size `yaml:"max_bytes"`
}

// minSpool is room for a few of the largest bodies that are kept.
const minSpool Size = 1 << 20

func (v *validator) spool() {
	if v.c.Spool.MaxEvents < 1 {
		v.fail("spool.max_events", "must be 1 or more")
	}
	if v.c.Spool.MaxBytes < minSpool {
		v.fail("spool.max_bytes", "must be %s or more", minSpool)
	}
}

// Size is a number of bytes, written as 512MiB.
type Size int64

// units are those of a Size, the largest first.
var units = []struct {
	name string
	size Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String implements fmt.Stringer.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.size == 0 {
			return fmt.Sprintf("%d%s", s/u.size, u.name)
		}
	}
	return "0B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		number, has := strings.CutSuffix(string(text), u.name)
		if !has {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || Size(n) > (1<<62)/u.size {
			break
		}
		*s = Size(n) * u.size
		return nil
	}
	return errors.New("must be a size, such as 512MiB or 1GiB")
}
