package odoo

import (
	"encoding/json"
	"errors"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// accessError is what a user may not do.
const accessError = "odoo.exceptions.AccessError"

// kinds are what Odoo's exceptions mean, by their full names, in both protocols.
// https://www.odoo.com/documentation/19.0/developer/reference/backend/orm.html#module-odoo.exceptions
// Those of psycopg2 tell that the transaction was undone:
// https://www.psycopg.org/docs/errors.html
var kinds = map[string]connectors.Kind{
	"odoo.exceptions.AccessDenied":            connectors.Auth,
	"odoo.http.SessionExpiredException":       connectors.Auth,
	"werkzeug.exceptions.Unauthorized":        connectors.Auth,
	accessError:                               connectors.Forbidden,
	"odoo.exceptions.MissingError":            connectors.NotFound,
	"odoo.exceptions.ValidationError":         connectors.Invalid,
	"odoo.exceptions.UserError":               connectors.Invalid,
	"odoo.exceptions.RedirectWarning":         connectors.Invalid,
	"builtins.ValueError":                     connectors.Invalid, // a field that there is not
	"builtins.KeyError":                       connectors.Invalid, // the same, to load in 16
	"builtins.TypeError":                      connectors.Invalid,
	"werkzeug.exceptions.UnprocessableEntity": connectors.Invalid,
	"werkzeug.exceptions.BadRequest":          connectors.Invalid,
	"builtins.AttributeError":                 connectors.Unsupported, // a method that there is not
	"werkzeug.exceptions.NotFound":            connectors.Unsupported, // a model that there is not
	"werkzeug.exceptions.TooManyRequests":     connectors.RateLimited,
	"psycopg2.errors.SerializationFailure":    connectors.Unavailable,
	"psycopg2.errors.DeadlockDetected":        connectors.Unavailable,
	"psycopg2.errors.LockNotAvailable":        connectors.Unavailable,
	"psycopg2.errors.QueryCanceled":           connectors.Unavailable,
	"psycopg2.errors.ReadOnlySqlTransaction":  connectors.Unavailable,
	"psycopg2.pool.PoolError":                 connectors.Unavailable,
}

// uncertain are faults of the connection to the database, which may have come
// after the transaction had ended well.
var uncertain = map[string]bool{
	"psycopg2.OperationalError":        true,
	"psycopg2.InterfaceError":          true,
	"psycopg2.errors.AdminShutdown":    true,
	"psycopg2.errors.CrashShutdown":    true,
	"psycopg2.errors.CannotConnectNow": true,
}

// fault is an exception, as Odoo tells of it.
type fault struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// exception is the part of a fault that errors show.
type exception string

// Error implements error.
func (e exception) Error() string { return "odoo says " + string(e) }

func isFault(err error, name string) bool {
	e, ok := errors.AsType[exception](err)
	return ok && string(e) == name
}

// verdict fills e in with what the fault means.
func (f fault) verdict(e *connectors.Error, writes bool, items int) *connectors.Error {
	e.Err = exception(f.Name)
	kind, known := kinds[f.Name]
	switch {
	case uncertain[f.Name]:
		// A database that does not exist looks like one that is down.
		e.Kind, e.Ambiguous, e.WholeBatch = connectors.Unavailable, writes, false
		e.Err = errors.New("odoo cannot reach its database (is the setting database right?)")
	case f.noUser():
		e.Kind, e.Ambiguous, e.WholeBatch = connectors.Auth, false, false
		e.Err = errors.New("there is no user with that uid")
	case known:
		e.Kind, e.Ambiguous = kind, false
		e.WholeBatch = items > 1 && (kind == connectors.Invalid || kind == connectors.NotFound || kind == connectors.Forbidden)
	default:
		e.Kind, e.Ambiguous, e.WholeBatch = connectors.Unknown, writes, false
	}
	return e
}

// noUser: JSON-RPC believes the uid until it looks for the user.
func (f fault) noUser() bool {
	return f.Name == "odoo.exceptions.MissingError" && strings.Contains(f.Message, "res.users(")
}

// judge reads json2's errors, which come with real statuses.
// https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
func judge(writes bool, items int) rest.Judge {
	return func(a *rest.Answer, e *connectors.Error) *connectors.Error {
		var f fault
		if json.Unmarshal(a.Body, &f) == nil && strings.Contains(f.Name, ".") {
			return f.verdict(e, writes, items)
		}
		if e.Kind == connectors.NotFound { // no record has an address of its own
			e.Kind, e.WholeBatch = connectors.Unavailable, false
			e.Err = errors.New("odoo does not answer there (are base_url, database and protocol right?)")
		}
		return e
	}
}

// refusals are what load says of a row, in the language that it is asked in,
// save for the database's own words.
var refusals = []struct {
	says string
	kind connectors.Kind
	why  string
}{
	{"could not serialize access", connectors.Unavailable, "somebody else wrote it at the same time"},
	{"deadlock detected", connectors.Unavailable, "somebody else wrote it at the same time"},
	{"could not obtain lock", connectors.Unavailable, "somebody else wrote it at the same time"},
	// What 16 to 18, and 19, say of each row of an update that was undone for
	// another reason.
	{"'KeyError'>: 'record'", connectors.Unavailable, "the update was undone"},
	{"Cannot update a record without", connectors.Unavailable, "the update was undone"},
	{"does not exist or has been deleted", connectors.NotFound, "the record is gone"},
	{"Unknown database identifier", connectors.NotFound, "the record is gone"},
	{"No matching record found for database id", connectors.NotFound, "a record that it names is gone"},
	{"You are not allowed", connectors.Forbidden, "the user may not"},
	{"due to security restrictions", connectors.Forbidden, "the user may not"},
	{"top-secret records", connectors.Forbidden, "the user may not"},
}

// verdict says what a problem of load means for its row.
func (p problem) verdict(op string) *connectors.Error {
	for _, r := range refusals {
		if strings.Contains(p.Message, r.says) {
			return &connectors.Error{Op: op, Kind: r.kind, Err: errors.New(r.why)}
		}
	}
	why := "odoo refuses the record"
	if p.Field != "" {
		why += " for its field " + p.Field
	}
	return &connectors.Error{Op: op, Kind: connectors.Invalid, Err: errors.New(why)}
}
