// Package session keeps tokens alive. A request for a token goes
//
//	Token ─► cache ─────────────────────────────► a token that lasts
//	           └─► entry ─► flight ─► Grant ─► Identity
//	                 ▲         └─► lease, or trouble with the time to wait
//	                 └── keeper: renews in the background what is in use
//
// The cache is one read lock and one atomic load. Everything else happens under
// the lock of one entry, and nothing holds a lock while Identity is asked. Time
// is wall clock throughout, because tokens end by it while a laptop sleeps.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"keytender/agent/internal/identity"
)

// Errors that callers of Token decide by.
var (
	// ErrForgotten: the profile was changed or taken away while its token was
	// on the way. Decide anew whether the caller may have it, and ask again.
	ErrForgotten = errors.New("the profile changed while its token was on the way")
	// ErrFull: as many different tokens of the profile are alive as the agent
	// keeps. Room comes as they expire.
	ErrFull = errors.New("too many different scopes and audiences are in use")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the sessions are closed")
)

// Options are what New needs.
type Options struct {
	// Grant asks Identity. It is called once at a time for each key, unless
	// Forget overtook the one before, and has a minute at most. Close cancels
	// its context: a grant that must not stop half-way detaches itself.
	// Required.
	Grant func(ctx context.Context, k Key) (identity.Grant, error)
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: none
	Slot  float64          // the machine's place in its fleet, in [0,1): spreads renewals
	Rand  func() float64   // in [0,1), for many goroutines; nil: math/rand
}

// Sessions hands out tokens and keeps those in use alive. Its methods are for
// many goroutines.
type Sessions struct {
	grant  func(context.Context, Key) (identity.Grant, error)
	now    func() time.Time
	chance func() float64
	slot   float64
	log    *slog.Logger

	mu      sync.RWMutex // before the mu of an entry
	entries map[Key]*entry
	closed  bool

	wake  chan struct{}
	stop  func()
	owned sync.WaitGroup // the keeper and the flights
}

// New starts keeping sessions. Close it.
func New(o Options) *Sessions {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	stop := make(chan struct{})
	s := &Sessions{
		grant:   o.Grant,
		now:     func() time.Time { return o.Now().Round(0) },
		chance:  o.Rand,
		slot:    o.Slot,
		log:     o.Log,
		entries: make(map[Key]*entry),
		wake:    make(chan struct{}, 1),
		stop:    sync.OnceFunc(func() { close(stop) }),
	}
	s.owned.Go(func() { s.keep(stop) })
	return s
}

// Want is what a caller asks beyond the key.
type Want struct {
	// MinValid is how long the token should last. One that lasts less is
	// renewed once; what comes of it is served even if it falls short.
	MinValid time.Duration
	// Rejected is the fingerprint of a token that a service refused. If that
	// is the one in the cache it is dropped and renewed, at most once in 30
	// seconds a key; in between, and while Identity may not be asked, it is
	// served as it is.
	Rejected string
}

// Token gives the token of a key: the cached one, or one that it waits for as
// long as ctx lives. minValidMet is false for a token that lasts less than
// MinValid. A valid token is served whatever stands in the way of a new one.
//
// Without one, errors are those of Grant, wrapped in a *WaitError while
// Identity is not to be asked; one that asking again cannot heal is remembered
// and returned as it is until Forget. Further: ErrForgotten, ErrFull, ErrClosed
// and that of ctx.
func (s *Sessions) Token(ctx context.Context, k Key, w Want) (t *Token, minValidMet bool, err error) {
	if l := s.cached(k); l != nil && l.suits(s.now(), w) {
		l.use()
		return l.token, true, nil
	}
	l, err := s.lease(ctx, k, w)
	if err != nil {
		return nil, false, err
	}
	return l.token, l.left(s.now()) >= w.MinValid, nil
}

// Forget drops everything about a profile: tokens, errors, waits. Whoever waits
// for one of its tokens gets ErrForgotten at once, and what is on the way is
// not published.
func (s *Sessions) Forget(profile string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.key.Profile == profile {
			e.mu.Lock()
			s.remove(e, ErrForgotten)
			e.mu.Unlock()
		}
	}
}

// Heal forgets the errors of a profile, so that the next attempt is made when a
// token is needed. Tokens, and what is on the way, stay.
func (s *Sessions) Heal(profile string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, e := range s.entries {
		if e.key.Profile == profile {
			e.mu.Lock()
			e.trouble = trouble{}
			e.mu.Unlock()
		}
	}
	s.nudge()
}

// Close ends renewal, cancels what is on the way and waits for it. Whoever
// waits for a token, or asks later, gets ErrClosed.
func (s *Sessions) Close() {
	s.stop()
	s.mu.Lock()
	s.closed = true
	for _, e := range s.entries {
		e.mu.Lock()
		if e.flight != nil {
			e.flight.cancel()
		}
		s.remove(e, ErrClosed)
		e.mu.Unlock()
	}
	s.mu.Unlock()
	s.owned.Wait()
}

// remove takes an entry out of use. Both locks are held.
func (s *Sessions) remove(e *entry, err error) {
	e.retire(err)
	delete(s.entries, e.key)
}

// Format prints that these are sessions. Without it, printing would read the
// locks of those at work.
func (*Sessions) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "sessions") }
