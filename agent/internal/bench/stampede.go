package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"keytender/agent/api"
)

// stampede is callers who all want the same token now. They take turns on the
// connections: whoever has one asks, and passes it on with the answer.
type stampede struct {
	callers  int
	free     chan *caller
	asked    atomic.Int64
	everyone chan struct{} // closed when all have asked at least once

	slowDowns, lost atomic.Int64
	token           atomic.Pointer[string] // the fingerprint that the first of them got
}

func newStampede(callers int, at place) *stampede {
	s := &stampede{callers: callers, free: make(chan *caller, crowdConnections), everyone: make(chan struct{})}
	for range cap(s.free) {
		s.free <- newCaller(at, crowdLimit)
	}
	return s
}

// close closes the connections, once run has returned.
func (s *stampede) close() {
	for range cap(s.free) {
		(<-s.free).close()
	}
}

// run returns when every caller has its token, or one cannot get it.
func (s *stampede) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range s.callers {
		all.Go(func() {
			if err := s.one(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// one is one caller, from its first question to its token.
func (s *stampede) one(ctx context.Context) error {
	for asked := false; ; {
		again, err := s.turn(ctx, &asked)
		if err != nil || again == 0 {
			return err
		}
		if err := wait(ctx, again); err != nil {
			return err
		}
	}
}

// turn asks once, and tells after which pause to ask again: never, if 0.
func (s *stampede) turn(ctx context.Context, asked *bool) (again time.Duration, err error) {
	var c *caller
	select {
	case c = <-s.free:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { s.free <- c }()
	var a answer
	if err = c.send(); err == nil {
		s.count(asked)
		a, err = c.receive()
	}
	if err != nil {
		if c.conn == nil {
			return 0, err // nobody listens
		}
		c.close()
		s.lost.Add(1)
		return time.Millisecond, nil
	}
	if a.status == http.StatusTooManyRequests {
		s.slowDowns.Add(1)
		return retryAfter(a)
	}
	return 0, s.take(a)
}

// count counts each caller once.
func (s *stampede) count(asked *bool) {
	if !*asked && s.asked.Add(1) == int64(s.callers) {
		close(s.everyone)
	}
	*asked = true
}

func retryAfter(a answer) (time.Duration, error) {
	parsed, err := a.parsed()
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.Atoi(parsed.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0, errors.New("slow_down without Retry-After")
	}
	return time.Duration(seconds) * time.Second, nil
}

// take sees that the answer is the token that the others got.
func (s *stampede) take(a answer) error {
	if err := a.failure(); err != nil {
		return err
	}
	var t api.Token
	if err := json.Unmarshal(a.body, &t); err != nil {
		return fmt.Errorf("read a token: %w", err)
	}
	if s.token.CompareAndSwap(nil, &t.Fingerprint) || *s.token.Load() == t.Fingerprint {
		return nil
	}
	return errors.New("two callers got different tokens")
}
