// Package justcalltest has one sample webhook for each event and dialect, makes
// signed requests, and is a fake JustCall ([Server]), for tests, examples and
// trials.
//
// A sample's name is its dialect and event: classic_received, classic_sent,
// v21_received, v21_status_delivered, v21_optout and so on; [Names] lists them.
// All samples are about the contact +15125551234 and the line +15125550100.
package justcalltest

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"crmsync/internal/justcall"
)

//go:embed testdata/*.json
var samples embed.FS

// Sample answers the body of a sample webhook. It panics if there is none of
// that name.
func Sample(name string) []byte {
	body, err := samples.ReadFile("testdata/" + name + ".json")
	if err != nil {
		panic("justcalltest: no sample " + name)
	}
	return body
}

// Names lists the samples in alphabetical order.
func Names() []string {
	paths, _ := fs.Glob(samples, "testdata/*.json")
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(p, "testdata/"), ".json")
	}
	return names
}

// Sign answers the headers that JustCall sends with a webhook for url of the
// given type, signed at the given instant.
func Sign(secret, url, typ string, at time.Time) http.Header {
	stamp := at.UTC().Format(time.DateTime)
	h := http.Header{}
	h.Set(justcall.HeaderVersion, justcall.SignatureVersion)
	h.Set(justcall.HeaderTimestamp, stamp)
	h.Set(justcall.HeaderSignature, justcall.Sign(secret, url, typ, stamp))
	return h
}
