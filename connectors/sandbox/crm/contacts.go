package crm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"crmsync/sms"
)

// ErrNoContact is returned for a contact that is not there.
var ErrNoContact = errors.New("there is no such contact")

// region is where numbers without + are from.
const region = "US"

// normal brings numbers into canonical form and drops what is none.
func normal(phones []sms.Phone) []sms.Phone {
	var out []sms.Phone
	for _, raw := range phones {
		phone, err := sms.ParsePhone(string(raw), region)
		if err == nil && !slices.Contains(out, phone) {
			out = append(out, phone)
		}
	}
	return out
}

// CreateContact creates a contact, whatever its ID says. Where one with its key
// is there, that one is answered, and created is false.
func (c *CRM) CreateContact(n Contact) (contact Contact, created bool, err error) {
	err = c.update(func(tx *bbolt.Tx) error {
		if id := tx.Bucket(contactKeys).Get([]byte(n.Key)); n.Key != "" && id != nil {
			there, ok, err := load[Contact](tx, contactsBucket, keyID(id))
			if ok || err != nil {
				contact = there
				return err
			}
		}
		created = true
		contact, err = addContact(tx, n)
		return err
	})
	return contact, created, err
}

func addContact(tx *bbolt.Tx, n Contact) (Contact, error) {
	id, err := nextID(tx, contactsBucket)
	if err != nil {
		return n, err
	}
	n.ID, n.Phones, n.Updated = id, normal(n.Phones), now()
	if n.Key != "" {
		if err := tx.Bucket(contactKeys).Put([]byte(n.Key), idKey(id)); err != nil {
			return n, err
		}
	}
	if err := indexPhones(tx, n); err != nil {
		return n, err
	}
	return n, save(tx, contactsBucket, id, n)
}

func now() time.Time { return time.Now().UTC() }

func phoneKey(phone sms.Phone, id string) []byte {
	return append(append([]byte(phone), 0), idKey(id)...)
}

func indexPhones(tx *bbolt.Tx, contact Contact) error {
	for _, phone := range contact.Phones {
		if err := tx.Bucket(phonesBucket).Put(phoneKey(phone, contact.ID), []byte{}); err != nil {
			return err
		}
	}
	return nil
}

// Contact answers one contact, or ErrNoContact.
func (c *CRM) Contact(id string) (contact Contact, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		contact, err = mustContact(tx, id)
		return err
	})
	return contact, err
}

func mustContact(tx *bbolt.Tx, id string) (Contact, error) {
	contact, ok, err := load[Contact](tx, contactsBucket, id)
	if err == nil && !ok {
		err = ErrNoContact
	}
	return contact, err
}

// Contacts answers every contact whose name, e-mail address or number contains
// the words, the one with the latest text first.
func (c *CRM) Contacts(words string) ([]Contact, error) {
	out := []Contact{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(contactsBucket).ForEach(func(_, raw []byte) error {
			var contact Contact
			if err := json.Unmarshal(raw, &contact); err != nil {
				return err
			}
			if contact.matches(words) {
				out = append(out, contact)
			}
			return nil
		})
	})
	slices.SortStableFunc(out, func(a, b Contact) int {
		return cmp.Or(b.LastAt.Compare(a.LastAt), b.Updated.Compare(a.Updated))
	})
	return out, err
}

func (c Contact) matches(words string) bool {
	words = strings.ToLower(strings.TrimSpace(words))
	if words == "" || strings.Contains(strings.ToLower(c.Name+" "+c.Email), words) {
		return true
	}
	return slices.ContainsFunc(c.Phones, func(p sms.Phone) bool { return strings.Contains(string(p), words) })
}

// FindContacts answers, for each phone in order, the contacts that carry it.
func (c *CRM) FindContacts(phones []sms.Phone) ([][]Contact, error) {
	out := make([][]Contact, len(phones))
	err := c.db.View(func(tx *bbolt.Tx) error {
		for i, phone := range phones {
			prefix := append([]byte(phone), 0)
			cursor := tx.Bucket(phonesBucket).Cursor()
			for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
				contact, err := mustContact(tx, keyID(k[len(prefix):]))
				if err != nil {
					return err
				}
				out[i] = append(out[i], contact)
			}
		}
		return nil
	})
	return out, err
}

// Rename gives a contact another name.
func (c *CRM) Rename(id, name string) error {
	return c.update(func(tx *bbolt.Tx) error {
		contact, err := mustContact(tx, id)
		if err != nil {
			return err
		}
		contact.Name, contact.Updated = name, now()
		return save(tx, contactsBucket, id, contact)
	})
}

// Delete deletes a contact. Its texts become unlinked.
func (c *CRM) Delete(id string) error {
	return c.update(func(tx *bbolt.Tx) error {
		contact, err := mustContact(tx, id)
		if err != nil {
			return err
		}
		if err := moveTexts(tx, id, ""); err != nil {
			return err
		}
		return removeContact(tx, contact)
	})
}

func removeContact(tx *bbolt.Tx, contact Contact) error {
	for _, phone := range contact.Phones {
		if err := tx.Bucket(phonesBucket).Delete(phoneKey(phone, contact.ID)); err != nil {
			return err
		}
	}
	return tx.Bucket(contactsBucket).Delete(idKey(contact.ID))
}

// Merge moves numbers and texts of one contact to another, where an opt-out of
// either holds, and deletes the first.
func (c *CRM) Merge(from, into string) error {
	if from == into {
		return errors.New("a contact cannot be merged with itself")
	}
	return c.update(func(tx *bbolt.Tx) error {
		source, err := mustContact(tx, from)
		if err != nil {
			return err
		}
		target, err := mustContact(tx, into)
		if err != nil {
			return err
		}
		if source.OptedOut && !target.OptedOut {
			target.OptedOut, target.ConsentAt = true, source.ConsentAt
		}
		target.Phones = normal(append(target.Phones, source.Phones...))
		target.Updated = now()
		target.Texts += source.Texts
		if source.LastAt.After(target.LastAt) {
			target.LastAt, target.LastBody = source.LastAt, source.LastBody
		}
		if err := errors.Join(moveTexts(tx, from, into), removeContact(tx, source), indexPhones(tx, target)); err != nil {
			return err
		}
		return save(tx, contactsBucket, into, target)
	})
}

// SetConsent writes what a contact agreed to, as of an instant. Of each item it
// answers nil or ErrNoContact.
func (c *CRM) SetConsent(changes []ConsentChange) (items []error, err error) {
	err = c.update(func(tx *bbolt.Tx) error {
		items = make([]error, len(changes))
		for i, change := range changes {
			contact, err := mustContact(tx, change.Contact)
			if errors.Is(err, ErrNoContact) {
				items[i] = err
				continue
			}
			contact.OptedOut, contact.ConsentAt, contact.Updated = change.OptedOut, change.At, now()
			if err := errors.Join(err, save(tx, contactsBucket, contact.ID, contact)); err != nil {
				return err
			}
		}
		return nil
	})
	return items, err
}

// ConsentChange sets the consent of a contact.
type ConsentChange struct {
	Contact  string    `json:"contact"`
	OptedOut bool      `json:"opted_out"`
	At       time.Time `json:"at"`
}
