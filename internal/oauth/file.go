package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"crmsync/internal/ledger"
)

// File keeps grants in a file for the processes of one machine. Only its owner
// may read it; what is written is on the disk before anybody reads it. It is safe
// for concurrent use, also by several processes, which exclude each other with a
// lock on a second file beside it.
type File struct{ path string }

// NewFile does no I/O. The file need not exist, its folder must.
func NewFile(path string) *File { return &File{path: path} }

// content is the file's.
type content struct {
	Grants table `json:"grants"`
}

// ReadGrant implements Store.
func (f *File) ReadGrant(_ context.Context, connector string) (ledger.Grant, error) {
	c, err := f.load()
	if err != nil {
		return ledger.Grant{}, err
	}
	return c.Grants.row(connector).grant(), nil
}

// LockGrant implements Store.
func (f *File) LockGrant(ctx context.Context, connector, holder string, known int64, lease time.Duration) (fence int64, err error) {
	err = f.change(ctx, connector, func(r *row) error {
		fence, err = r.lock(holder, known, lease)
		return err
	})
	return fence, err
}

// UnlockGrant implements Store.
func (f *File) UnlockGrant(ctx context.Context, connector, holder string) error {
	return f.change(ctx, connector, func(r *row) error { return r.unlock(holder) })
}

// WriteGrant implements Store.
func (f *File) WriteGrant(ctx context.Context, connector string, fence int64, value []byte) error {
	return f.change(ctx, connector, func(r *row) error { return r.write(fence, value) })
}

// NoteGrant implements Store.
func (f *File) NoteGrant(ctx context.Context, connector string, version int64, note []byte) error {
	return f.change(ctx, connector, func(r *row) error { return r.note(version, note) })
}

// change reads the file, changes a row, and writes it, while no other process
// does.
func (f *File) change(ctx context.Context, connector string, change func(*row) error) error {
	lock, err := f.lock(ctx)
	if err != nil {
		return fmt.Errorf("lock grants.file: %w", err)
	}
	defer func() { _ = lock.Close() }()
	c, err := f.load()
	if err != nil {
		return err
	}
	if err := change(c.Grants.row(connector)); err != nil {
		return err
	}
	if err := f.save(c); err != nil {
		return fmt.Errorf("write grants.file: %w", err)
	}
	return nil
}

// lock waits for the lock, which ends with the file's being closed, or with the
// process.
func (f *File) lock(ctx context.Context) (*os.File, error) {
	lock, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		locked, err := tryLock(lock)
		if locked {
			return lock, nil
		}
		if err == nil {
			err = wait(ctx, 5*time.Millisecond)
		}
		if err != nil {
			_ = lock.Close()
			return nil, err
		}
	}
}

func (f *File) load() (content, error) {
	c := content{Grants: table{}}
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return c, fmt.Errorf("read grants.file: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return c, fmt.Errorf("grants.file %s can be read by others: chmod 600 it", f.path)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return c, fmt.Errorf("read grants.file: %w", err)
	}
	if json.Unmarshal(data, &c) != nil || c.Grants == nil {
		return c, fmt.Errorf("grants.file %s is damaged: restore it, or remove it and sign in again", f.path)
	}
	return c, nil
}

// save puts a new file in the old one's place, so that a crash leaves either.
func (f *File) save(c content) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(f.path)
	next, err := os.CreateTemp(folder, filepath.Base(f.path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(next.Name()) }()
	_, err = next.Write(data)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), f.path); err != nil {
		return err
	}
	return syncFolder(folder)
}
