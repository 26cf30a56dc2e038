package session_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
)

// bound is how many different tokens one subject of a profile may have.
const bound = 128

func scope(n int) session.Key {
	return session.Key{Profile: "invoices", Scopes: fmt.Sprintf("scope-%d", n)}
}

func TestEndlessScopesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		for n := range bound {
			get(t, s, scope(n), session.Want{})
		}
		for n := range bound {
			if _, _, err := s.Token(t.Context(), scope(bound+n), session.Want{}); !errors.Is(err, session.ErrFull) {
				t.Fatalf("got %v", err)
			}
			get(t, s, scope(n), session.Want{})
		}
		wantRequests(t, p, bound)
		get(t, s, session.Key{Profile: "other"}, session.Want{})
		get(t, s, session.Key{Profile: "invoices", Subject: "another"}, session.Want{})
	})
}

func TestExpiredTokensMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: 10 * time.Minute}
		s := p.sessions(t)
		for n := range bound {
			get(t, s, scope(n), session.Want{})
		}
		time.Sleep(10 * time.Minute)
		for n := range bound {
			get(t, s, scope(bound+n), session.Want{})
		}
		if n := s.Entries(); n != bound {
			t.Errorf("%d entries", n)
		}
	})
}

func TestOldestRefusalMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, err: refusal("invalid_scope")}
		s := p.sessions(t)
		ask := func(n int) { s.Token(t.Context(), scope(n), session.Want{}); time.Sleep(time.Second) }
		for n := range bound + 1 {
			ask(n)
		}
		wantRequests(t, p, bound+1)
		for n := range bound {
			ask(n + 1)
		}
		wantRequests(t, p, bound+1)
		ask(0)
		wantRequests(t, p, bound+2)
	})
}

func TestWaitsToBeKeptMakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, err: errDown}
		s := p.sessions(t)
		for n := range 2 * bound {
			s.Token(t.Context(), scope(n), session.Want{})
		}
		wantRequests(t, p, bound)
		time.Sleep(time.Second)
		s.Token(t.Context(), scope(2*bound), session.Want{})
		wantRequests(t, p, bound+1)
	})
}

func TestLongIdleEntriesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour}
		s := p.sessions(t)
		get(t, s, scope(1), session.Want{})
		p.fail(errDown)
		s.Token(t.Context(), scope(2), session.Want{})
		p.fail(refusal("invalid_scope"))
		s.Token(t.Context(), scope(3), session.Want{})
		p.fail(nil)

		for _, row := range []struct {
			after   time.Duration
			entries int
		}{{59 * time.Minute, 3}, {62 * time.Minute, 2}, {119 * time.Minute, 2}, {121 * time.Minute, 1}, {240 * time.Hour, 1}} {
			time.Sleep(row.after - time.Since(p.asked[0]))
			if n := s.Entries(); n != row.entries {
				t.Errorf("after %v: %d entries, want %d", row.after, n, row.entries)
			}
		}
	})
}
