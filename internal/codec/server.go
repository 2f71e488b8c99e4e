package codec

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"go.temporal.io/sdk/converter"
)

// MaxRequest is the largest decode request that is read, in bytes. The UI asks
// for one page of a history at a time.
const MaxRequest = 16 << 20

// Handler serves the Temporal UI's requests POST /decode and POST /encode
// (https://docs.temporal.io/production-deployment/data-encryption), for pages
// of the origin alone, such as http://localhost:8233. With a token it wants
// "Authorization: Bearer {token}", or the token as the first part of the path,
// since the UI itself can be told a path and no header. It logs and keeps
// nothing.
func (r *Ring) Handler(origin, token string) http.Handler {
	codec := converter.NewPayloadCodecHTTPHandler(payloads{r})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		allow(w.Header(), origin)
		switch {
		case q.Header.Get("Origin") != "" && q.Header.Get("Origin") != origin:
			http.Error(w, "this origin is not the Temporal UI's", http.StatusForbidden)
		case q.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		case !authorized(q, token):
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
		default:
			q.Body = http.MaxBytesReader(w, q.Body, MaxRequest)
			codec.ServeHTTP(w, q)
		}
	})
}

// allow lets pages of the UI read the answers (https://fetch.spec.whatwg.org/#http-cors-protocol).
func allow(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Add("Vary", "Origin")
}

func authorized(q *http.Request, token string) bool {
	inPath, _, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/")
	return token == "" || same(strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer "), token) || same(inPath, token)
}

func same(given, token string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}
