package session

import (
	"sync/atomic"
	"time"

	"keytender/agent/internal/identity"
)

const (
	// clockSlack is how far the wall clock may be set back unnoticed.
	clockSlack = time.Minute
	// forcePause parts renewals that callers force. It bounds what a caller
	// can make the agent ask of Identity.
	forcePause = 30 * time.Second
)

// lease is a token in its time with us. All but asked is fixed at its start.
type lease struct {
	token *Token
	since time.Time
	plan  plan
	// short: it was got for a wish that it did not meet when new.
	short bool
	// asked: somebody wanted it after it came, so it is worth renewing.
	asked atomic.Bool
}

func newLease(profile string, g identity.Grant, now time.Time, wish time.Duration, share float64) *lease {
	t := newToken(profile, g)
	return &lease{
		token: t,
		since: now,
		plan:  newPlan(now, t.ExpiresAt, share),
		short: t.ExpiresAt.Sub(now) < wish,
	}
}

func (l *lease) valid(now time.Time) bool         { return now.Before(l.token.ExpiresAt) }
func (l *lease) left(now time.Time) time.Duration { return l.token.ExpiresAt.Sub(now) }

// suits tells whether the token can be handed out without further thought.
func (l *lease) suits(now time.Time, w Want) bool {
	return now.Before(l.plan.must) && l.left(now) >= w.MinValid && w.Rejected != l.token.Fingerprint
}

// use notes that somebody asked. It writes once, so that callers on many cores
// only read.
func (l *lease) use() {
	if !l.asked.Load() {
		l.asked.Store(true)
	}
}

// due tells whether to renew in the background. A token from the future means
// that the clock was set back: how long it really lasts is unknown.
func (l *lease) due(now time.Time) bool {
	return !now.Before(l.plan.renew) || now.Before(l.since.Add(-clockSlack))
}

// pressing tells whether a caller has to wait for a renewal: in the last
// minute, or when a new token may last as long as was wished. That is not so
// for a wish above the lifetime once it was tried, nor for a token so young
// that a new one would last hardly longer.
func (l *lease) pressing(now time.Time, wish time.Duration) bool {
	switch {
	case !now.Before(l.plan.must):
		return true
	case l.left(now) >= wish:
		return false
	case l.short && wish > l.left(l.since):
		return false
	}
	return !within(forcePause, l.since, now)
}

// within tells whether now is in the time d that began at since. A clock set
// back does not prolong it by more than clockSlack.
func within(d time.Duration, since, now time.Time) bool {
	passed := now.Sub(since)
	return -clockSlack <= passed && passed < d
}
