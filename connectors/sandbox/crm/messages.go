package crm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"crmsync/sms"
)

// Errors of one text among many.
var (
	ErrNoMessage = errors.New("there is no such text")
	ErrNoKey     = errors.New("the text has no key")
)

// Put is what became of one text of PutMessages.
type Put struct {
	ID      string
	Created bool  // else it was there
	Err     error // ErrNoContact or ErrNoKey: nothing was written
}

// PutMessages writes texts, all in one transaction. One whose key is there is
// left as it is. Ids and statuses of the texts are ignored.
func (c *CRM) PutMessages(messages []Message) (items []Put, err error) {
	err = c.update(func(tx *bbolt.Tx) error {
		items = make([]Put, len(messages))
		for i, m := range messages {
			if items[i], err = putMessage(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
	return items, err
}

func putMessage(tx *bbolt.Tx, m Message) (Put, error) {
	if m.Key == "" {
		return Put{Err: ErrNoKey}, nil
	}
	if id := tx.Bucket(messageKeys).Get([]byte(m.Key)); id != nil {
		return Put{ID: keyID(id)}, nil
	}
	if err := countText(tx, m); errors.Is(err, ErrNoContact) {
		return Put{Err: err}, nil
	} else if err != nil {
		return Put{}, err
	}
	id, err := nextID(tx, messagesBucket)
	if err != nil {
		return Put{}, err
	}
	m.ID, m.Status, m.Reason, m.StatusAt = id, "", "", time.Time{}
	err = errors.Join(
		tx.Bucket(messageKeys).Put([]byte(m.Key), idKey(id)),
		tx.Bucket(timeline).Put(timelineKey(m), []byte{}),
		save(tx, messagesBucket, id, m),
	)
	return Put{ID: id, Created: true}, err
}

// snippet is how much of the last text a contact repeats, in bytes.
const snippet = 80

// countText brings the summary of the text's contact up to date.
func countText(tx *bbolt.Tx, m Message) error {
	if m.Contact == "" {
		return nil
	}
	contact, err := mustContact(tx, m.Contact)
	if err != nil {
		return err
	}
	contact.Texts++
	if !m.At.Before(contact.LastAt) {
		contact.LastAt, contact.LastBody = m.At, strings.ToValidUTF8(m.Body[:min(snippet, len(m.Body))], "")
	}
	return save(tx, contactsBucket, contact.ID, contact)
}

func timelineKey(m Message) []byte {
	k := idKey(m.Contact)
	k = binary.BigEndian.AppendUint64(k, uint64(m.At.UnixNano()))
	return append(k, idKey(m.ID)...)
}

// Timeline answers the latest texts of a contact (or, for "", the unlinked
// ones), in the order of time, and whether there are older ones.
func (c *CRM) Timeline(contact string, limit int) (texts []Message, older bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		prefix := idKey(contact)
		cursor := tx.Bucket(timeline).Cursor()
		for k := lastWith(cursor, prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Prev() {
			if len(texts) == limit {
				older = true
				break
			}
			m, _, err := load[Message](tx, messagesBucket, keyID(k[16:]))
			if err != nil {
				return err
			}
			texts = append(texts, m)
		}
		return nil
	})
	slices.Reverse(texts)
	return texts, older, err
}

// lastWith goes to the last key with the prefix.
func lastWith(cursor *bbolt.Cursor, prefix []byte) []byte {
	next := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(prefix)+1)
	if k, _ := cursor.Seek(next); k == nil {
		k, _ = cursor.Last()
		return k
	}
	k, _ := cursor.Prev()
	return k
}

// Messages answers every text in the order of creation.
func (c *CRM) Messages() ([]Message, error) {
	out := []Message{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(messagesBucket).ForEach(func(_, raw []byte) error {
			var m Message
			err := json.Unmarshal(raw, &m)
			out = append(out, m)
			return err
		})
	})
	return out, err
}

// FindMessages answers, for each key in order, its text, one without an id for
// none.
func (c *CRM) FindMessages(keys []string) ([]Message, error) {
	texts := make([]Message, len(keys))
	err := c.db.View(func(tx *bbolt.Tx) (err error) {
		for i, key := range keys {
			id := tx.Bucket(messageKeys).Get([]byte(key))
			if id == nil {
				continue
			}
			if texts[i], _, err = load[Message](tx, messagesBucket, keyID(id)); err != nil {
				return err
			}
		}
		return nil
	})
	return texts, err
}

// DeleteMessage deletes a text, as a person would. Its key may be written again.
func (c *CRM) DeleteMessage(id string) error {
	return c.update(func(tx *bbolt.Tx) error {
		m, err := mustMessage(tx, id)
		if err != nil {
			return err
		}
		return errors.Join(
			tx.Bucket(messageKeys).Delete([]byte(m.Key)), tx.Bucket(timeline).Delete(timelineKey(m)),
			tx.Bucket(messagesBucket).Delete(idKey(id)), countOut(tx, m),
		)
	})
}

// countOut takes a text out of the summary of its contact. What it repeats of the
// last text stays until the next one.
func countOut(tx *bbolt.Tx, m Message) error {
	contact, ok, err := load[Contact](tx, contactsBucket, m.Contact)
	if err != nil || !ok {
		return err
	}
	contact.Texts--
	return save(tx, contactsBucket, contact.ID, contact)
}

// MoveMessage puts a text on another contact's timeline, as a person would.
func (c *CRM) MoveMessage(id, into string) error {
	return c.update(func(tx *bbolt.Tx) error {
		m, err := mustMessage(tx, id)
		if err != nil {
			return err
		}
		moved := m
		moved.Contact = into
		return errors.Join(countOut(tx, m), moveText(tx, m, into), countText(tx, moved))
	})
}

func mustMessage(tx *bbolt.Tx, id string) (Message, error) {
	m, ok, err := load[Message](tx, messagesBucket, id)
	if err == nil && !ok {
		err = ErrNoMessage
	}
	return m, err
}

// StatusChange moves the status of the text with that key.
type StatusChange struct {
	Key    string     `json:"key"`
	Status sms.Status `json:"status"`
	Reason string     `json:"reason,omitempty"`
	At     time.Time  `json:"at"`
}

// UpdateStatus writes statuses. Of each item it answers nil or ErrNoMessage.
func (c *CRM) UpdateStatus(changes []StatusChange) (items []error, err error) {
	err = c.update(func(tx *bbolt.Tx) error {
		items = make([]error, len(changes))
		for i, change := range changes {
			id := tx.Bucket(messageKeys).Get([]byte(change.Key))
			if id == nil {
				items[i] = ErrNoMessage
				continue
			}
			err := edit(tx, keyID(id), func(m *Message) {
				m.Status, m.Reason, m.StatusAt = change.Status, change.Reason, change.At
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return items, err
}

// EditMessage changes words and status of a text, as a person would.
func (c *CRM) EditMessage(id, body string, status sms.Status) error {
	return c.update(func(tx *bbolt.Tx) error {
		return edit(tx, id, func(m *Message) { m.Body, m.Status = body, status })
	})
}

func edit(tx *bbolt.Tx, id string, change func(*Message)) error {
	m, err := mustMessage(tx, id)
	if err != nil {
		return err
	}
	change(&m)
	return save(tx, messagesBucket, id, m)
}

// moveTexts gives all texts of one contact to another.
func moveTexts(tx *bbolt.Tx, from, into string) error {
	prefix := idKey(from)
	var ids []string
	cursor := tx.Bucket(timeline).Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		ids = append(ids, keyID(k[16:]))
	}
	for _, id := range ids { // apart, since a cursor does not survive changes
		m, _, err := load[Message](tx, messagesBucket, id)
		if err != nil {
			return err
		}
		if err := moveText(tx, m, into); err != nil {
			return err
		}
	}
	return nil
}

func moveText(tx *bbolt.Tx, m Message, into string) error {
	old := timelineKey(m)
	m.Contact = into
	return errors.Join(tx.Bucket(timeline).Delete(old), tx.Bucket(timeline).Put(timelineKey(m), []byte{}), save(tx, messagesBucket, m.ID, m))
}
