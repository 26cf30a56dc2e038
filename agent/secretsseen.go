package agent

import (
	"crypto/hmac"
	"slices"
	"sync"
	"time"
)

// secretsSeen remembers of each profile, by HMAC alone, which secrets Identity
// has called wrong and which one it took last. The zero value is ready.
type secretsSeen struct {
	mu sync.Mutex
	of map[string]*secretSeen
}

type secretSeen struct {
	refused []refusedSecret // the newest last
	working string          // mark; "" before the first token
	before  bool            // the working one is not the store's newest
	changed time.Time       // when the store says it was changed, or zero
}

// refusedSecret is a secret that Identity has called wrong, by its HMAC.
type refusedSecret struct {
	mark string
	err  error
	at   time.Time
}

// refusalsKept is of how many secrets of a profile it is remembered that they
// are wrong.
const refusalsKept = 4

func (s *secretsSeen) seen(name string) *secretSeen {
	if s.of == nil {
		s.of = map[string]*secretSeen{}
	}
	if s.of[name] == nil {
		s.of[name] = &secretSeen{}
	}
	return s.of[name]
}

// refusal is Identity's word on the secret, if that was that it is wrong, and
// when it said so; else nil.
func (s *secretsSeen) refusal(name, mark string) (at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen(name).refused {
		if hmac.Equal([]byte(r.mark), []byte(mark)) {
			return r.at, r.err
		}
	}
	return time.Time{}, nil
}

// refuse remembers that a secret is wrong, if live says that p still is what
// its name means: what was found out about a profile that was changed meanwhile
// must not be held against the new one.
func (s *secretsSeen) refuse(p *profile, mark string, err error, now time.Time, live func(*profile) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !live(p) {
		return
	}
	seen := s.seen(p.Name)
	seen.refused = slices.DeleteFunc(seen.refused, func(r refusedSecret) bool { return r.mark == mark })
	seen.refused = append(seen.refused, refusedSecret{mark, err, now})
	seen.refused = slices.Clone(seen.refused[max(0, len(seen.refused)-refusalsKept):])
}

// work notes which secret works, and whether it is the one that the store had
// before its newest. It reports whether another one did until now.
func (s *secretsSeen) work(p *profile, mark string, changed time.Time, before bool, live func(*profile) bool) (other bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !live(p) {
		return false
	}
	seen := s.seen(p.Name)
	other = seen.working != "" && (seen.working != mark || seen.before != before)
	seen.working, seen.before, seen.changed = mark, before, changed
	seen.refused = slices.DeleteFunc(seen.refused, func(r refusedSecret) bool { return r.mark == mark })
	return other
}

// last tells of the secret that worked last.
func (s *secretsSeen) last(name string) (changed time.Time, before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.of[name]
	if seen == nil {
		return time.Time{}, false
	}
	return seen.changed, seen.before
}

// forget has every secret of the profile tried again.
func (s *secretsSeen) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen := s.of[name]; seen != nil {
		seen.refused = nil
	}
}

// drop is for a profile that is gone, or another one by now.
func (s *secretsSeen) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, name)
}
