package session

import (
	"context"
	"time"
)

// maxKeys bounds the entries of one subject of one profile, so that asking for
// ever new scopes fills neither memory nor Identity's log, and takes no room
// from other subjects.
const maxKeys = 128

// cached is the token in the cache, valid or not, or nil. The hot path: nothing
// here allocates.
func (s *Sessions) cached(k Key) *lease {
	s.mu.RLock()
	e := s.entries[k]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	return e.lease.Load()
}

// lease is the slow path: it settles with the entry what the caller gets, and
// waits if need be.
func (s *Sessions) lease(ctx context.Context, k Key, w Want) (*lease, error) {
	for {
		e, err := s.entry(k)
		if err != nil {
			return nil, err
		}
		l, f, err := s.settle(ctx, e, w)
		switch {
		case err != nil:
			return nil, err
		case l != nil:
			return l, nil
		case f != nil:
			return s.await(ctx, e, f)
		}
	}
}

// settle decides between a token at once, a flight to wait for and an error;
// none of them means that the entry is gone.
func (s *Sessions) settle(ctx context.Context, e *entry, w Want) (*lease, *flight, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return nil, nil, nil
	}
	now := s.now()
	l := e.held(now)
	if l != nil {
		l.use()
		if !e.reject(l, w.Rejected, now) && !l.pressing(now, w.MinValid) {
			return l, nil, nil
		}
	}
	if e.flight == nil {
		if err := e.trouble.bar(now); err != nil {
			if l != nil {
				return l, nil, nil
			}
			return nil, nil, err
		}
		s.depart(ctx, e)
	}
	e.flight.wish = max(e.flight.wish, w.MinValid)
	return nil, e.flight, nil
}

// await waits for a flight. If it fails, or the caller cannot wait longer, the
// token that is still valid has to do.
func (s *Sessions) await(ctx context.Context, e *entry, f *flight) (*lease, error) {
	var err error
	select {
	case <-f.done:
		if f.err == nil {
			return f.lease, nil
		}
		err = f.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if l := e.held(s.now()); l != nil {
		return l, nil
	}
	return nil, err
}

// entry is the entry of a key, made if there is none.
func (s *Sessions) entry(k Key) (*entry, error) {
	s.mu.RLock()
	e := s.entries[k]
	s.mu.RUnlock()
	if e != nil {
		return e, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if e := s.entries[k]; e != nil {
		return e, nil
	}
	if err := s.makeRoom(k, s.now()); err != nil {
		return nil, err
	}
	e = &entry{key: k}
	s.entries[k] = e
	return e, nil
}

// makeRoom sees that one more entry fits next to k. The idle entry that was of
// use longest ago goes; what holds a token, or keeps Identity from being asked
// too soon, stays. mu is held for writing.
func (s *Sessions) makeRoom(k Key, now time.Time) error {
	var oldest *entry
	var since time.Time
	count := 0
	for _, e := range s.entries {
		if e.key.Profile != k.Profile || e.key.Subject != k.Subject {
			continue
		}
		count++
		e.mu.Lock()
		idle, last := e.idle(now), e.lastEvent()
		e.mu.Unlock()
		if idle && (oldest == nil || last.Before(since)) {
			oldest, since = e, last
		}
	}
	switch {
	case count < maxKeys:
		return nil
	case oldest == nil:
		return ErrFull
	}
	oldest.mu.Lock()
	defer oldest.mu.Unlock()
	if !oldest.idle(now) {
		return ErrFull // somebody was quicker
	}
	s.remove(oldest, nil)
	return nil
}
