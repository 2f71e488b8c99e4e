package ledger

import (
	"context"
	"encoding/json"
	"time"

	"crmsync/connectors"
)

// Seen reports whether the event with this key was accepted before. False means
// only that nobody remembers.
func (l *Ledger) Seen(ctx context.Context, key string) bool {
	return l.exists(ctx, "seen", seenKey(key))
}

// MarkSeen remembers for 30 days that the event was accepted. To be called only
// after Temporal has taken it, so that Redis can never swallow an event.
func (l *Ledger) MarkSeen(ctx context.Context, key string) {
	l.set(ctx, "mark_seen", seenKey(key), "1", seenTTL)
}

// Contact is the remembered decision on whose timeline a number's texts go.
type Contact struct {
	Ref     connectors.Ref `json:"ref"`
	OwnerID string         `json:"owner_id,omitempty"`
	// How the contact was found, in the words of the one who decided.
	How string `json:"how,omitempty"`
}

// Contact answers the contact that a number was last resolved to, if that was
// within a day. The number comes as its keyed hash ([sms.Hasher.Phone]).
func (l *Ledger) Contact(ctx context.Context, connector, numberHash string) (Contact, bool) {
	return get[Contact](ctx, l, "contact", contactKey(connector, numberHash))
}

// RememberContact keeps the decision for a day.
func (l *Ledger) RememberContact(ctx context.Context, connector, numberHash string, c Contact) {
	l.setJSON(ctx, "remember_contact", contactKey(connector, numberHash), c, contactTTL)
}

// ForgetContact drops the memory, such as when the CRM says that the contact is
// gone.
func (l *Ledger) ForgetContact(ctx context.Context, connector, numberHash string) {
	l.forget(ctx, "forget_contact", contactKey(connector, numberHash))
}

// Record answers the CRM's record that a text became, if that was within 30
// days.
func (l *Ledger) Record(ctx context.Context, connector, messageKey string) (connectors.Ref, bool) {
	ref, found := get[connectors.Ref](ctx, l, "record", recordKey(connector, messageKey))
	return ref, found && !ref.Zero()
}

// RememberRecord keeps for 30 days which record the text became. A zero Ref is
// not kept.
func (l *Ledger) RememberRecord(ctx context.Context, connector, messageKey string, ref connectors.Ref) {
	if ref.Zero() {
		return
	}
	l.setJSON(ctx, "remember_record", recordKey(connector, messageKey), ref, recordTTL)
}

// ForgetRecord drops the memory.
func (l *Ledger) ForgetRecord(ctx context.Context, connector, messageKey string) {
	l.forget(ctx, "forget_record", recordKey(connector, messageKey))
}

type owner struct {
	ID string `json:"id,omitempty"`
}

// Owner answers which of the CRM's users has an e-mail address, "" for none, if
// that was asked lately. The address comes as its keyed hash
// ([sms.Hasher.Email]).
func (l *Ledger) Owner(ctx context.Context, connector, emailHash string) (id string, found bool) {
	o, found := get[owner](ctx, l, "owner", ownerKey(connector, emailHash))
	return o.ID, found
}

// RememberOwner keeps a user's id for a day, and that there is none for an hour.
func (l *Ledger) RememberOwner(ctx context.Context, connector, emailHash, id string) {
	ttl := ownerTTL
	if id == "" {
		ttl = noOwnerTTL
	}
	l.setJSON(ctx, "remember_owner", ownerKey(connector, emailHash), owner{ID: id}, ttl)
}

// MarkLine remembers for 30 days that a number (as its keyed hash) is one of the
// company's own lines.
func (l *Ledger) MarkLine(ctx context.Context, account, numberHash string) {
	l.set(ctx, "mark_line", lineKey(account, numberHash), "1", lineTTL)
}

// Line reports whether a number is known to be one of the company's own. False
// means only that nobody remembers.
func (l *Ledger) Line(ctx context.Context, account, numberHash string) bool {
	return l.exists(ctx, "line", lineKey(account, numberHash))
}

// WinIntent reports whether the caller is the first to intend this write. True
// means that Redis said so just now and within the time limit; any doubt is
// false, also when the key may have been set and only the answer was lost. The
// intent lasts 30 days and cannot be given back: whoever asks twice loses.
//
// A Redis that has lost its memory lets the same intent be won again, so that
// this is one of three conditions of a blind write and never the only one.
func (l *Ledger) WinIntent(ctx context.Context, connector, messageKey string) bool {
	var won bool
	ok := l.do(ctx, "win_intent", write, intentKey(connector, messageKey), func(ctx context.Context, key string) (err error) {
		won, err = l.redis.SetNX(ctx, key, "1", intentTTL).Result()
		return err
	})
	return ok && won
}

func (l *Ledger) exists(ctx context.Context, op, part string) bool {
	var n int64
	ok := l.do(ctx, op, read, part, func(ctx context.Context, key string) (err error) {
		n, err = l.redis.Exists(ctx, key).Result()
		return err
	})
	return ok && n > 0
}

func (l *Ledger) set(ctx context.Context, op, part, value string, ttl time.Duration) {
	l.do(ctx, op, write, part, func(ctx context.Context, key string) error {
		return l.redis.Set(ctx, key, value, ttl).Err()
	})
}

func (l *Ledger) setJSON(ctx context.Context, op, part string, v any, ttl time.Duration) {
	// Plain structs of strings always marshal.
	value, _ := json.Marshal(v)
	l.set(ctx, op, part, string(l.ring.Seal(value, purpose(part))), ttl)
}

// purpose binds a sealed value to its key, so that it means nothing elsewhere.
func purpose(part string) string { return "redis " + part }

func (l *Ledger) forget(ctx context.Context, op, part string) {
	l.do(ctx, op, write, part, func(ctx context.Context, key string) error {
		return l.redis.Del(ctx, key).Err()
	})
}

// get reads a value that setJSON wrote. One that cannot be read, such as one
// from before the keys, is a miss.
func get[T any](ctx context.Context, l *Ledger, op, part string) (v T, found bool) {
	var value []byte
	ok := l.do(ctx, op, read, part, func(ctx context.Context, key string) (err error) {
		value, err = l.redis.Get(ctx, key).Bytes()
		return err
	})
	if !ok || len(value) == 0 {
		return v, false
	}
	if !l.ring.Empty() {
		var err error
		if value, err = l.ring.Open(value, purpose(part)); err != nil {
			return v, false
		}
	}
	if json.Unmarshal(value, &v) != nil {
		var none T
		return none, false
	}
	return v, true
}
