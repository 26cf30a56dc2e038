package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
	"keytender/vault"
)

// started gives sessions that hold token-1, of age.
func started(t *testing.T, age time.Duration) (*provider, *session.Sessions) {
	p := &provider{lifetime: time.Hour}
	s := p.sessions(t)
	wantToken(t, s, "token-1")
	time.Sleep(age)
	return p, s
}

func wantGet(t *testing.T, s *session.Sessions, w session.Want, token string, met bool) {
	t.Helper()
	if got, gotMet := get(t, s, invoices, w); got != token || gotMet != met {
		t.Fatalf("got %s, met %v; want %s, %v", got, gotMet, token, met)
	}
}

func rejected(token string) session.Want {
	return session.Want{Rejected: session.Fingerprint(vault.NewSecret(token))}
}

func TestTokenThatLastsLongEnoughIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 30*time.Minute)
		wantGet(t, s, session.Want{MinValid: 29 * time.Minute}, "token-1", true)
		wantRequests(t, p, 1)
	})
}

func TestTokenThatLastsTooShortIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 30*time.Minute)
		for range 100 {
			wantGet(t, s, session.Want{MinValid: 40 * time.Minute}, "token-2", true)
		}
		wantRequests(t, p, 2)
	})
}

func TestManyWishesOneRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 30*time.Minute)
		p.slow(time.Second)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { wantGet(t, s, session.Want{MinValid: 31*time.Minute + time.Duration(i)}, "token-2", true) })
		}
		all.Wait()
		wantRequests(t, p, 2)
	})
}

func TestWishAboveTheLifetimeIsTriedOnceAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wish := session.Want{MinValid: 2 * time.Hour}
		for range 44 {
			wantGet(t, s, wish, "token-1", false)
			time.Sleep(time.Minute)
		}
		wantRequests(t, p, 1)
		time.Sleep(2 * time.Minute)
		wantGet(t, s, wish, "token-3", false)
		time.Sleep(40 * time.Minute)
		wantGet(t, s, wish, "token-3", false)
		wantGet(t, s, session.Want{MinValid: 3 * time.Hour}, "token-3", false)
		wantRequests(t, p, 3)
		wantGet(t, s, session.Want{MinValid: 50 * time.Minute}, "token-4", true)
	})
}

func TestWishOfACallerWhoLeftIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 10*time.Minute)
		p.slow(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if token, met, err := s.Token(ctx, invoices, session.Want{MinValid: 2 * time.Hour}); err != nil || met || token.Access().Reveal() != "token-1" {
			t.Fatalf("who left got %v, %v, %v", token, met, err)
		}
		time.Sleep(10 * time.Minute)
		wantGet(t, s, session.Want{MinValid: 2 * time.Hour}, "token-2", false)
	})
}

func TestYoungTokenIsNotRenewedForAWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 29*time.Second)
		wish := session.Want{MinValid: time.Hour - time.Second}
		wantGet(t, s, wish, "token-1", false)
		wantRequests(t, p, 1)
		time.Sleep(time.Second)
		wantGet(t, s, wish, "token-2", true)
	})
}

func TestWishIsServedWhatThereIsWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 30*time.Minute)
		p.fail(errDown)
		for range 10 {
			wantGet(t, s, session.Want{MinValid: 40 * time.Minute}, "token-1", false)
		}
		wantRequests(t, p, 2)
	})
}

func TestRejectedTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		wantGet(t, s, rejected("token-1"), "token-2", true)
		wantGet(t, s, rejected("token-1"), "token-2", true)
		wantGet(t, s, session.Want{}, "token-2", true)
		wantRequests(t, p, 2)
	})
}

func TestRejectionOfAnotherTokenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, time.Minute)
		wantGet(t, s, rejected("another"), "token-1", true)
		wantGet(t, s, session.Want{Rejected: "not a fingerprint"}, "token-1", true)
		wantRequests(t, p, 1)
	})
}

func TestForcedRenewalAtMostOnceIn30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		wantGet(t, s, rejected("token-1"), "token-2", true)
		time.Sleep(30*time.Second - 1)
		wantGet(t, s, rejected("token-2"), "token-2", true)
		wantRequests(t, p, 2)
		time.Sleep(time.Nanosecond)
		wantGet(t, s, rejected("token-2"), "token-3", true)
	})
}

func TestManyRejectionsOneRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		p.slow(time.Second)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wantGet(t, s, rejected("token-1"), "token-2", true) })
		}
		all.Wait()
		wantRequests(t, p, 2)
	})
}

func TestRejectedTokenIsNotServedWhenItsRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		p.fail(errDown)
		if token, _, err := s.Token(t.Context(), invoices, rejected("token-1")); !errors.Is(err, errDown) {
			t.Errorf("got %v, %v", token, err)
		}
		wantWait(t, s)
	})
}

func TestTokenIsKeptThoughRejectedWhileIdentityMayNotBeAsked(t *testing.T) {
	for _, why := range []error{errDown, refusal("invalid_scope")} {
		synctest.Test(t, func(t *testing.T) {
			p, s := started(t, 59*time.Minute)
			p.fail(why)
			wantToken(t, s, "token-1")
			wantGet(t, s, rejected("token-1"), "token-1", true)
			wantToken(t, s, "token-1")
			wantRequests(t, p, 2)
		})
	}
}

func TestRejectionJoinsARenewalOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		wantToken(t, s, "token-1")
		p.slow(10 * time.Second)
		time.Sleep(45*time.Minute + time.Second)
		if took := takes(func() { wantGet(t, s, rejected("token-1"), "token-2", true) }); took != 9*time.Second {
			t.Errorf("took %v", took)
		}
		wantRequests(t, p, 2)
	})
}
