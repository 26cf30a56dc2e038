package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
	"keytender/vault"
)

func TestBackoffDoublesUpToFiveMinutes(t *testing.T) {
	for _, row := range []struct{ chance, share float64 }{{0, 1}, {1, 0.75}} {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{err: errDown}
			s := p.sessionsWith(t, 0, row.chance)
			for i, seconds := range append([]float64{1, 2, 4, 8, 16, 32, 64, 128, 256}, slices.Repeat([]float64{300}, 100)...) {
				s.Token(t.Context(), invoices, session.Want{})
				wantRequests(t, p, i+1)
				want := time.Duration(row.share * seconds * float64(time.Second))
				if wait := wantWait(t, s); wait != want {
					t.Fatalf("after %d failures, chance %v: to wait %v, want %v", i+1, row.chance, wait, want)
				}
				time.Sleep(want - 1)
				wantWait(t, s)
				wantRequests(t, p, i+1)
				time.Sleep(time.Nanosecond)
			}
		})
	}
}

func TestStoreIsAskedAgainWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: vault.ErrLocked}
		s := p.sessions(t)
		for i := range 12 {
			s.Token(t.Context(), invoices, session.Want{})
			wantRequests(t, p, i+1)
			if wait := wantWait(t, s); wait > 5*time.Second {
				t.Fatalf("after %d failures of the store: to wait %v", i+1, wait)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

func TestDiscoveryThatAsksForTimeGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: &identity.ResolveError{Kind: identity.Unavailable, RetryAfter: 90 * time.Second}}
		s := p.sessions(t)
		s.Token(t.Context(), invoices, session.Want{})
		if wait := wantWait(t, s); wait != 90*time.Second {
			t.Errorf("to wait %v", wait)
		}
	})
}

func TestWithoutATokenCallersDoNotWaitForTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: errDown, latency: time.Second}
		s := p.sessions(t)
		if _, _, err := s.Token(t.Context(), invoices, session.Want{}); !errors.Is(err, errDown) {
			t.Fatalf("got %v", err)
		} else if _, waits := errors.AsType[*session.WaitError](err); waits {
			t.Errorf("who waited for the attempt got %v", err)
		}
		if took := takes(func() { wantWait(t, s) }); took != 0 {
			t.Errorf("waited %v", took)
		}
		_, _, err := s.Token(t.Context(), invoices, session.Want{})
		if !errors.Is(err, errDown) || err.Error() != "not tried again for 1 s: "+errDown.Error() {
			t.Errorf("error %v", err)
		}
		wantRequests(t, p, 1)
	})
}

func TestNobodyAsksWithoutACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: errDown}
		s := p.sessions(t)
		s.Token(t.Context(), invoices, session.Want{})
		time.Sleep(24 * time.Hour)
		wantRequests(t, p, 1)
	})
}

func TestBackoffStartsAnewAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: 5 * time.Second, err: errDown}
		s := p.sessions(t)
		for range 5 {
			s.Token(t.Context(), invoices, session.Want{})
			time.Sleep(time.Minute)
		}
		p.fail(nil)
		get(t, s, invoices, session.Want{})
		p.fail(errDown)
		time.Sleep(time.Minute)
		s.Token(t.Context(), invoices, session.Want{})
		if wait := wantWait(t, s); wait != time.Second {
			t.Errorf("to wait %v", wait)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for said, want := range map[time.Duration]time.Duration{
		7 * time.Minute:  7 * time.Minute,
		10 * time.Hour:   time.Hour,
		time.Millisecond: time.Second,
		-time.Hour:       time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{err: &identity.Error{Kind: identity.Unavailable, Status: 429, RetryAfter: said}}
			s := p.sessions(t)
			s.Token(t.Context(), invoices, session.Want{})
			if wait := wantWait(t, s); wait != want {
				t.Errorf("Identity said %v: to wait %v, want %v", said, wait, want)
			}
		})
	}
}

func TestUnhealingRefusalIsRemembered(t *testing.T) {
	for _, code := range []string{"invalid_scope", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_target"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{lifetime: time.Hour, err: refusal(code)}
				s := p.sessions(t)
				for range 48 {
					_, _, err := s.Token(t.Context(), invoices, session.Want{})
					if _, waits := errors.AsType[*session.WaitError](err); waits || !errors.Is(err, p.err) {
						t.Fatalf("got %v", err)
					}
					time.Sleep(time.Hour)
				}
				wantRequests(t, p, 1)
				p.fail(nil)
				s.Forget("invoices")
				wantToken(t, s, "token-2")
			})
		})
	}
}

func TestUnhealingRefusalLeavesAValidTokenInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.fail(refusal("invalid_scope"))
		for range 60 {
			wantToken(t, s, "token-1")
			time.Sleep(time.Minute)
		}
		if _, _, err := s.Token(t.Context(), invoices, session.Want{}); !errors.Is(err, p.err) {
			t.Errorf("got %v", err)
		}
		wantRequests(t, p, 2)
	})
}

func TestWrongSecretIsTriedOnceAMinuteWhileCallersAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: refusal("invalid_client")}
		s := p.sessionsWith(t, 0, 0.999)
		for range 600 {
			if _, _, err := s.Token(t.Context(), invoices, session.Want{}); !errors.Is(err, p.err) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		wantRequests(t, p, 10)
		time.Sleep(time.Hour)
		wantRequests(t, p, 10)
	})
}

func TestWrongSecretWithAValidTokenIsTriedOnlyWhileCallersAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		wantToken(t, s, "token-1")
		p.fail(refusal("invalid_client"))
		time.Sleep(50 * time.Minute)
		wantRequests(t, p, 2)
		for range 180 {
			wantToken(t, s, "token-1")
			time.Sleep(time.Second)
		}
		if n := p.requests() - 2; n < 2 || n > 4 {
			t.Errorf("Identity was asked %d times in 3 minutes", n)
		}
		p.fail(nil)
		get(t, s, invoices, session.Want{})
		time.Sleep(2 * time.Minute)
		if got, _ := get(t, s, invoices, session.Want{}); got == "token-1" {
			t.Error("the right secret was not tried")
		}
	})
}

func TestUnusableGrantIsAnError(t *testing.T) {
	now := time.Now
	for what, g := range map[string]identity.Grant{
		"expired":         {Access: vault.NewSecret("canary"), ExpiresAt: now().Add(-time.Hour)},
		"expiring now":    {Access: vault.NewSecret("canary"), ExpiresAt: now()},
		"without an end":  {Access: vault.NewSecret("canary")},
		"without a token": {ExpiresAt: now().Add(time.Hour)},
	} {
		s := session.New(session.Options{Grant: func(context.Context, session.Key) (identity.Grant, error) { return g, nil }})
		_, _, err := s.Token(t.Context(), invoices, session.Want{})
		if said, ok := errors.AsType[*identity.Error](err); !ok || said.Kind != identity.Broken {
			t.Errorf("%s: %v", what, err)
		}
		if s.Close(); s.Look("invoices").ExpiresAt != (time.Time{}) {
			t.Errorf("%s: published", what)
		}
	}
}
