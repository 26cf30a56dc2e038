package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"keytender/agent/internal/session"
)

// inUse gives sessions whose token-1 was asked for again.
func inUse(t *testing.T) (*provider, *session.Sessions) {
	p, s := started(t, 0)
	wantToken(t, s, "token-1")
	return p, s
}

func TestClockJumpsForwardIntoTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := inUse(t)
		p.jump(50 * time.Minute)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantRequests(t, p, 2)
		wantToken(t, s, "token-2")
	})
}

func TestClockJumpsForwardPastTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := inUse(t)
		p.jump(365 * 24 * time.Hour)
		wantToken(t, s, "token-2")
		wantRequests(t, p, 2)
	})
}

func TestClockSetBackRenewsSoonAndServesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := inUse(t)
		p.jump(-3 * time.Hour)
		wantToken(t, s, "token-1")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		wantRequests(t, p, 2)
		wantToken(t, s, "token-2")
		time.Sleep(40 * time.Minute)
		wantRequests(t, p, 2)
	})
}

func TestClockSetBackALittleChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := inUse(t)
		p.jump(-59 * time.Second)
		time.Sleep(time.Minute)
		wantToken(t, s, "token-1")
		wantRequests(t, p, 1)
	})
}

func TestClockSetBackEndsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{lifetime: time.Hour, err: errDown}
		s := p.sessions(t)
		s.Token(t.Context(), invoices, session.Want{})
		wantWait(t, s)
		p.fail(nil)
		p.jump(-2 * time.Hour)
		wantToken(t, s, "token-2")
	})
}

func TestClockSetBackDoesNotStopForcedRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := started(t, 0)
		wantGet(t, s, rejected("token-1"), "token-2", true)
		p.jump(-2 * time.Hour)
		wantGet(t, s, rejected("token-2"), "token-3", true)
	})
}
