package httpapi

import (
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings. docs/connectors/http.md describes them.
type Config struct {
	// BaseURL is what every path is below.
	BaseURL string `yaml:"base_url"`
	// Class says what makes a repeated put_message harmless.
	Class connectors.Class `yaml:"class"`
	// OnAmbiguous is park or repeat, for class D without find_message.
	OnAmbiguous string `yaml:"on_ambiguous"`
	Auth        Auth   `yaml:"auth"`
	// Headers are sent with every request as they are.
	Headers map[string]string `yaml:"headers"`
	// IdempotencyHeader carries the key of what is created; empty for none.
	IdempotencyHeader string `yaml:"idempotency_header"`
	// Region (ISO 3166-1) is for the CRM's numbers without +.
	Region string `yaml:"region"`
	// Verdict is the default of every operation's.
	Verdict string `yaml:"verdict"`

	Timeout   time.Duration `yaml:"timeout"`
	Settle    time.Duration `yaml:"settle"`
	SearchLag time.Duration `yaml:"search_lag"`
	Limits    []Limit       `yaml:"limits"`

	Check         *Operation    `yaml:"check"`
	FindContacts  *FindContacts `yaml:"find_contacts"`
	CreateContact *Operation    `yaml:"create_contact"`
	PutMessage    *PutMessage   `yaml:"put_message"`
	UpdateStatus  *Operation    `yaml:"update_status"`
	FindMessage   *Operation    `yaml:"find_message"`
	SetConsent    *Operation    `yaml:"set_consent"`
}

// Operation is one request and how its answer is read. Path, query, headers,
// body and form are templates; result and verdict are expressions.
type Operation struct {
	Method  string            `yaml:"method"`
	Path    string            `yaml:"path"`
	Query   map[string]string `yaml:"query"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Form    map[string]string `yaml:"form"`
	Result  map[string]string `yaml:"result"`
	Status  map[string]string `yaml:"status"`
	Verdict string            `yaml:"verdict"`
}

// FindContacts is a search, which is made once for each spelling.
type FindContacts struct {
	Operation `yaml:",inline"`
	// Spellings of Number: e164, digits, national. Just e164 where it is empty.
	Spellings []string `yaml:"spellings"`
}

// PutMessage creates a text's record.
type PutMessage struct {
	Operation `yaml:",inline"`
	// Batch is how many texts go into one request, as .Items; 0: one, as it is.
	Batch int `yaml:"batch"`
	// LookFirst asks find_message before each write, for an upsert that
	// overwrites.
	LookFirst bool `yaml:"look_first"`
}

// Limit is one bucket of the CRM's request limits: per window, or per day of the
// time zone that Midnight names.
type Limit struct {
	Name     string        `yaml:"name"`
	Requests int           `yaml:"requests"`
	Per      time.Duration `yaml:"per"`
	Midnight string        `yaml:"midnight"`
}

const (
	park   = "park"
	repeat = "repeat"
)

var spellings = map[string]func(phone) string{"e164": phone.E164, "digits": phone.Digits, "national": phone.National}

func defaults() Config { return Config{IdempotencyHeader: "Idempotency-Key"} }

// Validate reports everything that keeps the settings from being used, each
// error beginning with its key. It does no I/O.
func (c Config) Validate() error {
	_, err := compileAll(c)
	return errors.Join(c.validateBase(), c.validateClass(), c.validateRest(), c.Auth.validate(), err)
}

func (c Config) validateBase() error {
	if err := rest.CheckBase(c.BaseURL); err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	return nil
}

func (c Config) validateClass() error {
	var errs []error
	if !slices.Contains([]connectors.Class{connectors.ClassA, connectors.ClassB, connectors.ClassC, connectors.ClassD}, c.Class) {
		errs = append(errs, errors.New("class: must be A (put_message chooses the record's id), B (upserts by key), C (the CRM refuses a second record with the key) or D (none of these)"))
	}
	if c.OnAmbiguous != "" && c.OnAmbiguous != park && c.OnAmbiguous != repeat {
		errs = append(errs, errors.New("on_ambiguous: must be park or repeat"))
	}
	if c.OnAmbiguous != "" && (c.Class != connectors.ClassD || c.FindMessage != nil) {
		errs = append(errs, errors.New("on_ambiguous: has no effect unless class is D and find_message is left out: remove it"))
	}
	return errors.Join(errs...)
}

var regionPattern = regexp.MustCompile(`^[A-Z]{2}$`)

func (c Config) validateRest() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Region != "" && (!regionPattern.MatchString(c.Region) || phonenumbers.GetCountryCodeForRegion(c.Region) == 0) {
		fail("region: must be an ISO 3166-1 country code of two capital letters, such as US or GB")
	}
	for name := range c.Headers {
		if err := checkHeader(name); err != nil {
			fail("headers.%s: %w", name, err)
		}
	}
	if c.IdempotencyHeader != "" && checkHeader(c.IdempotencyHeader) != nil {
		fail("idempotency_header: is not the name of a header")
	}
	names := map[string]bool{}
	for i, limit := range c.Limits {
		if limit.Name == "" || names[limit.Name] || limit.Requests <= 0 || (limit.Per > 0) == (limit.Midnight != "") {
			fail("limits[%d]: needs a name of its own, requests, and per or midnight, such as { name: burst, requests: 100, per: 10s }", i)
		}
		names[limit.Name] = true
		if _, err := time.LoadLocation(limit.Midnight); err != nil {
			fail("limits[%d].midnight: must be a time zone, such as America/New_York", i)
		}
	}
	return errors.Join(errs...)
}

// operations are the compiled ones; nil for what is left out.
type operations struct {
	check, find, create, put, update, read, consent *operation
}

func compileAll(c Config) (operations, error) {
	var ops operations
	var errs []error
	add := func(into **operation, v verb, o *Operation) {
		if o == nil {
			return
		}
		var err error
		*into, err = compile(v, *o, c.Verdict)
		errs = append(errs, err)
	}
	add(&ops.check, checking, c.Check)
	add(&ops.create, creating, c.CreateContact)
	add(&ops.update, updating, c.UpdateStatus)
	add(&ops.read, reading, c.FindMessage)
	add(&ops.consent, consenting, c.SetConsent)
	if c.FindContacts != nil {
		add(&ops.find, searching, &c.FindContacts.Operation)
		errs = append(errs, c.FindContacts.validate())
	}
	if c.PutMessage != nil {
		add(&ops.put, c.PutMessage.verb(), &c.PutMessage.Operation)
		errs = append(errs, c.PutMessage.validate(c))
	}
	for name, missing := range map[string]bool{"check": c.Check == nil, "put_message": c.PutMessage == nil} {
		if missing {
			errs = append(errs, fmt.Errorf("%s: is missing", name))
		}
	}
	ops.conflictMeansExisted(c.Class)
	return ops, errors.Join(errs...)
}

// conflictMeansExisted gives 409 the meaning that it has where the CRM refuses
// a second record.
func (ops operations) conflictMeansExisted(class connectors.Class) {
	if ops.put == nil || class != connectors.ClassA && class != connectors.ClassC {
		return
	}
	if _, said := ops.put.statuses[http.StatusConflict]; !said {
		ops.put.statuses[http.StatusConflict] = existed
	}
}

func (f FindContacts) validate() error {
	for _, name := range f.Spellings {
		if spellings[name] == nil {
			return errors.New("find_contacts.spellings: are e164, digits and national")
		}
	}
	return nil
}

func (p PutMessage) verb() verb {
	if p.Batch > 0 {
		return puttingBatch
	}
	return putting
}

func (p PutMessage) validate(c Config) error {
	switch {
	case p.Batch < 0 || p.Batch > maxBatch:
		return fmt.Errorf("put_message.batch: must be from 1 to %d, or left out", maxBatch)
	case p.LookFirst && c.FindMessage == nil:
		return errors.New("put_message.look_first: needs find_message")
	case p.LookFirst && p.Batch > 0:
		return errors.New("put_message.look_first: cannot stand beside batch")
	}
	return nil
}

// maxBatch bounds what one request may carry.
const maxBatch = 1000

// spellingsOf answers a number as the CRM may want it, each spelling once.
func (c Config) spellingsOf(p phone) []string {
	names := c.FindContacts.Spellings
	if len(names) == 0 {
		names = []string{"e164"}
	}
	var out []string
	for _, name := range names {
		if s := spellings[name](p); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// plainHeader reports why a value cannot be sent in a header.
func plainHeader(value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("holds a character that is not printable ASCII: is there a line break at its end?")
	}
	return nil
}
