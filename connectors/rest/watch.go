package rest

import (
	"context"
	"io"
	"net/http"
)

// Exchange is a request and its answer as a person wants to see them. It holds
// no header, since credentials stand there; those that a transport adds to the
// URL are not in it yet.
type Exchange struct {
	Method, URL string
	Sent        []byte
	Status      int // 0 where no answer came
	Answer      []byte
}

type watchKey struct{}

// Watch answers a context under which every exchange is shown to watch once it
// is over. It is for a person who sets up a connector and writes test data:
// texts, names and numbers are in there.
func Watch(ctx context.Context, watch func(Exchange)) context.Context {
	return context.WithValue(ctx, watchKey{}, watch)
}

func show(req *http.Request, answer *Answer) {
	watch, ok := req.Context().Value(watchKey{}).(func(Exchange))
	if !ok {
		return
	}
	e := Exchange{Method: req.Method, URL: req.URL.String()}
	if body, err := req.GetBody(); err == nil {
		e.Sent, _ = io.ReadAll(body)
	}
	if answer != nil {
		e.Status, e.Answer = answer.Status, answer.Body
	}
	watch(e)
}
