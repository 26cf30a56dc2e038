package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/identity"
	"keytender/agent/internal/session"
)

func TestManyCallersOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: time.Second}
		s := p.sessions(t)
		var all sync.WaitGroup
		tokens := make([]*session.Token, callers)
		for i := range tokens {
			all.Go(func() { tokens[i], _, _ = s.Token(t.Context(), invoices, session.Want{}) })
		}
		all.Wait()
		wantRequests(t, p, 1)
		for i, token := range tokens {
			if token == nil || token != tokens[0] {
				t.Fatalf("caller %d got %v, the first %v", i, token, tokens[0])
			}
		}
	})
}

func TestCallerGoneOthersStillServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 10 * time.Second}
		s := p.sessions(t)
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, _, err := s.Token(ctx, invoices, session.Want{}); first <- err }()
		synctest.Wait()
		go func() { _, _, err := s.Token(t.Context(), invoices, session.Want{}); second <- err }()
		synctest.Wait()

		if took := takes(func() {
			leave()
			if err := <-first; !errors.Is(err, context.Canceled) {
				t.Errorf("the first got %v", err)
			}
		}); took != 0 {
			t.Errorf("the first could leave only after %v", took)
		}
		if err := <-second; err != nil {
			t.Errorf("the second got %v", err)
		}
		wantRequests(t, p, 1)
	})
}

func TestLastCallerGoneTokenKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 10 * time.Second}
		s := p.sessions(t)
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, _, err := s.Token(ctx, invoices, session.Want{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(10 * time.Second)
		wantToken(t, s, "token-1")
		wantRequests(t, p, 1)
	})
}

func TestFlightHasItsOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 24 * time.Hour}
		s := p.sessions(t)
		var err error
		took := takes(func() { _, _, err = s.Token(t.Context(), invoices, session.Want{}) })
		if !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestCloseCancelsWhatIsOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: 30 * time.Second}
		s := p.sessions(t)
		got := make(chan error, 1)
		go func() { _, _, err := s.Token(t.Context(), invoices, session.Want{}); got <- err }()
		synctest.Wait()
		if took := takes(s.Close); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if err := <-got; !errors.Is(err, session.ErrClosed) {
			t.Errorf("who waited got %v", err)
		}
		if _, _, err := s.Token(t.Context(), invoices, session.Want{}); !errors.Is(err, session.ErrClosed) {
			t.Errorf("who came later got %v", err)
		}
		s.Close()
	})
}

func TestCloseWaitsForAGrantThatMustNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := session.New(session.Options{Grant: func(context.Context, session.Key) (identity.Grant, error) {
			time.Sleep(20 * time.Second)
			ended = true
			return identity.Grant{}, errDown
		}})
		go s.Token(t.Context(), invoices, session.Want{})
		synctest.Wait()
		if took := takes(s.Close); took != 20*time.Second || !ended {
			t.Errorf("closed after %v, ended %v", took, ended)
		}
	})
}

func TestDifferentKeysDoNotShareATokenOrWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, latency: time.Second}
		s := p.sessions(t)
		var all sync.WaitGroup
		keys := []session.Key{{}, {Profile: "a"}, {Subject: "a"}, {Scopes: "a"}, {Audience: "a"}}
		took := takes(func() {
			for _, k := range keys {
				all.Go(func() { get(t, s, k, session.Want{}) })
			}
			all.Wait()
		})
		wantRequests(t, p, len(keys))
		if took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestScopesInAnyOrderAreOneSet(t *testing.T) {
	for _, scopes := range [][]string{{"a", "b"}, {"b", "a"}, {"b", "a", "b", "a"}} {
		if got := session.Canonical(scopes); got != "a b" {
			t.Errorf("%q: %q", scopes, got)
		}
	}
	if got := session.Canonical(nil); got != "" || len(session.Split(got)) != 0 {
		t.Errorf("none: %q, split %q", got, session.Split(got))
	}
	if given := []string{"b", "a"}; session.Canonical(given) == "" || given[0] != "b" {
		t.Error("the caller's slice was sorted")
	}
}
