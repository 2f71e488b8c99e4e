package worker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/config"
	"crmsync/internal/codec"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return certFile, keyFile
}

func TestTemporalTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	c, err := tlsConfig(config.TLS{CA: cert, Cert: cert, Key: key, ServerName: "temporal.example.com"})
	require.NoError(t, err)
	require.NotNil(t, c.RootCAs)
	require.Len(t, c.Certificates, 1)
	require.Equal(t, "temporal.example.com", c.ServerName)

	for name, wrong := range map[string]config.TLS{
		"read ca":                   {CA: filepath.Join(t.TempDir(), "none.pem")},
		"ca holds no certificate":   {CA: key},
		"load cert and key":         {Cert: cert, Key: cert},
		"load cert and key: open n": {Cert: "nowhere", Key: key},
	} {
		_, err := newTemporalClient(config.Temporal{Address: "localhost:7233", Namespace: "default", TLS: &wrong}, &codec.Ring{}, newLogger(config.Log{}, &bytes.Buffer{}), nil)
		require.ErrorContains(t, err, "temporal.tls: "+name)
	}
}

// TestRedirects: credentials do not follow a redirect to another host.
func TestRedirects(t *testing.T) {
	t.Parallel()
	foreign := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(foreign.Close)
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, foreign.URL, http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(home.Close)
	for path, want := range map[string]int{"/away": http.StatusTemporaryRedirect, "/here": http.StatusOK} {
		response, err := newHTTPClient().Get(home.URL + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
}

// TestLogFormats: the same lines, for people and for programs.
func TestLogFormats(t *testing.T) {
	t.Parallel()
	for format, want := range map[config.LogFormat]string{config.TextLog: "delivered: event=", config.JSONLog: `"event":"main/msg_1/sms.sent"`} {
		var out bytes.Buffer
		log := temporalLogger{newLogger(config.Log{Level: "info", Format: format}, &out)}
		log.With("event", "main/msg_1/sms.sent").Info("delivered")
		log.Debug("not at this level")
		require.Contains(t, out.String(), want)
		require.NotContains(t, out.String(), "not at this level")
	}
}
