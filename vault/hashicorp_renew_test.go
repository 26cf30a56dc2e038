package vault

import (
	"net/http"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

// robots is a store at kv/robots with the entry "invoices", whose logins have
// Vault's own options.
func robots(t *testing.T, s *vaulttest.HashiCorpServer, options map[string]any) place {
	t.Helper()
	s.Write(t, "kv/robots/invoices", map[string]any{"invoices": canary})
	p := storeAt(t, s, "kv/robots", "readers", options)
	p.config.Engine = kv1
	return p
}

// served asks the server for the entry and takes no refusal.
func served(t *testing.T, st Store) {
	t.Helper()
	st.Forget("invoices")
	sameEntry(t, "invoices", get(t, st, "invoices"), account("", canary))
}

func logins(t *testing.T, s *vaulttest.HashiCorpServer) int {
	return s.Requests(t, "PUT /v1/auth/approle/login")
}

func renewals(t *testing.T, s *vaulttest.HashiCorpServer) int {
	return s.Requests(t, "PUT /v1/auth/token/renew-self")
}

// TestHashiCorpLoginIsRenewed each time two thirds of its life are over, so one
// login serves for longer than it lives. A machine that is late by the last third
// fails this.
func TestHashiCorpLoginIsRenewed(t *testing.T) {
	for _, method := range []string{"approle", "certificate"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := corp(t)
			p := robots(t, s, map[string]any{"token_ttl": "3s"})
			if method == "certificate" { // which has to be shown again
				certificate, key := s.CertRole(t, "machine", "readers")
				s.Write(t, "auth/cert/certs/machine", map[string]any{"token_ttl": "3s"})
				p = readable(t, s, Login{Method: "certificate"}, string(certificate)+string(key))
			}
			st := p.open(t)
			served(t, st)
			waitFor(t, "renewals", func() bool { return renewals(t, s) >= 2 })
			served(t, st)
			if n := s.Requests(t, "/login"); n != 1 {
				t.Errorf("logged in %d times", n)
			}
		})
	}
}

// TestHashiCorpRenewalIsTriedAgain before the login ends.
func TestHashiCorpRenewalIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := corp(t)
	st := robots(t, s, map[string]any{"token_ttl": "6s"}).open(t)
	served(t, st)
	s.Fake(t, "auth/token/renew-self", http.StatusInternalServerError, `{"errors":[]}`)
	waitFor(t, "a renewal that fails", func() bool { return renewals(t, s) == 1 })
	s.Mend(t)
	waitFor(t, "one that does not", func() bool { return renewals(t, s) == 2 })
	served(t, st)
	if n := logins(t, s); n != 1 {
		t.Errorf("logged in %d times", n)
	}
}

// TestHashiCorpLoginEndsUnnoticed: no caller sees the end of one that cannot be
// renewed further, or at all.
func TestHashiCorpLoginEndsUnnoticed(t *testing.T) {
	for what, options := range map[string]map[string]any{
		"the longest life":   {"token_ttl": "1s", "token_max_ttl": "2s"},
		"a batch token":      {"token_ttl": "1s", "token_type": "batch"},
		"a few uses":         {"token_num_uses": 4},
		"one use":            {"token_num_uses": 1},
		"renewals use it up": {"token_num_uses": 3, "token_ttl": "2s"},
		"no default policy":  {"token_ttl": "1s", "token_no_default_policy": true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := corp(t)
			st := robots(t, s, options).open(t)
			waitFor(t, "three logins", func() bool {
				served(t, st)
				return logins(t, s) >= 3
			})
			if err := st.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHashiCorpSleepingMachine: after a sleep the wall clock alone tells that
// the login is over.
func TestHashiCorpSleepingMachine(t *testing.T) {
	s := corp(t)
	p := robots(t, s, map[string]any{"token_ttl": "1h"})
	var slept time.Duration
	p.options.Now = func() time.Time { return time.Now().Add(slept) }
	st := p.open(t)
	served(t, st)
	slept = 59 * time.Minute
	served(t, st)
	if n := logins(t, s); n != 1 {
		t.Errorf("logged in %d times before the end", n)
	}
	slept = time.Hour
	served(t, st)
	if n := logins(t, s); n != 2 {
		t.Errorf("logged in %d times in all", n)
	}
}

// TestHashiCorpLostLoginHeals: whatever is asked next logs in once and goes on.
func TestHashiCorpLostLoginHeals(t *testing.T) {
	s := corp(t)
	p := robots(t, s, nil)
	s.AppRole(t, "robots", "writers", nil)
	p.config.Write = true
	st := p.open(t)
	for what, do := range map[string]func() error{
		"Get":    func() error { st.Forget("invoices"); _, err := st.Get(t.Context(), "invoices"); return err },
		"Put":    func() error { return st.Put(t.Context(), "x", account("", canary)) },
		"Delete": func() error { return st.Delete(t.Context(), "x") },
		"Check":  func() error { return st.Check(t.Context()) },
	} {
		served(t, st)
		s.Forget(t)
		s.Write(t, "sys/leases/revoke-prefix/auth/approle/login", nil)
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := logins(t, s); n != 1 {
			t.Errorf("%s logs in %d times", what, n)
		}
	}
}

// TestHashiCorpDenialIsNoLostLogin: what the policy refuses is asked once, and
// the login stays.
func TestHashiCorpDenialIsNoLostLogin(t *testing.T) {
	s := corp(t)
	p := robots(t, s, nil)
	p.config.Write = true
	st := p.open(t)
	served(t, st)
	s.Forget(t)
	wantError(t, st.Put(t.Context(), "invoices", account("", canary)), ErrDenied, `store invoices`, `"create" and "update" on kv/robots/invoices`)
	wantError(t, st.Delete(t.Context(), "invoices"), ErrDenied, `delete invoices`, `"delete" on kv/robots/invoices`)
	p.config.URL = "hashicorp://" + s.Address + "/kv/others"
	_, err := p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrDenied, "read invoices", `"read" on kv/others/invoices`, "hashicorp://"+s.Address+"/kv/others")
	if n := s.Requests(t, "PUT /v1/kv/robots/invoices") + s.Requests(t, "DELETE /v1/kv/robots/invoices") + s.Requests(t, "GET /v1/kv/others/invoices"); n != 3 {
		t.Errorf("asked %d times", n)
	}
	if n := logins(t, s); n != 1 { // the second store's
		t.Errorf("logged in %d times", n)
	}
}

// TestHashiCorpDenialWithoutDefaultPolicy: there the server does not tell whether
// the login holds, so each denial costs another one.
func TestHashiCorpDenialWithoutDefaultPolicy(t *testing.T) {
	s := corp(t)
	p := robots(t, s, map[string]any{"token_no_default_policy": true})
	p.config.URL = "hashicorp://" + s.Address + "/kv/others"
	st := p.open(t)
	for n := range 3 {
		_, err := st.Get(t.Context(), "invoices")
		wantError(t, err, ErrDenied, `"read" on kv/others/invoices`)
		if made := logins(t, s); made != n+1 {
			t.Errorf("logged in %d times for %d denials", made, n+1)
		}
	}
}

// TestHashiCorpGivenTokenIsRenewedAndLeft: a token that was given stays valid
// after Close.
func TestHashiCorpGivenTokenIsRenewedAndLeft(t *testing.T) {
	t.Parallel()
	s := corp(t)
	token := s.Token(t, map[string]any{"policies": "readers", "period": "3s"})
	st, err := Open(readable(t, s, Login{Method: "token"}, token).config, given(s, token))
	if err != nil {
		t.Fatal(err)
	}
	served(t, st)
	waitFor(t, "renewals", func() bool { return renewals(t, s) >= 2 })
	served(t, st)
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if err := readable(t, s, Login{Method: "token"}, token).open(t).Check(t.Context()); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestHashiCorpGivenTokenThatEndedIsTold(t *testing.T) {
	t.Parallel()
	s := corp(t)
	st := readable(t, s, Login{Method: "token"}, s.Token(t, map[string]any{"policies": "readers", "ttl": "1s", "renewable": false})).open(t)
	served(t, st)
	var err error
	waitFor(t, "its end", func() bool {
		st.Forget("invoices")
		_, err = st.Get(t.Context(), "invoices")
		return err != nil
	})
	wantError(t, err, ErrLogin, "give a new token", "secret set store/NAME")
}

// TestHashiCorpCloseDoesNotWait: neither for a renewal that is under way nor,
// longer than two seconds, for the end of the login.
func TestHashiCorpCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	s := corp(t)
	p := robots(t, s, map[string]any{"token_ttl": "1s"})
	st, err := Open(p.config, p.options)
	if err != nil {
		t.Fatal(err)
	}
	served(t, st)
	s.Hold(t, "auth/token")
	waitFor(t, "a renewal", func() bool { return renewals(t, s) == 1 })
	began := time.Now()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil { // and a second one is none
		t.Error(err)
	}
	if took := time.Since(began); took > farewell+2*time.Second {
		t.Errorf("Close took %s", took)
	}
	if n := s.Requests(t, "PUT /v1/auth/token/revoke-self"); n != 1 {
		t.Errorf("the login was ended %d times", n)
	}
}
