package salesforce_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/connectors/salesforce"
	"crmsync/sms"
)

// scripted is a connector at a server that answers the same to everything.
func scripted(t *testing.T, status int, body string) *salesforce.Connector {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := salesforce.Definition().Open(connectortest.Config("x", "instance_url: "+server.URL), connectors.Env{Client: server.Client()})
	require.NoError(t, err)
	return c.(*salesforce.Connector)
}

// Codes that come with one item of a batch, whose answer is a 200.
func TestItemErrors(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]connectors.Error{
		`"statusCode":"UNABLE_TO_LOCK_ROW","fields":[]`:                                         {Kind: connectors.Unavailable},
		`"statusCode":"STORAGE_LIMIT_EXCEEDED","fields":[]`:                                     {Kind: connectors.Unavailable},
		`"statusCode":"ENTITY_IS_DELETED","fields":[]`:                                          {Kind: connectors.NotFound},
		`"statusCode":"INVALID_CROSS_REFERENCE_KEY","fields":["WhoId"]`:                         {Kind: connectors.NotFound},
		`"statusCode":"INVALID_CROSS_REFERENCE_KEY","fields":["OwnerId"]`:                       {Kind: connectors.Invalid},
		`"statusCode":"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY","fields":[]`:              {Kind: connectors.Forbidden},
		`"statusCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","fields":["Subject"]`:                 {Kind: connectors.Invalid},
		`"statusCode":"A_CODE_OF_NEXT_YEAR","fields":[]`:                                        {Kind: connectors.Invalid},
		`"statusCode":"INVALID_FIELD_FOR_INSERT_UPDATE","fields":["JustCall_Message_Id__c"]`:    {Kind: connectors.Auth},
		`"statusCode":"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY","message":"System.LimitException"`: {Kind: connectors.Invalid, WholeBatch: true},
		`"statusCode":"+15125550100 in a code","fields":[]`:                                     {Kind: connectors.Invalid},
	} {
		item := `{"success":false,"errors":[{` + fault + `}]}`
		c := scripted(t, http.StatusOK, "["+item+","+item+"]")
		for _, out := range c.PutMessages(t.Context(), []connectors.Record{{Key: "a/1"}, {Key: "a/2"}}) {
			require.Equal(t, want.Kind, out.Err.Kind, fault)
			require.Equal(t, want.WholeBatch, out.Err.WholeBatch, fault)
			require.False(t, out.Err.Ambiguous, fault)
			require.NotContains(t, out.Err.Error(), "5125550100")
		}
	}
}

// An item that failed without a reason may have been saved.
func TestItemErrorWithoutAReason(t *testing.T) {
	t.Parallel()
	c := scripted(t, http.StatusOK, `[{"success":false,"errors":[]}]`)
	err := c.PutMessages(t.Context(), []connectors.Record{{Key: "a/1"}})[0].Err
	require.Equal(t, connectors.Unknown, err.Kind)
	require.True(t, err.Ambiguous)
}

// A record of the customer's own unique field is no text that is there.
func TestDoubleOfAnotherField(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, `{"totalSize":0,"done":true,"records":[]}`)
			return
		}
		_, _ = fmt.Fprint(w, `[{"success":false,"errors":[{"statusCode":"DUPLICATE_VALUE","message":"duplicate value found: Ticket__c duplicates value on record with id: 00T5f0000000001EAA","fields":[]}]}]`)
	}))
	t.Cleanup(server.Close)
	c, err := salesforce.Definition().Open(connectortest.Config("x", "instance_url: "+server.URL), connectors.Env{Client: server.Client()})
	require.NoError(t, err)
	out := c.PutMessages(t.Context(), []connectors.Record{{Key: "a/1"}})[0]
	require.Equal(t, connectors.Failed, out.State)
	require.Equal(t, connectors.Conflict, out.Err.Kind)
}

// A part of a composite request that fails, fails it.
func TestPartsOfARequest(t *testing.T) {
	t.Parallel()
	for part, want := range map[string]connectors.Kind{
		`{"httpStatusCode":403,"body":[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]}`: connectors.RateLimited,
		`{"httpStatusCode":500,"body":[{"errorCode":"UNKNOWN_EXCEPTION","message":"?"}]}`:                                  connectors.Unavailable,
		`{"httpStatusCode":400,"body":[{"errorCode":"INVALID_FIELD","message":"No such column"}]}`:                         connectors.Auth,
		`{"httpStatusCode":200,"body":"?"}`: connectors.Unknown,
		`{"httpStatusCode":200,"body":{}}`:  connectors.Unknown,
	} {
		c := scripted(t, http.StatusOK, `{"compositeResponse":[`+part+`,`+part+`]}`)
		_, err := c.FindContacts(t.Context(), []sms.Phone{"+15125550100"})
		require.Equal(t, want, connectors.AsError("", err).Kind, part)
	}
}
