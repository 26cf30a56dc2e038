package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// longIdle is how long an entry that nobody asks for outlives its token.
const longIdle = time.Hour

// entry is what is known about one key.
type entry struct {
	key   Key
	lease atomic.Pointer[lease] // written under mu; nil: no token

	mu       sync.Mutex
	flight   *flight // nil: nothing in the air
	trouble  trouble
	forcedAt time.Time
	gone     bool // taken out of the map: whoever still holds it looks again
}

// held is the token that is still valid, or nil.
func (e *entry) held(now time.Time) *lease {
	if l := e.lease.Load(); l != nil && l.valid(now) {
		return l
	}
	return nil
}

// reject drops the token that a service refused, if l is still that token and a
// new one may be asked for now. Otherwise it stays and is served: a second
// renewal within forcePause would bring nothing better. mu is held.
func (e *entry) reject(l *lease, fingerprint string, now time.Time) bool {
	barred := e.trouble.bar(now) != nil
	if l.token.Fingerprint != fingerprint || barred || within(forcePause, e.forcedAt, now) {
		return false
	}
	e.forcedAt = now
	e.lease.Store(nil)
	return true
}

// retire takes the entry out of use: what it holds is gone, whoever waits
// for its flight gets err, and what the flight brings is not published. An idle
// entry needs no err. mu is held.
func (e *entry) retire(err error) {
	e.gone = true
	e.lease.Store(nil)
	if e.flight != nil {
		e.flight.land(nil, err)
		e.flight = nil
	}
}

// idle tells whether losing the entry costs nobody anything but knowledge of a
// refusal: no token, no flight, no wait to be kept. mu is held.
func (e *entry) idle(now time.Time) bool {
	waiting := !e.trouble.unhealing && e.trouble.bar(now) != nil
	return e.flight == nil && e.held(now) == nil && !waiting
}

// stale tells whether the entry is idle and has been so for long. mu is held.
func (e *entry) stale(now time.Time) bool {
	return e.idle(now) && !e.trouble.unhealing && now.Sub(e.lastEvent()) >= longIdle
}

// lastEvent is when the entry was last of use. mu is held.
func (e *entry) lastEvent() time.Time {
	last := e.trouble.until()
	if l := e.lease.Load(); l != nil && l.token.ExpiresAt.After(last) {
		last = l.token.ExpiresAt
	}
	return last
}
