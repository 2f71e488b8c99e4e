package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// What an answer can mean beside a kind of error. They stand in configurations
// and are append-only.
const (
	isOK    = "ok"
	existed = "existed" // the record was there already
	isNone  = "none"    // nothing was found
)

var kinds = []string{
	string(connectors.Unavailable), string(connectors.RateLimited), string(connectors.Unknown), string(connectors.Auth),
	string(connectors.Invalid), string(connectors.Forbidden), string(connectors.NotFound), string(connectors.Conflict),
	string(connectors.Unsupported),
}

// ofItems are the kinds of which one item among many can be the reason.
var ofItems = []connectors.Kind{connectors.Invalid, connectors.NotFound, connectors.Conflict}

// parseStatuses reads what HTTP statuses mean.
func parseStatuses(given map[string]string, words []string) (map[int]string, error) {
	statuses := map[int]string{}
	var errs []error
	for code, meaning := range given {
		n, err := strconv.Atoi(code)
		if err != nil || n < 200 || n > 599 {
			errs = append(errs, fmt.Errorf("%s: is not an HTTP status from 200 to 599", code))
		}
		if !slices.Contains(words, meaning) {
			errs = append(errs, fmt.Errorf("%s: must be one of %s", code, strings.Join(words, ", ")))
		}
		statuses[n] = meaning
	}
	return statuses, errors.Join(errs...)
}

// meaning is what an answer, or one of its items, means: ok, existed, none or a
// kind; "" is left to the status. An answer that is no success may be of a form
// that the expression does not know.
func (o *operation) meaning(e env) (string, error) {
	code := e["status"].(int)
	said, err := word(o.verdict, e)
	switch {
	case err != nil && success(code):
		return "", err
	case err != nil || said == "":
		said = o.statuses[code]
	case !slices.Contains(o.words, said):
		return "", fmt.Errorf("verdict is none of %s", strings.Join(o.words, ", "))
	}
	if said == "" && success(code) {
		said = isOK
	}
	return said, nil
}

func success(status int) bool { return status/100 == 2 }

// judge answers what e means, and an error for what is none of ok, existed and
// none. The given error is the default for a status that is no success.
func (o *operation) judge(e env, items int, byStatus *connectors.Error) (string, *connectors.Error) {
	said, err := o.meaning(e)
	switch said {
	case isOK, existed, isNone:
		return said, nil
	}
	failure := byStatus
	if failure == nil {
		status := e["status"].(int)
		failure = &connectors.Error{Op: o.op, Kind: rest.KindOf(status), Status: status, Ambiguous: !o.reads && status >= http.StatusInternalServerError}
	}
	switch {
	case err != nil && byStatus == nil:
		return "", o.unclear(e, err)
	case said == "":
		return "", failure
	}
	own := *failure
	own.Kind = connectors.Kind(said)
	unclear := own.Kind == connectors.Unavailable || own.Kind == connectors.Unknown
	own.Ambiguous = unclear && !o.reads && (own.Status >= http.StatusInternalServerError || success(own.Status))
	own.WholeBatch = items > 1 && slices.Contains(ofItems, own.Kind)
	return "", &own
}

// unclear is the failure of a success that cannot be understood.
func (o *operation) unclear(e env, err error) *connectors.Error {
	return &connectors.Error{Op: o.op, Kind: connectors.Unknown, Status: e["status"].(int), Ambiguous: !o.reads, Err: err}
}
