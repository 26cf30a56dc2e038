package session

import "time"

// View is how a profile stands, for people. Of several tokens it shows the one
// that lasts longest; of several errors the latest.
type View struct {
	ExpiresAt   time.Time // zero: no valid token
	RenewsAt    time.Time // if somebody asks for it until then; zero with ExpiresAt
	Working     bool      // Identity is being asked
	LastError   error     // nil: the last attempt succeeded, or there was none
	LastErrorAt time.Time
	RetryAt     time.Time // zero: not before Forget, or no error
}

// Look tells how a profile stands, over all its subjects, scopes and audiences.
// It asks nobody and does not count as use.
func (s *Sessions) Look(profile string) View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var v View
	for _, e := range s.entries {
		if e.key.Profile == profile {
			e.mu.Lock()
			v.add(e, s.now())
			e.mu.Unlock()
		}
	}
	return v
}

// add takes an entry into the view. The entry's mu is held.
func (v *View) add(e *entry, now time.Time) {
	if l := e.held(now); l != nil && l.token.ExpiresAt.After(v.ExpiresAt) {
		v.ExpiresAt, v.RenewsAt = l.token.ExpiresAt, l.plan.renew
	}
	v.Working = v.Working || e.flight != nil
	if t := e.trouble; t.err != nil && t.since.After(v.LastErrorAt) {
		v.LastError, v.LastErrorAt, v.RetryAt = t.err, t.since, time.Time{}
		if !t.unhealing {
			v.RetryAt = t.until()
		}
	}
}
