// Package crm is a small CRM to try crmsync with: contacts with their consent,
// and each contact's timeline of texts. It keeps everything in one file, has a
// JSON API below /api/ for the sandbox connector, and a page for people that
// follows changes by itself.
//
//	c, err := crm.Open("sandbox.db")
//	defer c.Close()
//	err = http.ListenAndServe("127.0.0.1:8090", c.Handler())
//
// On the page (or through the API) contacts can be renamed, merged and deleted,
// to see what crmsync does then. The texts of a deleted contact become unlinked;
// none is ever removed.
package crm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"crmsync/sms"
)

// Contact is a person.
type Contact struct {
	ID       string      `json:"id"`
	Key      string      `json:"key,omitempty"` // creating it again with the same key answers this one
	Name     string      `json:"name,omitempty"`
	Email    string      `json:"email,omitempty"`
	OwnerID  string      `json:"owner_id,omitempty"`
	Phones   []sms.Phone `json:"phones,omitempty"`
	OptedOut bool        `json:"opted_out,omitempty"`
	// ConsentAt is the instant of the consent, not of its writing.
	ConsentAt time.Time `json:"consent_at,omitzero"`
	Updated   time.Time `json:"updated"`
	// Texts, LastAt and LastBody sum the timeline up.
	Texts    int       `json:"texts,omitempty"`
	LastAt   time.Time `json:"last_at,omitzero"`
	LastBody string    `json:"last_body,omitempty"`
}

// Message is a text on a timeline.
type Message struct {
	ID        string        `json:"id"`
	Key       string        `json:"key"`
	Contact   string        `json:"contact,omitempty"` // empty: unlinked
	Direction sms.Direction `json:"direction"`
	Phone     sms.Phone     `json:"phone,omitempty"` // of the other party
	Line      sms.Phone     `json:"line,omitempty"`
	Subject   string        `json:"subject,omitempty"`
	Body      string        `json:"body,omitempty"`
	Media     []sms.Media   `json:"media,omitempty"`
	Agent     string        `json:"agent,omitempty"`
	At        time.Time     `json:"at"`
	Status    sms.Status    `json:"status,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	StatusAt  time.Time     `json:"status_at,omitzero"`
}

// CRM is an open database. It is safe for concurrent use.
type CRM struct {
	db    *bbolt.DB
	token string

	mu       sync.Mutex
	watchers map[chan struct{}]bool
	closed   chan struct{}
}

// Option changes how a CRM opens.
type Option func(*settings)

type settings struct {
	token  string
	noSync bool
}

// Token makes the API ask for this bearer token, and the page for it as
// password with any user name. An empty one lets everyone in.
func Token(token string) Option { return func(s *settings) { s.token = token } }

// NoSync leaves writing to the disk to the operating system, for tests: a crash
// of the machine may then lose the file.
func NoSync() Option { return func(s *settings) { s.noSync = true } }

// The buckets. All keys that are ids are big-endian numbers, so that they sort
// in the order of creation.
var (
	contactsBucket = []byte("contacts")     // id → Contact
	contactKeys    = []byte("contact_keys") // Contact.Key → id
	phonesBucket   = []byte("phones")       // number, 0, id → nothing
	messagesBucket = []byte("messages")     // id → Message
	messageKeys    = []byte("message_keys") // Message.Key → id
	timeline       = []byte("timeline")     // contact id (0: unlinked), instant, message id → nothing
)

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = 3 * time.Second

// Open opens the database at path, or creates it.
func Open(path string, options ...Option) (*CRM, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoSync: s.noSync})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("sandbox CRM: %s is in use by another process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox CRM: %w", err)
	}
	c := &CRM{db: db, token: s.token, watchers: map[chan struct{}]bool{}, closed: make(chan struct{})}
	if err := c.update(createBuckets); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range [][]byte{contactsBucket, contactKeys, phonesBucket, messagesBucket, messageKeys, timeline} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the pages' streams and closes the file. It may be called once.
func (c *CRM) Close() error {
	close(c.closed)
	return c.db.Close()
}

// update runs one write transaction, of which each costs a flush to the disk,
// and tells the pages.
func (c *CRM) update(do func(*bbolt.Tx) error) error {
	if err := c.db.Update(do); err != nil {
		return fmt.Errorf("sandbox CRM: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watchers {
		select {
		case w <- struct{}{}:
		default: // it knows already that something changed
		}
	}
	return nil
}

// watch answers a channel that gets a value after changes, and how to stop.
func (c *CRM) watch() (<-chan struct{}, func()) {
	w := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[w] = true
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
	}
}

// idKey turns an id into a key; anything that is no id becomes one that no
// record has.
func idKey(id string) []byte {
	n, _ := strconv.ParseUint(id, 10, 64)
	return binary.BigEndian.AppendUint64(nil, n)
}

func keyID(key []byte) string { return strconv.FormatUint(binary.BigEndian.Uint64(key), 10) }

// load reads a record; ok is false where there is none.
func load[T any](tx *bbolt.Tx, bucket []byte, id string) (v T, ok bool, err error) {
	raw := tx.Bucket(bucket).Get(idKey(id))
	if raw == nil {
		return v, false, nil
	}
	return v, true, json.Unmarshal(raw, &v)
}

func save(tx *bbolt.Tx, bucket []byte, id string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(idKey(id), raw)
}

func nextID(tx *bbolt.Tx, bucket []byte) (string, error) {
	n, err := tx.Bucket(bucket).NextSequence()
	return strconv.FormatUint(n, 10), err
}
