package api

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"crmsync/connectors"
	"crmsync/sms"
)

const (
	// knownFor is how old what is known of the account's people may be, and
	// patience how long nothing is asked after a failure.
	knownFor = 24 * time.Hour
	patience = 10 * time.Minute
	// asking bounds an answer: it decorates a text, which must not wait for it.
	asking = 5 * time.Second
	// maxPeople bounds how many users, or numbers, are looked at.
	maxPeople = 10_000
)

// Directory knows who the account's users are, and whose its numbers are. It asks
// once a day; a failure is logged and leaves out what it would have told. It is
// safe for concurrent use.
type Directory struct {
	client *Client
	log    hclog.Logger

	mu    sync.Mutex
	until time.Time // when to ask again
	users map[string]string
	lines map[sms.Phone]string
}

// NewDirectory makes the directory of an account. It does no I/O.
func NewDirectory(client *Client, log hclog.Logger) *Directory {
	return &Directory{client: client, log: log}
}

// Agent answers the e-mail address of the user with an id, "" where there is none
// or nobody can tell.
func (d *Directory) Agent(ctx context.Context, id string) string {
	users, _ := d.known(ctx)
	return users[id]
}

// Line answers the e-mail address of the user to whom a number of the company
// belongs alone, "" where there is none or nobody can tell.
func (d *Directory) Line(ctx context.Context, line sms.Phone) string {
	_, lines := d.known(ctx)
	return lines[line]
}

// known answers maps that do not change any more. What was known before stays
// known after a failure.
func (d *Directory) known(ctx context.Context) (users map[string]string, lines map[sms.Phone]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Now().Before(d.until) {
		return d.users, d.lines
	}
	// Also for those who come after this one has had enough.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), asking)
	defer cancel()
	users, lines, err := d.ask(ctx)
	d.until = time.Now().Add(knownFor)
	if err == nil {
		d.users, d.lines = users, lines
		return users, lines
	}
	e := connectors.AsError("list users", err)
	if e.Kind != connectors.Unsupported {
		d.until = time.Now().Add(patience)
		d.log.Warn("JustCall does not tell who its users are: records get no owner by them for a while", "kind", e.Kind, "status", e.Status)
	}
	return d.users, d.lines
}

func (d *Directory) ask(ctx context.Context) (users map[string]string, lines map[sms.Phone]string, err error) {
	users, lines = map[string]string{}, map[sms.Phone]string{}
	err = each(ctx, d.client.Users, func(u User) {
		users[u.ID] = u.Email
		for _, line := range u.Lines {
			lines[line] = u.Email
		}
	})
	if err != nil {
		return nil, nil, err
	}
	err = each(ctx, d.client.Numbers, func(n Number) {
		if email := n.owner(users); email != "" {
			lines[n.Line] = email
		}
	})
	return users, lines, err
}

// each shows all of a list.
func each[T any](ctx context.Context, list func(context.Context, Cursor) ([]T, Cursor, error), see func(T)) error {
	from := Cursor("")
	for n := 0; n < maxPeople; {
		page, next, err := list(ctx, from)
		if err != nil {
			return err
		}
		for _, one := range page {
			see(one)
		}
		if next == "" {
			return nil
		}
		n, from = n+len(page), next
	}
	return nil
}

// owner answers the e-mail address of a number's owner, who may be named by it or
// by id.
func (n Number) owner(users map[string]string) string {
	if n.Owner.Email != "" {
		return n.Owner.Email
	}
	return users[n.Owner.ID]
}
