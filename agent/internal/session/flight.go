package session

import (
	"context"
	"log/slog"
	"time"

	"keytender/agent/internal/identity"
)

// flightLimit bounds one attempt, whoever waits for it.
const flightLimit = 60 * time.Second

// flight is one attempt to get a token, shared by all who wait for it.
type flight struct {
	cancel context.CancelFunc
	wish   time.Duration // the longest min_valid of those who wait; under the entry's mu
	done   chan struct{} // closed by land; lease and err are fixed from then on
	lease  *lease
	err    error
}

func (f *flight) land(l *lease, err error) {
	f.lease, f.err = l, err
	close(f.done)
}

// depart starts a flight for an entry that has none. The entry's mu is held,
// and the entry is not gone: so Close, which retires all entries before it
// waits, waits for this one too.
func (s *Sessions) depart(ctx context.Context, e *entry) *flight {
	// The caller may go away; those who joined it, and the next, need the token.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightLimit)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	e.flight = f
	s.owned.Go(func() {
		defer cancel()
		g, err := s.grant(ctx, e.key)
		s.arrive(e, f, g, err)
	})
	return f
}

// arrive publishes what a flight brought, unless its entry was retired.
func (s *Sessions) arrive(e *entry, f *flight, g identity.Grant, err error) {
	now := s.now()
	if err == nil {
		err = unusable(g, now)
	}
	e.mu.Lock()
	if e.flight != f {
		e.mu.Unlock()
		return
	}
	before := e.trouble
	if err == nil {
		e.trouble = trouble{}
		f.lease = newLease(e.key.Profile, g, now, f.wish, shareOf(s.slot, s.chance()))
		e.lease.Store(f.lease)
	} else {
		e.trouble = before.after(err, now, s.chance())
		if l := e.lease.Load(); l != nil && e.trouble.refused() {
			l.asked.Store(false)
		}
	}
	after := e.trouble
	e.flight = nil
	f.land(f.lease, err)
	e.mu.Unlock()
	s.report(e.key, before, after)
	s.nudge()
}

// unusable refuses what identity promises never to return, because from here
// on nobody looks again.
func unusable(g identity.Grant, now time.Time) error {
	switch {
	case g.Access.IsZero():
		return &identity.Error{Kind: identity.Broken, What: "the grant has no token"}
	case !g.ExpiresAt.Truncate(time.Second).After(now):
		return &identity.Error{Kind: identity.Broken, What: "the token had expired when it came"}
	}
	return nil
}

func (s *Sessions) report(k Key, before, after trouble) {
	log := s.log.With("profile", k.Profile, "scopes", k.Scopes)
	switch {
	case after.refused():
		log.Error("token refused", "error", after.err, "remembered", after.unhealing)
	case after.err != nil:
		log.Warn("token not had", "error", after.err, "failures", after.failures, slog.Duration("retry_in", after.wait))
	case before.err != nil:
		log.Info("token had again", "failures", before.failures)
	default:
		log.Debug("token had")
	}
}
