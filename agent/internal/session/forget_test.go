package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
)

func TestForgetDropsTheTokensOfOneProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		other := session.Key{Profile: "other"}
		get(t, s, other, session.Want{})
		s.Forget("invoices")
		s.Forget("unknown")
		if v := s.Look("invoices"); !v.ExpiresAt.IsZero() {
			t.Errorf("there is still a token: %+v", v)
		}
		wantToken(t, s, "token-3")
		if got, _ := get(t, s, other, session.Want{}); got != "token-2" {
			t.Errorf("the other profile got %s", got)
		}
		wantRequests(t, p, 3)
	})
}

func TestForgetDropsErrorsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, err: errDown}
		s := p.sessions(t)
		s.Token(t.Context(), invoices, session.Want{})
		wantWait(t, s)
		p.fail(nil)
		s.Forget("invoices")
		if v := s.Look("invoices"); v.LastError != nil {
			t.Errorf("the error is still there: %+v", v)
		}
		wantToken(t, s, "token-2")
	})
}

func TestForgetDuringAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 10 * time.Second}
		s := p.sessions(t)
		got := make(chan error, 1)
		go func() { _, _, err := s.Token(t.Context(), invoices, session.Want{}); got <- err }()
		synctest.Wait()
		if took := takes(func() {
			s.Forget("invoices")
			if err := <-got; !errors.Is(err, session.ErrForgotten) {
				t.Errorf("who waited got %v", err)
			}
		}); took != 0 {
			t.Errorf("told only after %v", took)
		}
		time.Sleep(time.Minute)
		if v := s.Look("invoices"); !v.ExpiresAt.IsZero() || v.Working {
			t.Errorf("the flight was published: %+v", v)
		}
		wantToken(t, s, "token-2")
	})
}

func TestFlightFromBeforeForgetDoesNotReplaceALaterToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 10 * time.Second}
		s := p.sessions(t)
		go s.Token(t.Context(), invoices, session.Want{})
		synctest.Wait()
		s.Forget("invoices")
		p.slow(time.Second)
		wantToken(t, s, "token-2")
		time.Sleep(time.Minute)
		wantToken(t, s, "token-2")
		wantRequests(t, p, 2)
	})
}

func TestErrorFromBeforeForgetIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 10 * time.Second, err: refusal("invalid_scope")}
		s := p.sessions(t)
		go s.Token(t.Context(), invoices, session.Want{})
		synctest.Wait()
		s.Forget("invoices")
		p.fail(nil)
		time.Sleep(time.Minute)
		wantToken(t, s, "token-2")
	})
}

func TestRenewalForgottenServesNoOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 30*time.Minute)
		p.slow(time.Second)
		got := make(chan error, 1)
		go func() {
			_, _, err := s.Token(t.Context(), invoices, session.Want{MinValid: 40 * time.Minute})
			got <- err
		}()
		synctest.Wait()
		s.Forget("invoices")
		if err := <-got; !errors.Is(err, session.ErrForgotten) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCallerOvertakenByForgetBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		if s.Overtaken(t.Context(), invoices, func() { s.Forget("invoices") }) {
			t.Error("an entry that is gone was used")
		}
		wantRequests(t, p, 0)
	})
}

// TestHealForgetsErrorsAndKeepsTokens: another secret for the same client makes
// no token worse, and what the old secret was told does not hold for it.
func TestHealForgetsErrorsAndKeepsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.fail(refusal("invalid_client"))
		other := session.Key{Profile: "invoices", Scopes: "OR.Queues"}
		if _, _, err := s.Token(t.Context(), other, session.Want{}); err == nil {
			t.Fatal("a refused secret got a token")
		}
		p.fail(nil)
		if _, _, err := s.Token(t.Context(), other, session.Want{}); err == nil {
			t.Fatal("Identity was asked again within a minute of its refusal")
		}
		s.Heal("unknown")
		s.Heal("invoices")
		if got, _ := get(t, s, other, session.Want{}); got != "token-3" {
			t.Errorf("got %s", got)
		}
		wantToken(t, s, "token-1")
		wantRequests(t, p, 3)
	})
}
