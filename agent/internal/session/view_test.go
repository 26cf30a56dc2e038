package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
)

func TestLookTellsHowAProfileStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := &provider{lifetime: time.Hour, latency: time.Second}
		s := p.sessions(t)
		if v := s.Look("invoices"); v != (session.View{}) {
			t.Errorf("unknown: %+v", v)
		}
		go s.Token(t.Context(), invoices, session.Want{})
		synctest.Wait()
		if v := s.Look("invoices"); !v.Working || !v.ExpiresAt.IsZero() {
			t.Errorf("on the way: %+v", v)
		}
		time.Sleep(2 * time.Second)
		issued := start.Add(time.Second)
		if v := s.Look("invoices"); v.Working || !v.ExpiresAt.Equal(issued.Add(time.Hour)) || !v.RenewsAt.Equal(issued.Add(45*time.Minute)) || v.LastError != nil {
			t.Errorf("ready: %+v", v)
		}

		p.fail(refusal("invalid_client"))
		for i := range 10 {
			s.Token(t.Context(), scope(i), session.Want{})
		}
		p.fail(errDown)
		s.Token(t.Context(), session.Key{Profile: "invoices", Scopes: "other"}, session.Want{})
		v, failed := s.Look("invoices"), start.Add(13*time.Second)
		if !errors.Is(v.LastError, errDown) || !v.LastErrorAt.Equal(failed) || !v.RetryAt.Equal(failed.Add(time.Second)) || v.ExpiresAt.IsZero() {
			t.Errorf("in trouble: %+v", v)
		}
		p.fail(refusal("invalid_scope"))
		time.Sleep(time.Minute)
		s.Token(t.Context(), session.Key{Profile: "invoices", Scopes: "other"}, session.Want{})
		if v := s.Look("invoices"); !errors.Is(v.LastError, p.err) || !v.RetryAt.IsZero() {
			t.Errorf("refused for good: %+v", v)
		}
		time.Sleep(time.Hour)
		if v := s.Look("invoices"); !v.ExpiresAt.IsZero() || !v.RenewsAt.IsZero() {
			t.Errorf("expired: %+v", v)
		}
	})
}
