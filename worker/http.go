package worker

import (
	"context"
	"encoding/json"
	"net/http"

	"crmsync/internal/budget"
	"crmsync/internal/ingress"
	"crmsync/internal/lane"
	"crmsync/internal/ledger"
)

// publicHandler serves what the world may see.
func (d *daemon) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/justcall/", ingress.NewHandler(d.door))
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if d.ready(r.Context()) != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	return mux
}

func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// adminHandler serves what operators may see, and the supervisor of a process
// that has no public address.
func (d *daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", alive)
	mux.Handle("GET /metrics", d.metrics.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, detail := http.StatusOK, d.readiness(r.Context())
		if err := d.ready(r.Context()); err != nil {
			status, detail.Status, detail.Reason = http.StatusServiceUnavailable, "not ready", err.Error()
		}
		writeJSON(w, status, detail)
	})
	return mux
}

func (d *daemon) readiness(ctx context.Context) readiness {
	r := readiness{
		Status: "ready", Roles: d.part.roles, Temporal: d.reaches(ctx) == nil, Redis: d.ledger.State(),
		Lanes: d.lanes(), Budgets: d.budgets(),
	}
	if !d.part.does(roleIngress) {
		return r
	}
	if spool, err := d.spool.State(ctx); err == nil {
		r.Spool = new(standingOf(spool))
	}
	return r
}

// readiness is the detail for operators; what is counted is in /metrics.
type readiness struct {
	Status string   `json:"status"`
	Reason string   `json:"reason,omitempty"`
	Roles  []string `json:"roles"`
	// Temporal: it answers, and the workers ask it for tasks.
	Temporal bool         `json:"temporal"`
	Redis    ledger.State `json:"redis"`
	// Spool is asked for by processes that take webhooks in.
	Spool *spoolStanding `json:"spool,omitempty"`
	// Lanes are those that this process drives, by connector. A lane that does
	// not flow is no reason not to be ready.
	Lanes map[string]lane.State `json:"lanes"`
	// Budgets are their requests, as this process saw them last.
	Budgets map[string]budget.State `json:"budgets"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
