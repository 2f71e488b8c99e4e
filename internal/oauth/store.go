package oauth

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"crmsync/internal/ledger"
)

// Store keeps grants for all processes of a deployment; *[ledger.Grants], which
// says what its methods do, and [File] implement it.
type Store interface {
	ReadGrant(ctx context.Context, connector string) (ledger.Grant, error)
	LockGrant(ctx context.Context, connector, holder string, known int64, lease time.Duration) (fence int64, err error)
	UnlockGrant(ctx context.Context, connector, holder string) error
	WriteGrant(ctx context.Context, connector string, fence int64, value []byte) error
	NoteGrant(ctx context.Context, connector string, version int64, note []byte) error
}

// table holds grants and locks by connector, under the rules of a store.
type table map[string]*row

type row struct {
	Value   json.RawMessage `json:"grant,omitempty"`
	Version int64           `json:"version,omitempty"`
	Note    json.RawMessage `json:"note,omitempty"`
	Fence   int64           `json:"fence,omitempty"`
	Holder  string          `json:"holder,omitempty"`
	Until   time.Time       `json:"until,omitzero"`
}

func (t table) row(connector string) *row {
	if t[connector] == nil {
		t[connector] = &row{}
	}
	return t[connector]
}

func (r *row) grant() ledger.Grant {
	return ledger.Grant{Value: r.Value, Version: r.Version, Note: r.Note}
}

func (r *row) lock(holder string, known int64, lease time.Duration) (int64, error) {
	now := time.Now()
	if r.Holder != "" && r.Holder != holder && now.Before(r.Until) {
		return 0, ledger.ErrLocked
	}
	r.Holder, r.Until, r.Fence = holder, now.Add(lease).UTC(), max(r.Fence, known)+1
	return r.Fence, nil
}

func (r *row) unlock(holder string) error {
	if r.Holder == holder {
		r.Holder, r.Until = "", time.Time{}
	}
	return nil
}

func (r *row) write(fence int64, value []byte) error {
	if r.Version > fence {
		return ledger.ErrFenced
	}
	r.Version, r.Value, r.Note, r.Fence = fence, value, nil, max(r.Fence, fence)
	return nil
}

func (r *row) note(version int64, note []byte) error {
	if r.Version == version {
		r.Note = note
	}
	return nil
}

// memory keeps what only this process needs.
type memory struct {
	mu    sync.Mutex
	table table
}

// ReadGrant implements Store.
func (m *memory) ReadGrant(_ context.Context, connector string) (ledger.Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.row(connector).grant(), nil
}

// LockGrant implements Store.
func (m *memory) LockGrant(_ context.Context, connector, holder string, known int64, lease time.Duration) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.row(connector).lock(holder, known, lease)
}

// UnlockGrant implements Store.
func (m *memory) UnlockGrant(_ context.Context, connector, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.row(connector).unlock(holder)
}

// WriteGrant implements Store.
func (m *memory) WriteGrant(_ context.Context, connector string, fence int64, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.row(connector).write(fence, value)
}

// NoteGrant implements Store.
func (m *memory) NoteGrant(_ context.Context, connector string, version int64, note []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.row(connector).note(version, note)
}
