package vaulttest_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

type data = map[string]any

const readRobots = `
path "kv/robots/*"         { capabilities = ["read"] }
path "kv-v2/data/robots/*" { capabilities = ["read"] }
path "ad/creds/robot"      { capabilities = ["read"] }`

// start starts a vault with the policy "robots" and a client that trusts it.
func start(t *testing.T) (*vaulttest.HashiCorpServer, client) {
	t.Helper()
	s := vaulttest.HashiCorp(t)
	s.Policy(t, "robots", readRobots)
	return s, newClient(t, s)
}

func TestEnginesAnswerUnderPolicies(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/one", data{"Username": "u", "Password": "first"})
	s.Write(t, "kv-v2/data/robots/two", data{"data": data{"Password": "old"}})
	s.Write(t, "kv-v2/data/robots/two", data{"data": data{"Password": "new"}})
	s.Write(t, "kv/others/one", data{"Password": "not for robots"})
	s.Write(t, "ad/creds/robot", data{"username": "robot", "current_password": "directory's"})
	c.token = s.Token(t, data{"policies": "robots"})

	for path, want := range map[string]struct {
		keys  []string
		value string
	}{
		"kv/robots/one":                   {[]string{"data", "Password"}, "first"},
		"kv-v2/data/robots/two":           {[]string{"data", "data", "Password"}, "new"},
		"kv-v2/data/robots/two?version=1": {[]string{"data", "data", "Password"}, "old"},
		"ad/creds/robot":                  {[]string{"data", "current_password"}, "directory's"},
	} {
		if got := at(c.must(t, http.MethodGet, path, nil), want.keys...); got != want.value {
			t.Errorf("%s: %v, want %s", path, got, want.value)
		}
	}
	for path, want := range map[string]int{
		"kv/others/one":          http.StatusForbidden,
		"kv/robots/none":         http.StatusNotFound,
		"kv-v2/data/robots/none": http.StatusNotFound,
	} {
		c.want(t, want, http.MethodGet, path, nil)
	}
	c.want(t, http.StatusForbidden, http.MethodPost, "kv/robots/one", data{"Password": "mine"})
	s.Delete(t, "kv-v2/data/robots/two")
	c.want(t, http.StatusNotFound, http.MethodGet, "kv-v2/data/robots/two", nil)
}

func TestEveryLoginAdmitsTheRightOneOnly(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/one", data{"Password": "p"})
	role, secret := s.AppRole(t, "robots", "robots", data{"token_ttl": "1h"})
	s.UserPass(t, "user", "right", "robots")
	s.LDAP(t, "person", "right", "robots")
	certificate, key := s.CertRole(t, "machine", "robots")
	machine := newClient(t, s, pair(t, certificate, key))
	certificate, key = s.CertRole(t, "other", "robots")
	other := newClient(t, s, pair(t, certificate, key))
	jwt, otherJWT := s.JWTRole(t, "pipeline", "robots"), s.JWTRole(t, "other", "robots")

	for path, login := range map[string]struct {
		from      client
		right     data
		wrongFrom client
		wrong     data
	}{
		"auth/approle/login":       {c, data{"role_id": role, "secret_id": secret}, c, data{"role_id": role, "secret_id": role}},
		"auth/userpass/login/user": {c, data{"password": "right"}, c, data{"password": "wrong"}},
		"auth/ldap/login/person":   {c, data{"password": "right"}, c, data{"password": "wrong"}},
		"auth/cert/login":          {machine, data{"name": "machine"}, other, data{"name": "machine"}},
		"auth/jwt/login":           {c, data{"role": "pipeline", "jwt": jwt}, c, data{"role": "pipeline", "jwt": otherJWT}},
	} {
		t.Run(path, func(t *testing.T) {
			answer := login.from.must(t, http.MethodPost, path, login.right)
			c := c
			c.token, _ = at(answer, "auth", "client_token").(string)
			if got := at(c.must(t, http.MethodGet, "kv/robots/one", nil), "data", "Password"); got != "p" {
				t.Errorf("the secret is %v", got)
			}
			login.wrongFrom.want(t, http.StatusBadRequest, http.MethodPost, path, login.wrong)
		})
	}
}

func TestWrappedSecretIDIsGivenOnce(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	role, _ := s.AppRole(t, "robots", "robots", data{"secret_id_num_uses": 1})
	c.token = s.WrappedSecretID(t, "robots", time.Minute)
	secret := at(c.must(t, http.MethodPost, "sys/wrapping/unwrap", nil), "data", "secret_id")
	c.want(t, http.StatusBadRequest, http.MethodPost, "sys/wrapping/unwrap", nil)

	c.token = ""
	login := data{"role_id": role, "secret_id": secret}
	c.must(t, http.MethodPost, "auth/approle/login", login)
	c.want(t, http.StatusBadRequest, http.MethodPost, "auth/approle/login", login) // used up
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/one", data{"Password": "p"})

	c.token = s.Token(t, data{"policies": "robots", "ttl": "1s"})
	c.must(t, http.MethodGet, "kv/robots/one", nil)
	until(t, "a token of one second is refused", func() bool {
		status, _ := c.ask(t, http.MethodGet, "kv/robots/one", nil)
		return status == http.StatusForbidden
	})

	c.token = s.Token(t, data{"policies": "robots", "num_uses": 1})
	c.must(t, http.MethodGet, "kv/robots/one", nil)
	c.want(t, http.StatusForbidden, http.MethodGet, "kv/robots/one", nil)

	c.token = s.Token(t, data{"policies": "robots"})
	c.must(t, http.MethodGet, "kv/robots/one", nil)
	s.Revoke(t, c.token)
	c.want(t, http.StatusForbidden, http.MethodGet, "kv/robots/one", nil)
}

func TestSealedVaultAnswers503(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/one", data{"Password": "p"})
	c.token = s.Token(t, data{"policies": "robots"})
	c.must(t, http.MethodGet, "sys/health", nil)
	s.Seal(t)
	c.want(t, http.StatusServiceUnavailable, http.MethodGet, "sys/health", nil)
	c.want(t, http.StatusServiceUnavailable, http.MethodGet, "kv/robots/one", nil)
	s.Unseal(t)
	c.must(t, http.MethodGet, "kv/robots/one", nil)
}

func TestRequestsAreCountedAsTheyWereSent(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/a%20b", data{"Password": "p"}) // not counted
	c.token, c.namespace = s.Token(t, data{"policies": "robots"}), "team"
	c.must(t, http.MethodGet, "kv/robots/a%20b", nil)
	c.want(t, http.StatusNotFound, http.MethodGet, "kv/robots/none", nil)
	for part, want := range map[string]int{
		"": 2, "kv/robots/": 2, "GET /v1/kv/robots/a%20b team": 1, "kv/robots/none": 1, "POST": 0,
	} {
		if n := s.Requests(t, part); n != want {
			t.Errorf("%d requests have %q, want %d", n, part, want)
		}
	}
	s.Forget(t)
	if n := s.Requests(t, ""); n != 0 {
		t.Errorf("%d requests are not forgotten", n)
	}
}

func TestAnswersCanBeLateLostAndOdd(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.Write(t, "kv/robots/one", data{"Password": "p"})
	c.token = s.Token(t, data{"policies": "root"})

	s.Delay(t, "robots", 100*time.Millisecond)
	asked := time.Now()
	c.must(t, http.MethodGet, "kv/robots/one", nil)
	if took := time.Since(asked); took < 100*time.Millisecond {
		t.Errorf("a delayed answer came after %v", took)
	}
	c.must(t, http.MethodGet, "sys/health", nil) // another path, no delay

	s.Forget(t)
	s.Hold(t, "robots")
	answered := make(chan int, 1)
	go func() {
		status, _ := c.ask(t, http.MethodGet, "kv/robots/one", nil)
		answered <- status
	}()
	until(t, "the held request has come", func() bool { return s.Requests(t, "GET /v1/kv/robots/one") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.do(ctx, http.MethodGet, "kv/robots/one", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second held request ended with %v", err)
	}
	select {
	case status := <-answered:
		t.Fatalf("a held request was answered: %d", status)
	default:
	}
	s.Mend(t)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("what was held is answered %d", status)
	}
	if n := s.Requests(t, "robots"); n != 2 {
		t.Errorf("%d requests were counted, want 2", n)
	}

	s.Cut(t, "robots")
	if _, err := c.do(t.Context(), http.MethodPost, "kv/robots/lost", data{"Password": "done"}); err == nil {
		t.Error("a lost answer came")
	}
	s.Mend(t)
	if got := at(c.must(t, http.MethodGet, "kv/robots/lost", nil), "data", "Password"); got != "done" {
		t.Errorf("what lost its answer wrote %v", got)
	}

	s.Fake(t, "kv/robots/one", http.StatusBadGateway, "<html>a proxy's words</html>")
	c.want(t, http.StatusBadGateway, http.MethodGet, "kv/robots/one", nil)
	s.Mend(t)
	c.must(t, http.MethodGet, "kv/robots/one", nil)

	s.Stop()
	if _, err := c.do(t.Context(), http.MethodGet, "sys/health", nil); err == nil {
		t.Error("a stopped server answers")
	}
}

func TestCertificateIsOfItsOwnAuthority(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	_, stranger := start(t)
	stranger.base = "https://" + s.Address + "/v1/"
	_, err := stranger.do(t.Context(), http.MethodGet, "sys/health", nil)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("a client with another authority met %v", err)
	}
}
