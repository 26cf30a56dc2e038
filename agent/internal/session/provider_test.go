package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
	"keytender/vault"
)

var invoices = session.Key{Profile: "invoices", Scopes: "OR.Jobs"}

// errDown is what a provider out of reach comes to.
var errDown = &identity.Error{Kind: identity.Unavailable, What: "ask Identity"}

func refusal(code string) error {
	return &identity.Error{Kind: identity.Refused, Code: code, What: "ask Identity"}
}

// clock is the wall clock of the machine, which people and servers set.
type clock struct{ shift atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.shift.Load())) }
func (c *clock) jump(d time.Duration) { c.shift.Add(int64(d)) }

// provider stands where Identity is. Its tokens are token-1, token-2 and so on.
type provider struct {
	clock

	mu       sync.Mutex
	lifetime time.Duration
	latency  time.Duration
	err      error
	asked    []time.Time // when, by the clock of the test
}

func (p *provider) grant(ctx context.Context, k session.Key) (identity.Grant, error) {
	p.mu.Lock()
	p.asked = append(p.asked, time.Now())
	n, lifetime, latency, err := len(p.asked), p.lifetime, p.latency, p.err
	p.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return identity.Grant{}, ctx.Err()
	}
	if err != nil {
		return identity.Grant{}, err
	}
	now := p.now()
	return identity.Grant{
		Access: vault.NewSecret(fmt.Sprintf("token-%d", n)), Type: "Bearer",
		IssuedAt: now, ExpiresAt: now.Add(lifetime), Scope: k.Scopes,
	}, nil
}

// fail makes the provider answer with err from now on; nil: with tokens.
func (p *provider) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *provider) slow(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

func (p *provider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// sessions are kept with chance and slot at 0, so that a window begins on time.
func (p *provider) sessions(t *testing.T) *session.Sessions {
	return p.sessionsWith(t, 0, 0)
}

func (p *provider) sessionsWith(t *testing.T, slot, chance float64) *session.Sessions {
	s := session.New(session.Options{
		Grant: p.grant, Now: p.now, Slot: slot, Rand: func() float64 { return chance },
	})
	t.Cleanup(s.Close)
	return s
}

// get asks for a token that must be had, and gives it in clear.
func get(t *testing.T, s *session.Sessions, k session.Key, w session.Want) (token string, met bool) {
	t.Helper()
	got, met, err := s.Token(t.Context(), k, w)
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	return got.Access().Reveal(), met
}

func wantToken(t *testing.T, s *session.Sessions, want string) {
	t.Helper()
	if got, _ := get(t, s, invoices, session.Want{}); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func wantRequests(t *testing.T, p *provider, want int) {
	t.Helper()
	if got := p.requests(); got != want {
		t.Fatalf("Identity was asked %d times, want %d", got, want)
	}
}

// wantWait asks for a token that cannot be had now, and gives how long to wait.
func wantWait(t *testing.T, s *session.Sessions) time.Duration {
	t.Helper()
	_, _, err := s.Token(t.Context(), invoices, session.Want{})
	wait, ok := errors.AsType[*session.WaitError](err)
	if !ok {
		t.Fatalf("error %v, want a WaitError", err)
	}
	return wait.RetryAfter
}

// takes measures f by the clock of the test.
func takes(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
