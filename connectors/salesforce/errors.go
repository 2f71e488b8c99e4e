package salesforce

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

// Where the codes are described. An answer as a whole has an errorCode, an item
// of a batch a statusCode; many of them are both.
const (
	// https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.html
	restCodes = "REST API Developer Guide, Status Codes and Error Responses"
	// https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
	coreCodes = "SOAP API Developer Guide, Core Data Types: ExceptionCode and StatusCode"
)

// row is what one of Salesforce's codes means.
type row struct {
	code, source string
	kind         connectors.Kind
}

// table holds the codes whose meaning is not that of the HTTP status, and those
// that come with one item of a batch. Any other code of an item is INVALID.
var table = []row{
	{"INVALID_SESSION_ID", restCodes, connectors.Auth},
	{"INVALID_AUTH_HEADER", restCodes, connectors.Auth},
	{"API_DISABLED_FOR_ORG", coreCodes, connectors.Auth},
	{"INVALID_OPERATION_WITH_EXPIRED_PASSWORD", coreCodes, connectors.Auth},
	{"ORG_LOCKED", coreCodes, connectors.Auth},
	{"API_CURRENTLY_DISABLED", coreCodes, connectors.Unavailable},

	{"REQUEST_LIMIT_EXCEEDED", restCodes, connectors.RateLimited},
	{"SERVER_UNAVAILABLE", restCodes, connectors.Unavailable},
	{"UNKNOWN_EXCEPTION", coreCodes, connectors.Unavailable},
	{"UNABLE_TO_LOCK_ROW", coreCodes, connectors.Unavailable},
	{"QUERY_TIMEOUT", coreCodes, connectors.Unavailable},
	// Nothing is wrong with the item itself.
	{"ALL_OR_NONE_OPERATION_ROLLED_BACK", coreCodes, connectors.Unavailable},
	// The organisation is full. Once a person has made room everything goes on.
	{"STORAGE_LIMIT_EXCEEDED", coreCodes, connectors.Unavailable},

	{"NOT_FOUND", restCodes, connectors.NotFound},
	{"ENTITY_IS_DELETED", coreCodes, connectors.NotFound},
	{"INVALID_CROSS_REFERENCE_KEY", coreCodes, connectors.NotFound},
	{"MALFORMED_ID", coreCodes, connectors.NotFound},
	// The lead has become a contact, which a new search finds.
	{"CANNOT_UPDATE_CONVERTED_LEAD", coreCodes, connectors.NotFound},

	{"INSUFFICIENT_ACCESS", coreCodes, connectors.Forbidden},
	{"INSUFFICIENT_ACCESS_OR_READONLY", coreCodes, connectors.Forbidden},
	{"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", coreCodes, connectors.Forbidden},
	{"TXN_SECURITY_NO_ACCESS", coreCodes, connectors.Forbidden},

	{"DUPLICATE_VALUE", coreCodes, connectors.Conflict},
	{"DUPLICATES_DETECTED", coreCodes, connectors.Conflict},
}

// dayWait is how long to wait once the requests of 24 hours are spent. They come
// back one by one, as those of the day before grow old.
const dayWait = 10 * time.Minute

// fault is Salesforce's form of an error: of an answer as a whole (errorCode) or
// of one item (statusCode).
type fault struct {
	ErrorCode       string   `json:"errorCode"`
	StatusCode      string   `json:"statusCode"`
	Message         string   `json:"message"`
	Fields          []string `json:"fields"`
	DuplicateResult duplicateResult
}

func (f fault) code() string { return f.ErrorCode + f.StatusCode }

// judge is the rest.Judge of every call.
func judge(a *rest.Answer, e *connectors.Error) *connectors.Error {
	all := faults(a.Body)
	if len(all) == 0 {
		return nil
	}
	verdict(e, all[0], e.Kind)
	switch e.Kind {
	case connectors.Invalid, connectors.NotFound, connectors.Conflict:
	default:
		e.WholeBatch = false
	}
	return e
}

func faults(body []byte) []fault {
	var all []fault
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) || json.Unmarshal(body, &all) != nil {
		return nil
	}
	return all
}

// missing is the judge of calls that write the custom fields of Activity. One
// that is not there, or hidden, is no fault of an item: everything waits until a
// person has seen to it.
func missing(a *rest.Answer, e *connectors.Error) *connectors.Error {
	all := faults(a.Body)
	if len(all) == 0 || all[0].code() != "INVALID_FIELD" {
		return judge(a, e)
	}
	verdict(e, all[0], e.Kind)
	e.Kind, e.WholeBatch = connectors.Auth, false
	return e
}

// verdict reads one fault into e, whose kind is usual where the table does not
// know the code.
func verdict(e *connectors.Error, f fault, usual connectors.Kind) {
	e.Kind = usual
	code := f.code()
	if !vendorCode.MatchString(code) {
		return
	}
	e.Err = errors.New(code)
	if m := column.FindStringSubmatch(f.Message); m != nil {
		e.Err = errors.New(code + ": the field " + m[1] + " is missing or hidden")
	}
	if i := slices.IndexFunc(table, func(r row) bool { return r.code == code }); i >= 0 {
		e.Kind = table[i].kind
	}
	if code == "REQUEST_LIMIT_EXCEEDED" && e.RetryAfter == 0 && !strings.Contains(f.Message, "Concurrent") {
		e.RetryAfter = dayWait
	}
	if e.Kind == connectors.NotFound && slices.Contains(f.Fields, "OwnerId") {
		e.Kind, e.Err = connectors.Invalid, errors.New(code+" of the owner")
	}
}

// vendorCode keeps everything out of errors that is not one of Salesforce's own
// codes. Messages hold what people wrote.
var vendorCode = regexp.MustCompile(`^[A-Z][A-Z_]{2,79}$`)

// column finds the name of a field that is not there, or that these credentials
// may not see.
var column = regexp.MustCompile(`No such column '([A-Za-z][A-Za-z0-9_.]{0,79})'`)

// itemError is the verdict on one item of a batch that was refused. The others
// are saved all the same, and this one is not, whatever the reason.
func itemError(op string, all []fault, items int) *connectors.Error {
	e := &connectors.Error{Op: op, Kind: connectors.Unknown}
	if len(all) == 0 {
		e.Ambiguous, e.Err = true, errForm
		return e
	}
	verdict(e, all[0], connectors.Invalid)
	if all[0].code() == "INVALID_FIELD_FOR_INSERT_UPDATE" {
		e.Kind = connectors.Auth // a field that these credentials may only read
	}
	// Triggers and flows of the customer's see the batch as a whole, and some
	// exceed their limits with many records, so that all of them fail.
	switch all[0].code() {
	case "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER", "LIMIT_EXCEEDED":
		e.WholeBatch = items > 1
	}
	return e
}
