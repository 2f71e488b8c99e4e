package config

import (
	"slices"
	"strconv"
	"strings"
)

// reserved are names that mean something else where a connector's name stands:
// in a task queue, a Redis key or a command line.
var reserved = []string{"all", "none", "crmsync", "consent", "events", "workflows"}

// consentSuffix ends the task queue of a connector's consent, which another
// connector's name must not take.
const consentSuffix = "-consent"

func (v *validator) connector(name string, c *Connector) {
	path := "connectors." + name
	switch {
	case !instancePattern.MatchString(name):
		v.fail(path, "a connector's name must be up to 40 of a-z, 0-9, _ and -, and begin with a letter or digit")
	case slices.Contains(reserved, name), strings.HasSuffix(name, consentSuffix):
		v.fail(path, "this name is reserved (as are %s and all that end in %s): choose another",
			strings.Join(reserved, ", "), consentSuffix)
	}
	if c.Type == "" {
		v.fail(path+".type", "is missing: say which kind of CRM this is")
	}
	v.connectorAccounts(path+".accounts", c.Accounts)
	v.contacts(path+".contacts", c.Contacts)
	v.owner(path+".owner", c.Owner)
	v.budget(path+".budget", c.Budget)
	if !c.Adopt && v.c.doc.has(path+".adopt_wait") {
		v.fail(path+".adopt_wait", "has no effect unless adopt is true: remove one of them")
	}
	v.oauth(path+".oauth", c.OAuth)
}

func (v *validator) connectorAccounts(path string, accounts []string) {
	if len(accounts) == 0 {
		switch {
		case v.c.doc.has(path):
			v.fail(path, "is empty: list an account or remove the connector")
		case len(v.c.JustCall) > 1:
			v.fail(path, "is missing: with several JustCall accounts, list those whose events belong here (%s)",
				strings.Join(sortedKeys(v.c.JustCall), ", "))
		}
	}
	for i, account := range accounts {
		item := path + "[" + strconv.Itoa(i) + "]"
		if _, known := v.c.JustCall[account]; !known {
			v.fail(item, "%s is not an account under justcall%s", v.c.doc.show(item, account), nearest(account, sortedKeys(v.c.JustCall)))
		}
		if slices.Contains(accounts[:i], account) {
			v.fail(item, "is listed twice")
		}
	}
}

func (v *validator) contacts(path string, c Contacts) {
	oneOf(v, path+".several", c.Several, SeveralSticky, SeveralMostRecent, SeveralFirst, SeveralPark)
	oneOf(v, path+".none", c.None, NoneCreate, NoneUnlinked, NonePark)
	oneOf(v, path+".create_when", c.CreateWhen, CreateInbound, CreateOutbound, CreateAlways, CreateNever)
	for _, key := range []string{".create_when", ".create_as", ".fields"} {
		if c.None != NoneCreate && v.c.doc.has(path+key) {
			v.fail(path+key, "has no effect unless contacts.none is create: remove one of them")
		}
	}
	if v.c.doc.has(path + ".create_as") {
		oneOf(v, path+".create_as", c.CreateAs, CreateContact, CreateLead)
	}
	if c.CreateWhen == CreateNever && v.c.doc.has(path+".none") {
		v.fail(path+".create_when", "contradicts contacts.none: create; write none: unlinked instead")
	}
}

func (v *validator) owner(path string, o Owner) {
	for i, from := range o.From {
		item := path + ".from[" + strconv.Itoa(i) + "]"
		oneOf(v, item, from, FromAgent, FromLine, FromContact)
		if slices.Contains(o.From[:i], from) {
			v.fail(item, "is listed twice")
		}
	}
	if o.Default != "" {
		v.email(path+".default", o.Default)
	}
}

func (v *validator) budget(path string, b Budget) {
	if v.c.doc.has(path+".account") && !instancePattern.MatchString(b.Account) {
		v.fail(path+".account", "must be up to 40 of a-z, 0-9, _ and -, and begin with a letter or digit, such as acme-hubspot")
	}
}
