package justcalltest

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"crmsync/internal/justcall"
	"crmsync/sms"
)

// Options say what kind of JustCall a [Server] is. The zero Options are one of
// the classic dialect that limits nothing and posts nothing.
type Options struct {
	// Dialect is that of the webhooks and, unless API says another one, of the
	// API; classic by default.
	Dialect justcall.Dialect
	// API is the version of the API: v2 or v2.1.
	API string
	// Key and Secret are the credentials, "key" and "secret" by default; Auth says
	// how they must stand in the header: bearer (default of v2), plain (of v2.1) or
	// basic.
	Key, Secret, Auth string

	// OtherBase numbers pages from 0 in v2 and from 1 in v2.1: the other way round.
	OtherBase bool
	// NoLinks and NoTotals leave out of lists what is documented for v2.1. Those of
	// v2 have neither.
	NoLinks, NoTotals bool
	// MaxPage is the largest page that is given, whatever is asked for; 100 by
	// default.
	MaxPage int
	// Zone is the time zone of the window's parameters; UTC by default.
	Zone *time.Location
	// PerMinute and PerHour limit requests; 0: not at all.
	PerMinute, PerHour int

	// URL is where webhooks are posted to; empty: nowhere, so that texts are only
	// in the API. SignedURL is what signatures cover, URL by default.
	URL, SignedURL string
	// SigningSecret signs webhooks of 2.1; empty: they are not signed.
	SigningSecret string
	// Scale is how much shorter the waits between attempts are than JustCall's:
	// 0.001 makes 30 s of them 30 ms; 1 by default. Choose it so that an outage of a
	// test is about as long as one would be.
	Scale float64
	// Timeout is how long an attempt may take, 10 s by default. It is not scaled.
	Timeout time.Duration
	// Parallel is how many webhooks are posted at once, 16 by default.
	Parallel int
	// Client posts the webhooks.
	Client *http.Client
}

func (o Options) withDefaults() Options {
	o.Dialect = cmp.Or(o.Dialect, justcall.Classic)
	o.API = cmp.Or(o.API, map[justcall.Dialect]string{justcall.Classic: v2, justcall.V21: v21}[o.Dialect])
	o.Key, o.Secret = cmp.Or(o.Key, "key"), cmp.Or(o.Secret, "secret")
	o.Auth = cmp.Or(o.Auth, map[string]string{v2: "bearer", v21: "plain"}[o.API])
	o.MaxPage = cmp.Or(o.MaxPage, 100)
	o.Zone = cmp.Or(o.Zone, time.UTC)
	o.SignedURL = cmp.Or(o.SignedURL, o.URL)
	o.Scale = cmp.Or(o.Scale, 1)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Parallel = cmp.Or(o.Parallel, 16)
	if o.Client == nil {
		o.Client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	return o
}

// Text is a text as JustCall keeps it.
type Text struct {
	sms.Message
	// Status is how far an outbound text came; empty is sent. A word that is none
	// of [sms.Status], such as scheduled, is given out as it is.
	Status sms.Status
	// Reason is why it failed.
	Reason string
}

// User is a user of the account.
type User struct {
	ID          int
	Name, Email string
	Lines       []sms.Phone
}

// Contact is one of the address book.
type Contact struct {
	ID                         int
	FirstName, LastName, Email string
	Phone                      sms.Phone
	Blacklist, DND, DNM        bool
}

// Server is a fake JustCall: it keeps texts, answers the API, and posts webhooks as
// JustCall does, with both of its ways of trying again. It is as strict as JustCall
// is documented to be, and refuses unknown calls and parameters. It is safe for
// concurrent use. [Server.Close] stops what it posts.
type Server struct {
	options Options
	limits  limits
	sender  *sender

	mu       sync.Mutex
	texts    []Text // in the order of their ids
	users    []User
	contacts []Contact
	sent     []Text // by the API
	calls    map[string]int
	onList   func(page int)
}

// NewServer makes a server.
func NewServer(o Options) *Server {
	o = o.withDefaults()
	s := &Server{options: o, calls: map[string]int{}}
	s.limits = newLimits(o)
	s.sender = newSender(o)
	return s
}

// Close gives up all webhooks that are under way, and waits for their ends.
func (s *Server) Close() { s.sender.close() }

// Put keeps texts without posting anything, as when the webhook is paused. A text
// whose id is known takes the place of that one.
func (s *Server) Put(texts ...Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range texts {
		if i := s.index(t.ID); i >= 0 {
			s.texts[i] = t
			continue
		}
		s.texts = append(s.texts, t)
	}
}

// Post keeps texts, and posts a webhook for each.
func (s *Server) Post(texts ...Text) {
	s.Put(texts...)
	for _, t := range texts {
		kind := sms.Sent
		if t.Direction == sms.Inbound {
			kind = sms.Received
		}
		s.sender.post(kind, t, time.Now())
	}
}

// Deliver gives a text its status, and posts that. It panics where there is no such
// text.
func (s *Server) Deliver(id string, status sms.Status, reason string) {
	s.mu.Lock()
	i := s.index(id)
	if i < 0 {
		s.mu.Unlock()
		panic("justcalltest: no text " + id)
	}
	s.texts[i].Status, s.texts[i].Reason = status, reason
	t := s.texts[i]
	s.mu.Unlock()
	kind := sms.Delivered
	if status == sms.StatusFailed {
		kind = sms.Failed
	}
	s.sender.post(kind, t, time.Now())
}

// Consent puts a number on the do-not-message list, or takes it off, and posts
// that.
func (s *Server) Consent(phone sms.Phone, optedOut bool, at time.Time) {
	s.Suppress(phone, optedOut)
	kind := sms.OptIn
	if optedOut {
		kind = sms.OptOut
	}
	id := "consent-" + strconv.FormatInt(at.UnixNano(), 10)
	s.sender.post(kind, Text{Message: sms.Message{ID: id, Direction: sms.Inbound, Contact: phone, Line: Line, At: at}}, at)
}

// Suppress puts a number on the do-not-message list, or takes it off, without
// posting anything.
func (s *Server) Suppress(phone sms.Phone, listed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contactOf(phone).DNM = listed
}

// Remove forgets texts.
func (s *Server) Remove(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = slices.DeleteFunc(s.texts, func(t Text) bool { return slices.Contains(ids, t.ID) })
}

// AddUser adds a user of the account; the lines are theirs alone.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = append(s.users, u)
}

// Texts answers what is kept.
func (s *Server) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// Contacts answers the address book.
func (s *Server) Contacts() []Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.contacts)
}

// Sent answers the texts that were sent by the API: in crmsync, none ever.
func (s *Server) Sent() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// Calls counts the calls that were let in, by method and path with ids left out,
// such as "GET v2.1/texts".
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// OnList is called before each page of texts is answered, with the page's number
// among all that were asked for, from 1: what it does to the server happens between
// two pages.
func (s *Server) OnList(f func(page int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onList = f
}

func (s *Server) index(id string) int {
	return slices.IndexFunc(s.texts, func(t Text) bool { return t.ID == id })
}

func (s *Server) contactOf(phone sms.Phone) *Contact {
	for i := range s.contacts {
		if s.contacts[i].Phone == phone {
			return &s.contacts[i]
		}
	}
	s.contacts = append(s.contacts, Contact{ID: 5001 + len(s.contacts), Phone: phone})
	return &s.contacts[len(s.contacts)-1]
}

// Line is the company's number in the texts of [MakeTexts].
const Line = sms.Phone("+15125550100")

// MakeTexts makes n texts, one after the other, beginning with the given instant:
// in and out in turn, those that go out delivered, each with its own contact. Ids
// count up from the first.
func MakeTexts(n, firstID int, at time.Time, every time.Duration) []Text {
	texts := make([]Text, n)
	for i := range texts {
		m := sms.Message{
			ID: strconv.Itoa(firstID + i), Direction: sms.Inbound, Line: Line, Body: "Text " + strconv.Itoa(firstID+i),
			Contact: sms.Phone("+1512" + strconv.Itoa(2000000+(firstID+i)%7000000)), At: at.Add(time.Duration(i) * every).UTC().Truncate(time.Second),
		}
		texts[i] = Text{Message: m}
		if i%2 == 1 {
			texts[i].Direction, texts[i].Status = sms.Outbound, sms.StatusDelivered
		}
	}
	return texts
}

// Idle waits until no webhook is under way, or waits to be tried again, and answers
// whether that came before the context ended.
func (s *Server) Idle(ctx context.Context) bool { return s.sender.idle(ctx) }
