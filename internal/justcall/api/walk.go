package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"time"

	"crmsync/connectors"
)

// Cursor is where a list goes on. It is opaque, may be kept, and holds neither an
// address nor a secret nor a number. The zero Cursor is the beginning.
type Cursor string

// maxPages bounds a list, lest one that never ends is read for ever.
const maxPages = 100_000

// mostSame is how many pages in a row may repeat the one before: page 1 does where
// it is the first, and one where a whole page of texts has come in meanwhile. More
// are those of a server that answers its last page for all that would follow.
const mostSame = 1

// walk is how far a list was read: a Cursor in the clear.
type walk struct {
	At     place  `json:"at,omitzero"`     // the page to read next
	Before *place `json:"before,omitzero"` // the one that was read last
	Pages  int    `json:"pages,omitempty"`
	Total  int    `json:"total,omitempty"` // as the page before told
	Seen   []byte `json:"seen,omitempty"`  // the hashes of the ids on the page before
	Same   int    `json:"same,omitempty"`  // how many pages in a row had nothing else
	Ages   ages   `json:"ages,omitzero"`
}

func (w walk) cursor() Cursor {
	b, _ := json.Marshal(w) // plain data always marshals
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func parseCursor(op string, c Cursor) (w walk, err error) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &w)
	}
	if err != nil || len(w.Seen)%hashSize != 0 {
		return walk{}, &connectors.Error{Op: op, Kind: connectors.Invalid, Err: errors.New("the cursor is none of this client's")}
	}
	if w.Pages >= maxPages {
		return walk{}, unknown(op, "the list has more than "+strconv.Itoa(maxPages)+" pages")
	}
	return w, nil
}

// step is what one page brought.
type step struct {
	rows  []json.RawMessage // those that the page before did not have
	total int
	next  walk
	last  bool
}

// step reads the next page of a list, and what has moved from it to the page
// before meanwhile.
func (c *Client) step(ctx context.Context, op, path string, query url.Values, from Cursor) (step, error) {
	w, err := parseCursor(op, from)
	if err != nil {
		return step{}, err
	}
	l, err := c.list(ctx, op, path, query, w.At)
	if err != nil {
		return step{}, err
	}
	seen := hashes(l.rows)
	s := step{total: l.total, rows: without(l.rows, w.Seen)}
	same := 0
	if w.Before != nil && len(l.rows) > 0 && len(s.rows) == 0 {
		same = w.Same + 1
	}
	if w.Before != nil && same == 0 && (l.total == 0 || l.total != w.Total) {
		before, err := c.list(ctx, op, path, query, *w.Before)
		if err != nil {
			return step{}, err
		}
		s.rows = append(without(before.rows, w.Seen, seen), s.rows...)
	}
	at := w.At
	s.next = walk{Before: &at, Pages: w.Pages + 1, Total: l.total, Seen: seen, Same: same, Ages: w.Ages}
	s.next.At, s.last = l.after(w.At)
	s.last = s.last || same > mostSame
	return s, nil
}

// after answers which page follows this one, or that it is the last.
func (l listing) after(at place) (next place, last bool) {
	if l.linked {
		return l.next, l.next.first()
	}
	next = l.following(at)
	return next, len(l.rows) == 0 || next.first()
}

// following counts on: the zero place where there is nothing to count.
func (l listing) following(at place) place {
	number := l.page
	switch {
	case number == "" && at.first():
		return place{Page: "1"}
	case number == "":
		number = at.Page
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return place{}
	}
	return place{Page: strconv.Itoa(n + 1)}
}

// hashSize is that of one id's hash: two of some hundred ids do not meet.
const hashSize = 8

// hashes answers those of the rows' ids; of a row without one, that of the row.
func hashes(rows []json.RawMessage) []byte {
	var all []byte
	for _, row := range rows {
		all = binary.BigEndian.AppendUint64(all, hash(row))
	}
	return all
}

func hash(row json.RawMessage) uint64 {
	var of struct {
		MessageID json.RawMessage `json:"message_id"`
		ID        json.RawMessage `json:"id"`
		RefID     json.RawMessage `json:"ref_id"`
	}
	_ = json.Unmarshal(row, &of) // a row that is no object has no id
	h := fnv.New64a()
	for _, id := range []json.RawMessage{of.MessageID, of.ID, of.RefID, row} {
		if s := scalar(id); s != "" {
			h.Write([]byte(s))
			return h.Sum64()
		}
	}
	h.Write(row)
	return h.Sum64()
}

// without leaves out the rows that others had.
func without(rows []json.RawMessage, had ...[]byte) []json.RawMessage {
	known := map[uint64]bool{}
	for _, hashes := range had {
		for h := range slices.Chunk(hashes, hashSize) {
			known[binary.BigEndian.Uint64(h)] = true
		}
	}
	var left []json.RawMessage
	for _, row := range rows {
		if h := hash(row); !known[h] {
			known[h] = true
			left = append(left, row)
		}
	}
	return left
}

// slack is by how much rows may stand out of order, and how much older than the
// window they must be, before the rest of a list is left unread.
const slack = time.Hour

// ages is what was seen of the order of a list that cannot be asked for a window.
type ages struct {
	First time.Time `json:"first,omitzero"`
	Low   time.Time `json:"low,omitzero"`
	Mixed bool      `json:"mixed,omitempty"` // it does not begin with the newest
	high  time.Time // of this page
}

func (a *ages) see(at time.Time) {
	if at.IsZero() {
		return
	}
	if a.First.IsZero() {
		a.First, a.Low = at, at
	}
	a.Mixed = a.Mixed || at.After(a.Low.Add(slack))
	if at.Before(a.Low) {
		a.Low = at
	}
	if at.After(a.high) {
		a.high = at
	}
}

// passed reports whether a list that turned out to begin with the newest has
// come to rows that are all older.
func (a *ages) passed(since time.Time) bool {
	return !a.Mixed && a.First.Sub(a.Low) > slack && !a.high.IsZero() && a.high.Add(slack).Before(since)
}
