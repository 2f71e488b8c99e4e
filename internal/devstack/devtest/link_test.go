package devtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/internal/devstack"
)

// linked is a server behind a link, and a client of its own connections.
type linked struct {
	link   *Link
	client *http.Client
	asked  atomic.Int64
}

func newLinked(t *testing.T) *linked {
	l := &linked{client: &http.Client{Transport: &http.Transport{}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		l.asked.Add(1)
		_, _ = io.WriteString(w, page)
	}))
	t.Cleanup(server.Close)
	l.link = NewLink(t, strings.TrimPrefix(server.URL, "http://"))
	t.Cleanup(l.client.CloseIdleConnections)
	return l
}

// page is longer than any reset lets through.
var page = strings.Repeat("0123456789", 1000)

func (l *linked) get(t *testing.T, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.link.Address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var read bytes.Buffer
	_, err = read.ReadFrom(response.Body)
	return read.String(), err
}

func (l *linked) works(t *testing.T) {
	t.Helper()
	text, err := l.get(t, time.Minute)
	require.NoError(t, err)
	require.Equal(t, page, text)
}

func TestLinkRefuses(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	l.works(t)
	l.link.Become(Refusing)
	_, err := l.get(t, time.Minute)
	require.Error(t, err)
	l.client.CloseIdleConnections()
	_, err = l.get(t, time.Minute)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualValues(t, 1, l.asked.Load())
	l.link.Become(Healthy)
	l.works(t)
}

func TestLinkHangs(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	l.works(t)
	l.link.Become(Hanging)
	_, err := l.get(t, 50*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	late := make(chan error, 1)
	go func() {
		_, err := l.get(t, time.Minute)
		late <- err
	}()
	require.Never(t, func() bool { return len(late) > 0 }, 50*time.Millisecond, 10*time.Millisecond)
	l.link.Become(Healthy)
	require.NoError(t, <-late, "what was held back goes on")
	l.works(t)
}

func TestLinkResetsAnswers(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	l.works(t)
	l.link.Become(Resetting)
	for i := range 5 {
		_, err := l.get(t, time.Minute)
		require.Error(t, err, i)
	}
	require.GreaterOrEqual(t, l.asked.Load(), int64(6), "the server was asked each time")
	l.link.Become(Healthy)
	l.works(t)
}

func TestLinkIsSlow(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	l.link.Become(Slow)
	begun := time.Now()
	l.works(t)
	require.GreaterOrEqual(t, time.Since(begun), 2*SlowBy)
}

func TestLinkToNobody(t *testing.T) {
	t.Parallel()
	l := newLinked(t)
	nobody, err := devstack.FreeAddress()
	require.NoError(t, err)
	l.link = NewLink(t, nobody)
	_, err = l.get(t, time.Minute)
	require.Error(t, err)
}
