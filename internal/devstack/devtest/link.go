package devtest

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack"
)

// Trouble is what is wrong with a [Link].
type Trouble int

// The troubles of a network.
const (
	// Healthy passes everything on.
	Healthy Trouble = iota
	// Refusing lets nobody listen, and resets the connections that were open.
	Refusing
	// Hanging holds all back that is sent, in both directions, as a network does
	// that loses packets: what was held back goes on when the trouble ends.
	Hanging
	// Resetting cuts every connection in the midst of an answer, after 32 to 4,096
	// bytes of answers, mostly few: what was asked for may have been done.
	Resetting
	// Slow holds each piece back for SlowBy, in either direction.
	Slow
)

// SlowBy is how late a slow link is, in each direction: more than crmsync waits
// for Temporal or Redis.
const SlowBy = 250 * time.Millisecond

// linkBuffer is the largest piece, in bytes.
const linkBuffer = 64 << 10

// Link is a TCP proxy in front of a server: the network that a test breaks. Its
// methods are safe for concurrent use.
type Link struct {
	// Address is where the server seems to be: "127.0.0.1:port".
	Address string

	t      testing.TB
	target string
	pumps  sync.WaitGroup

	mu       sync.Mutex
	trouble  Trouble
	changed  chan struct{} // closed when the trouble changes
	listener net.Listener  // nil: refusing or closed
	pairs    map[*pair]struct{}
	ended    bool
}

// pair is a connection of a client and the one to the server that goes with it.
type pair struct {
	near, far net.Conn
	left      int // bytes of answers until a reset
	cut       chan struct{}
	once      sync.Once
}

// NewLink starts a link to a server that need not run yet. It ends with the test.
func NewLink(t testing.TB, target string) *Link {
	t.Helper()
	address, err := devstack.FreeAddress()
	require.NoError(t, err)
	l := &Link{t: t, target: target, Address: address, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	l.listen()
	t.Cleanup(l.close)
	return l
}

// listen opens the address, the same one each time. It may be taken for a moment
// after it was found free: a child process holds copies of this one's sockets
// between its fork and its exec.
func (l *Link) listen() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.Address)
	for tries := 0; err != nil && tries < 100; tries++ {
		<-time.After(10 * time.Millisecond)
		listener, err = net.Listen("tcp", l.Address)
	}
	require.NoError(l.t, err)
	l.listener = listener
	l.pumps.Go(func() { l.accept(listener) })
}

// Become changes what is wrong from now on, also with open connections.
func (l *Link) Become(trouble Trouble) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = trouble
	close(l.changed)
	l.changed = make(chan struct{})
	if trouble == Refusing {
		l.refuse()
	} else if l.listener == nil {
		l.listen()
	}
}

// refuse runs under the lock.
func (l *Link) refuse() {
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	for p := range l.pairs {
		p.reset()
	}
}

func (l *Link) close() {
	l.mu.Lock()
	l.ended = true
	l.refuse()
	l.mu.Unlock()
	l.pumps.Wait()
}

func (l *Link) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		l.pumps.Go(func() { l.join(near) })
	}
}

// join connects a client with the server until either is done.
func (l *Link) join(near net.Conn) {
	far, err := (&net.Dialer{}).DialContext(l.t.Context(), "tcp", l.target)
	if err != nil {
		resetConn(near)
		return
	}
	p := &pair{near: near, far: far, left: untilReset(), cut: make(chan struct{})}
	if !l.add(p) {
		p.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(p, near, far, false) })
	both.Go(func() { l.pump(p, far, near, true) })
	both.Wait()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
	_, _ = near.Close(), far.Close() // both directions have ended in good order
}

// untilReset draws how many bytes of answers a reset lets through.
func untilReset() int { return int(32 * math.Exp2(7*rand.Float64())) }

func (l *Link) add(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.trouble == Refusing {
		return false
	}
	l.pairs[p] = struct{}{}
	return true
}

// pump copies one direction; answers are those of the server.
func (l *Link) pump(p *pair, from, to net.Conn, answers bool) {
	buffer := make([]byte, linkBuffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.pass(p, to, buffer[:n], answers) {
			p.reset()
			return
		}
		if err != nil {
			if half, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
				_ = half.CloseWrite()
			} else {
				p.reset()
			}
			return
		}
	}
}

// pass sends a piece on in its time; false: the connection ends here.
func (l *Link) pass(p *pair, to net.Conn, piece []byte, answers bool) bool {
	trouble := l.await(p)
	if trouble == Slow {
		select {
		case <-time.After(SlowBy):
		case <-p.cut:
		}
	}
	goesOn := true
	if trouble == Resetting && answers {
		goesOn = len(piece) < p.left
		piece = piece[:min(len(piece), p.left)]
		p.left -= len(piece)
	}
	_, err := to.Write(piece)
	return err == nil && goesOn
}

// await answers the trouble, once it is no longer that nothing passes.
func (l *Link) await(p *pair) Trouble {
	for {
		l.mu.Lock()
		trouble, changed := l.trouble, l.changed
		l.mu.Unlock()
		if trouble != Hanging {
			return trouble
		}
		select {
		case <-changed:
		case <-p.cut:
			return trouble
		}
	}
}

// reset ends both connections as a crash of the machine between them does.
func (p *pair) reset() {
	p.once.Do(func() {
		close(p.cut)
		resetConn(p.near)
		resetConn(p.far)
	})
}

func resetConn(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
