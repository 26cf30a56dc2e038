package session

import (
	"errors"
	"fmt"
	"time"

	"keytender/agent/internal/identity"
)

const (
	firstRetry    = time.Second
	slowestRetry  = 5 * time.Minute
	longestAsked  = time.Hour       // Retry-After that is believed
	refusalPause  = time.Minute     // between attempts that Identity refuses
	ownPause      = 5 * time.Second // at most, where Identity was not even asked: a store may be unlocked any moment
	jitterOfRetry = 0.25
)

// WaitError says that Identity is not asked before RetryAfter has passed. It
// wraps the error of the last attempt.
type WaitError struct {
	Err        error
	RetryAfter time.Duration
}

func (e *WaitError) Error() string {
	seconds := (e.RetryAfter + time.Second - 1) / time.Second
	return fmt.Sprintf("not tried again for %d s: %v", seconds, e.Err)
}

// Unwrap is the error of the last attempt.
func (e *WaitError) Unwrap() error { return e.Err }

// trouble is what stands in the way of the next attempt. The zero trouble is
// none.
type trouble struct {
	err       error
	since     time.Time
	wait      time.Duration
	failures  int
	unhealing bool // lasts until somebody changes the configuration
}

// after is the trouble that follows when an attempt fails with err: nothing
// more for what asking again cannot heal, a minute for other refusals, and
// else twice as long each time, from 1 s to 5 min, less up to a quarter by
// chance in [0,1). A Retry-After only lengthens the wait, to an hour at most.
func (t trouble) after(err error, now time.Time, chance float64) trouble {
	next := trouble{err: err, since: now, failures: t.failures + 1}
	next.wait = backoff(t.failures, chance)
	if said, ok := errors.AsType[*identity.Error](err); ok {
		next.unhealing = unhealing(said)
		if said.Kind == identity.Refused {
			next.wait = refusalPause
		}
		next.wait = max(next.wait, min(said.RetryAfter, longestAsked))
	} else if said, ok := errors.AsType[*identity.ResolveError](err); ok {
		next.wait = max(next.wait, min(said.RetryAfter, longestAsked))
	} else {
		next.wait = min(next.wait, ownPause)
	}
	return next
}

func backoff(failures int, chance float64) time.Duration {
	wait := slowestRetry
	if failures < 16 {
		wait = min(slowestRetry, firstRetry<<failures)
	}
	return wait - time.Duration(chance*jitterOfRetry*float64(wait))
}

// unhealing tells whether the refusal is about our own request, RFC 6749 §5.2
// and RFC 8707 §2: it stays wrong however often it is sent.
func unhealing(e *identity.Error) bool {
	if e.Kind != identity.Refused {
		return false
	}
	switch e.Code {
	case "invalid_scope", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_target":
		return true
	}
	return false
}

// until is when the next attempt may be made; meaningless if unhealing.
func (t trouble) until() time.Time { return t.since.Add(t.wait) }

// bar is the error that callers get instead of an attempt, nil when one may be
// made.
func (t trouble) bar(now time.Time) error {
	switch {
	case t.unhealing:
		return t.err
	case t.err != nil && within(t.wait, t.since, now):
		return &WaitError{Err: t.err, RetryAfter: t.until().Sub(now)}
	}
	return nil
}

// refused tells whether Identity said no, so that only a person's doing helps.
func (t trouble) refused() bool {
	said, ok := errors.AsType[*identity.Error](t.err)
	return ok && said.Kind == identity.Refused
}
