package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
)

func TestRenewedInTheBackgroundWhileInUse(t *testing.T) {
	for _, row := range []struct{ lifetime, after time.Duration }{
		{24 * time.Hour, 23 * time.Hour},
		{90 * time.Minute, 30 * time.Minute},
		{89 * time.Minute, 74 * time.Minute},
		{time.Hour, 45 * time.Minute},
		{21 * time.Minute, 6 * time.Minute},
		{20 * time.Minute, 15 * time.Minute},
		{10 * time.Minute, 5 * time.Minute},
		{4 * time.Minute, 2 * time.Minute},
		{time.Minute, 30 * time.Second},
		{10 * time.Second, 5 * time.Second},
	} {
		t.Run(row.lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{lifetime: row.lifetime}
				s := p.sessions(t)
				wantToken(t, s, "token-1")
				wantToken(t, s, "token-1")
				time.Sleep(row.after - time.Nanosecond)
				synctest.Wait()
				wantRequests(t, p, 1)
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				wantRequests(t, p, 2)
				wantToken(t, s, "token-2")
			})
		})
	}
}

func TestBriefTokenIsRenewedOnlyWhenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: 9 * time.Second}
		s := p.sessions(t)
		for range 9 {
			wantToken(t, s, "token-1")
			time.Sleep(time.Second)
		}
		wantToken(t, s, "token-2")
	})
}

func TestUnusedTokenIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		time.Sleep(10 * time.Hour)
		wantRequests(t, p, 1)
		wantToken(t, s, "token-2")
	})
}

func TestUseIsCountedAnewForEachToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		wantToken(t, s, "token-1")
		time.Sleep(10 * time.Hour)
		wantRequests(t, p, 2)
	})
}

func TestFirstUseWithinTheWindowRenewsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		time.Sleep(50 * time.Minute)
		wantToken(t, s, "token-1")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantRequests(t, p, 2)
	})
}

func TestLookingIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		for range 120 {
			s.Look("invoices")
			time.Sleep(time.Minute)
		}
		wantRequests(t, p, 1)
	})
}

func TestFleetSpreadsItsRenewals(t *testing.T) {
	renewal := func(t *testing.T, slot, chance float64) (after time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{lifetime: time.Hour}
			s := p.sessionsWith(t, slot, chance)
			wantToken(t, s, "token-1")
			after = time.Until(s.Look("invoices").RenewsAt)
		})
		return after
	}
	opens, half := 45*time.Minute, 52*time.Minute
	before := opens - time.Second
	for _, slot := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999} {
		at := renewal(t, slot, 0)
		if at-before < time.Second || at < opens || at > half {
			t.Errorf("slot %v renews after %v, the one before it after %v", slot, at, before)
		}
		before = at
		if later := renewal(t, slot, 0.999); later-at < 30*time.Second || later > half {
			t.Errorf("slot %v renews after %v at the latest, %v at the soonest", slot, later, at)
		}
	}
}

func TestCallerInTheLastMinuteWaitsForTheRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.slow(2 * time.Second)
		time.Sleep(59*time.Minute - time.Nanosecond)
		wantToken(t, s, "token-1")
		time.Sleep(time.Nanosecond)
		if took := takes(func() { wantToken(t, s, "token-2") }); took > 2*time.Second || took == 0 {
			t.Errorf("waited %v", took)
		}
	})
}

func TestLastMinuteServedWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.slow(time.Second)
		p.fail(errDown)
		time.Sleep(59 * time.Minute)
		if took := takes(func() { wantToken(t, s, "token-1") }); took != time.Second {
			t.Errorf("waited %v for the attempt", took)
		}
		if took := takes(func() { wantToken(t, s, "token-1") }); took != 0 {
			t.Errorf("waited %v though Identity may not be asked", took)
		}
		wantRequests(t, p, 2)
	})
}

func TestLastMinuteServedToACallerWhoCannotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.slow(50 * time.Second)
		time.Sleep(59 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, met, err := s.Token(ctx, invoices, session.Want{}); err != nil || !met || got.Access().Reveal() != "token-1" {
			t.Errorf("got %v, %v, %v", got, met, err)
		}
	})
}

func TestServedWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		p.fail(errDown)
		for range 3599 {
			if took := takes(func() { wantToken(t, s, "token-1") }); took != 0 {
				t.Fatalf("waited %v", took)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if wait := wantWait(t, s); wait <= 0 || wait > 5*time.Minute {
			t.Errorf("to wait %v", wait)
		}
		if n := p.requests(); n < 5 || n > 15 {
			t.Errorf("Identity was asked %d times", n)
		}
	})
}

func TestBackgroundRenewalRetriesByTheSameBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		wantToken(t, s, "token-1")
		wantToken(t, s, "token-1")
		p.fail(errDown)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		want := 45 * time.Minute
		for i, wait := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300} {
			want += wait * time.Second
			if i+1 >= len(p.asked) {
				t.Fatalf("only %d attempts", len(p.asked))
			}
			if at := p.asked[i+1].Sub(p.asked[0]); at != want {
				t.Errorf("attempt %d after %v, want %v", i+1, at, want)
			}
		}
	})
}
