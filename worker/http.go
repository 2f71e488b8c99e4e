package worker

import (
	"encoding/json"
	"net/http"

	"crmsync/internal/ingress"
	"crmsync/internal/ledger"
)

// publicHandler serves what the world may see.
func (d *daemon) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/justcall/", ingress.NewHandler(d.door))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if d.ready(r.Context()) != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	return mux
}

// adminHandler serves what operators may see.
func (d *daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.metrics.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, detail := http.StatusOK, readiness{Status: "ready", Redis: d.ledger.State()}
		if err := d.ready(r.Context()); err != nil {
			status, detail.Status, detail.Reason = http.StatusServiceUnavailable, "not ready", err.Error()
		}
		writeJSON(w, status, detail)
	})
	return mux
}

// readiness is the detail for operators; what is counted is in /metrics.
type readiness struct {
	Status string       `json:"status"`
	Reason string       `json:"reason,omitempty"`
	Redis  ledger.State `json:"redis"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
