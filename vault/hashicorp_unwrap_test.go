package vault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keytender/vault/vaulttest"
)

func TestHashiCorpUnwraps(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv/robots", "readers", nil)
	p.config.Login.Wrapped = true
	enroll := func(handed string) (Secret, error) {
		t.Helper()
		return Enroll(t.Context(), p.config, p.options, NewSecret(handed))
	}
	wrapping := s.WrappedSecretID(t, "robots", time.Minute)
	secretID, err := enroll(wrapping + "\n")
	if err != nil || secretID.IsZero() || secretID.Reveal() == wrapping {
		t.Fatalf("Enroll: %v", err)
	}
	s.Write(t, "kv/robots/invoices", map[string]any{"invoices": canary})
	p.options = given(s, secretID.Reveal())
	sameEntry(t, "invoices", get(t, p.open(t), "invoices"), account("", canary))

	expired := s.WrappedSecretID(t, "robots", time.Second)
	waitFor(t, "the end of a wrapping", func() bool { return !wraps(t, s, expired) })
	for what, token := range map[string]string{"used": wrapping, "expired": expired, "unknown": "hvs." + canary} {
		kept, err := enroll(token)
		t.Log(what, err)
		wantError(t, err, ErrLogin, "unwrap", "expired or was used before", "somebody else may have taken the secret id", "have the secret id destroyed")
		if !kept.IsZero() || strings.Contains(err.Error(), token) {
			t.Errorf("%s: kept, or shown: %v", what, err)
		}
	}
	_, err = enroll("no token\n" + canary)
	wantError(t, err, ErrLogin, "no wrapping token")
}

// TestHashiCorpLeavesForeignWrappingsAlone: what another path wrapped may be
// somebody's in the place of the right one, and is not taken out.
func TestHashiCorpLeavesForeignWrappingsAlone(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv/robots", "readers", nil)
	p.config.Login.Wrapped = true
	secretID := s.SecretID(t, "robots")
	s.Write(t, "sys/auth/other", map[string]any{"type": "approle"})
	s.Write(t, "auth/other/role/robots", map[string]any{"token_policies": "readers"})
	for what, path := range map[string]string{
		"another mount's": "auth/other/role/robots/secret-id",
		"anybody's":       "sys/wrapping/wrap",
		"a login's":       "auth/approle/login",
	} {
		c := asRoot(t, s)
		c.SetWrappingLookupFunc(func(string, string) string { return "1m" })
		answer, err := c.Logical().Write(path, map[string]any{"secret_id": secretID, "role_id": p.config.Login.RoleID})
		if err != nil {
			t.Fatal(err)
		}
		token := answer.WrapInfo.Token
		kept, err := Enroll(t.Context(), p.config, p.options, NewSecret(token))
		t.Log(what, err)
		wantError(t, err, ErrLogin, "does not wrap what auth/approle/role/…/secret-id answered", "in the place of the right one")
		if !kept.IsZero() || !wraps(t, s, token) {
			t.Errorf("%s was taken out", what)
		}
	}
}

// TestHashiCorpSecretIDForOneUseIsRefused: the agent would be out at its next
// start.
func TestHashiCorpSecretIDForOneUseIsRefused(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv/robots", "readers", map[string]any{"secret_id_num_uses": 1})
	p.config.Login.Wrapped = true
	kept, err := Enroll(t.Context(), p.config, p.options, NewSecret(s.WrappedSecretID(t, "robots", time.Minute)))
	wantError(t, err, ErrLogin, "may be used once", "secret_id_num_uses 0")
	if !kept.IsZero() {
		t.Error("it is kept")
	}
}

// TestHashiCorpUnwrappedIsKeptWhenTheLoginFails: it cannot be had again.
func TestHashiCorpUnwrappedIsKeptWhenTheLoginFails(t *testing.T) {
	s := corp(t)
	p := storeAt(t, s, "kv/robots", "readers", nil)
	p.config.Login.Wrapped = true
	s.Fake(t, "auth/approle/login", http.StatusInternalServerError, `{"errors":["`+canary+`"]}`)
	kept, err := Enroll(t.Context(), p.config, p.options, NewSecret(s.WrappedSecretID(t, "robots", time.Minute)))
	wantError(t, err, ErrUnavailable, "an error of its own (500)")
	if kept.IsZero() {
		t.Fatal("the secret id is lost")
	}
	s.Mend(t)
	p.options = given(s, kept.Reveal())
	if err := p.open(t).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// wraps tells whether a token still wraps something.
func wraps(t *testing.T, s *vaulttest.HashiCorpServer, token string) bool {
	t.Helper()
	about, err := asRoot(t, s).Logical().Write("sys/wrapping/lookup", map[string]any{"token": token})
	if status(err) == 0 && err != nil {
		t.Fatal(err)
	}
	return about != nil
}
