package session

import (
	"context"
	"maps"
	"slices"
	"time"
)

// longestSleep bounds the keeper's sleep, because a timer sleeps on through
// suspend and changes of the clock, and what it waits for is wall clock.
const longestSleep = 30 * time.Second

// keep renews tokens in use until stop is closed.
func (s *Sessions) keep(stop <-chan struct{}) {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		timer.Reset(s.sweep())
		select {
		case <-timer.C:
		case <-s.wake:
		case <-stop:
			return
		}
	}
}

// nudge has the keeper look again, because something may be due sooner than it
// knows.
func (s *Sessions) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// sweep tends every entry and tells how long to sleep.
func (s *Sessions) sweep() time.Duration {
	s.mu.RLock()
	entries := slices.Collect(maps.Values(s.entries))
	s.mu.RUnlock()
	sleep := longestSleep
	for _, e := range entries {
		rest, stale := s.tend(e)
		if stale {
			s.drop(e)
		}
		sleep = min(sleep, rest)
	}
	return sleep
}

// tend starts a renewal that is due, and tells how long the entry can be left
// alone and whether it is stale. A token that nobody asked for since it came is
// let go; so is one that has expired: the next caller starts afresh.
func (s *Sessions) tend(e *entry) (rest time.Duration, stale bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := s.now()
	l := e.held(now)
	switch {
	case e.gone || e.flight != nil:
		return longestSleep, false
	case l == nil:
		return longestSleep, e.stale(now)
	case !l.due(now):
		return l.plan.renew.Sub(now), false
	case !l.asked.Load() || e.trouble.unhealing:
		return longestSleep, false
	case e.trouble.bar(now) != nil:
		return e.trouble.until().Sub(now), false
	}
	s.depart(context.Background(), e)
	return longestSleep, false
}

// drop takes a stale entry out of the map, unless it came back to life.
func (s *Sessions) drop(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.gone && e.stale(s.now()) {
		s.remove(e, nil)
	}
}
