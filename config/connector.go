package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Connector is one configured CRM: what every connector has, and the vendor's
// own settings, which [Connector.Decode] reads.
type Connector struct {
	// Type names the connector's definition.
	Type string `yaml:"type"`
	// Accounts are the JustCall accounts whose events it gets.
	Accounts []string `yaml:"accounts"`
	// Since: nothing older is delivered. Zero: everything is.
	Since     time.Time `yaml:"since"`
	Contacts  Contacts  `yaml:"contacts"`
	Owner     Owner     `yaml:"owner"`
	Templates Templates `yaml:"templates"`
	Budget    Budget    `yaml:"budget"`
	// Adopt: the record of a text that another integration has written, such as
	// JustCall's built-in sync, is taken over.
	Adopt bool `yaml:"adopt"`
	// AdoptWait is how long after a text the other one's record may come.
	AdoptWait time.Duration `yaml:"adopt_wait"`
	// OAuth says how to sign in; nil: with what the vendor's settings hold.
	OAuth *OAuth `yaml:"oauth"`

	name string
	doc  *document
	rest *yaml.Node // the vendor's part of the mapping
}

// Several says what happens when several contacts carry a number.
type Several string

// The policies for several contacts.
const (
	SeveralSticky     Several = "sticky"      // the one that has earlier texts, else the most recent
	SeveralMostRecent Several = "most_recent" // the one updated last
	SeveralFirst      Several = "first"       // the first one that the CRM names
	SeveralPark       Several = "park"        // wait for a person
)

// None says what happens when no contact carries a number.
type None string

// The policies for no contact.
const (
	NoneCreate   None = "create"   // create one, as CreateWhen allows
	NoneUnlinked None = "unlinked" // log the text without a contact
	NonePark     None = "park"     // wait for a person
)

// CreateWhen says for which texts a contact is created. For all others a text
// without a contact is logged unlinked.
type CreateWhen string

// The texts that create contacts.
const (
	CreateInbound  CreateWhen = "inbound"
	CreateOutbound CreateWhen = "outbound"
	CreateAlways   CreateWhen = "always"
	CreateNever    CreateWhen = "never"
)

// Contacts says whose timeline a text belongs to.
type Contacts struct {
	Several    Several    `yaml:"several"`
	None       None       `yaml:"none"`
	CreateWhen CreateWhen `yaml:"create_when"`
	// CreateAs is the type of a contact that is created; empty: the CRM's usual
	// one.
	CreateAs CreateAs `yaml:"create_as"`
	// Fields are set on a contact that is created, by the CRM's names: templates.
	Fields map[string]string `yaml:"fields"`
}

// CreateAs is a type of contact, for CRMs that have several.
type CreateAs string

// The types of contacts.
const (
	CreateContact CreateAs = "contact"
	CreateLead    CreateAs = "lead"
)

// Templates say what records of texts say; empty ones are the default.
type Templates struct {
	Subject string `yaml:"subject"`
	Body    string `yaml:"body"`
}

// OwnerSource is where the owner of a record may come from.
type OwnerSource string

// The sources of an owner.
const (
	FromAgent   OwnerSource = "agent"   // the CRM user with the agent's e-mail address
	FromLine    OwnerSource = "line"    // the owner of the company's number
	FromContact OwnerSource = "contact" // the contact's owner
)

// Owner says who owns what is written.
type Owner struct {
	// From lists where to look, in order.
	From []OwnerSource `yaml:"from"`
	// Default is the e-mail address of the owner where none is found; empty
	// leaves it to the CRM.
	Default string `yaml:"default"`
}

// Budget says how much of the CRM account's request limits crmsync may use.
type Budget struct {
	// Share is what is used at most; the rest is head-room for the customer's
	// other applications, and for opt-outs.
	Share Percent `yaml:"share"`
	// Account names the CRM account, whose limits all connectors share that name
	// the same; the connector's own name by default.
	Account string `yaml:"account"`
}

// Percent is a share, written as 60%.
type Percent float64

// Fraction is the share as a number between 0 and 1.
func (p Percent) Fraction() float64 { return float64(p) / 100 }

// String implements fmt.Stringer.
func (p Percent) String() string { return fmt.Sprintf("%g%%", float64(p)) }

// MarshalText implements encoding.TextMarshaler.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Percent) UnmarshalText(text []byte) error {
	number, isPercent := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !isPercent || !(f > 0 && f <= 100) {
		return errors.New("must be a percentage above 0% and up to 100%, such as 60%")
	}
	*p = Percent(f)
	return nil
}

// Name is the connector's name, the key under connectors.
func (c *Connector) Name() string { return c.name }

// Decode reads the vendor's settings into a pointer to a struct with yaml tags,
// over the values that it already holds. Unknown keys, keys without a value and
// values of the wrong kind are errors.
//
// Where into has a method Validate() error, that is called too, and each of its
// errors that begins with a key and a colon ("token: ...") gets that key's
// line. The error joins a [Problem] for each thing that is wrong.
func (c *Connector) Decode(into any) error {
	return c.doc.decodeVendor(c.path(), c.rest, into)
}

// Errorf answers a [Problem] at a key of this connector; the empty key means
// the connector itself. The arguments must hold no secret.
func (c *Connector) Errorf(key, format string, args ...any) error {
	path := c.path()
	if key != "" {
		path += "." + key
	}
	return c.doc.problem(path, format, args...)
}

func (c *Connector) path() string { return "connectors." + c.name }

func newConnector(name string) *Connector {
	return &Connector{
		name:     name,
		Contacts: Contacts{Several: SeveralSticky, None: NoneCreate, CreateWhen: CreateInbound},
		Owner:    Owner{From: []OwnerSource{FromAgent, FromLine, FromContact}},
		Budget:   Budget{Share: 80, Account: name},

		AdoptWait: 2 * time.Minute,
	}
}
