package codec_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"crmsync/internal/codec"
)

const (
	origin = "http://localhost:8233"
	token  = "t0ken-of-the-codec"
)

func ask(t *testing.T, r *codec.Ring, method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for name, value := range header {
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	r.Handler(origin, token).ServeHTTP(recorder, request)
	return recorder
}

func encrypted(t *testing.T, r *codec.Ring) string {
	t.Helper()
	data, _ := r.Converters()
	p, err := data.ToPayload(sample)
	require.NoError(t, err)
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: []*commonpb.Payload{p}})
	require.NoError(t, err)
	return string(body)
}

func TestTheUIDecodes(t *testing.T) {
	t.Parallel()
	r := ring(t, key(1))
	body := encrypted(t, r)
	for path, header := range map[string]map[string]string{
		"/" + token + "/decode": {"Origin": origin, "Content-Type": "application/json"},
		"/decode":               {"Authorization": "Bearer " + token, "Content-Type": "application/json"},
	} {
		response := ask(t, r, http.MethodPost, path, body, header)
		require.Equal(t, http.StatusOK, response.Code, path)
		require.Equal(t, origin, response.Header().Get("Access-Control-Allow-Origin"))
		var payloads commonpb.Payloads
		require.NoError(t, protojson.Unmarshal(response.Body.Bytes(), &payloads))
		require.Contains(t, string(payloads.Payloads[0].Data), sample.Body)
	}
}

func TestNobodyElseDecodes(t *testing.T) {
	t.Parallel()
	r := ring(t, key(1))
	body := encrypted(t, r)
	for name, try := range map[string]struct {
		path   string
		header map[string]string
		status int
	}{
		"no token":       {"/decode", nil, http.StatusUnauthorized},
		"wrong token":    {"/decode", map[string]string{"Authorization": "Bearer x"}, http.StatusUnauthorized},
		"wrong path":     {"/x/decode", nil, http.StatusUnauthorized},
		"another origin": {"/" + token + "/decode", map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		"null origin":    {"/" + token + "/decode", map[string]string{"Origin": "null"}, http.StatusForbidden},
	} {
		response := ask(t, r, http.MethodPost, try.path, body, try.header)
		require.Equal(t, try.status, response.Code, name)
		require.Equal(t, origin, response.Header().Get("Access-Control-Allow-Origin"), name)
	}
}

// The browser asks first (CORS preflight), without credentials.
func TestPreflight(t *testing.T) {
	t.Parallel()
	response := ask(t, ring(t, key(1)), http.MethodOptions, "/"+token+"/decode", "", map[string]string{
		"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace",
	})
	require.Equal(t, http.StatusNoContent, response.Code)
	require.Contains(t, response.Header().Get("Access-Control-Allow-Headers"), "X-Namespace")
	require.Contains(t, response.Header().Get("Access-Control-Allow-Methods"), "POST")
}

func TestHugeRequestsAreRefused(t *testing.T) {
	t.Parallel()
	body := `{"payloads":[{"data":"` + strings.Repeat("A", codec.MaxRequest) + `"}]}`
	response := ask(t, ring(t, key(1)), http.MethodPost, "/"+token+"/decode", body, nil)
	require.Equal(t, http.StatusBadRequest, response.Code)
}
