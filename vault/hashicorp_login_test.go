package vault

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"keytender/vault/egress"
	"keytender/vault/vaulttest"
)

// readable is a store at kv/robots, whose entry "invoices" is the canary.
func readable(t *testing.T, s *vaulttest.HashiCorpServer, l Login, credential string) place {
	t.Helper()
	s.Write(t, "kv/robots/invoices", map[string]any{"invoices": canary})
	return place{
		config:  Config{URL: "hashicorp://" + s.Address + "/kv/robots", CA: []string{s.CAFile}, Login: l},
		options: given(s, credential),
	}
}

// asRoot is HashiCorp's own client, for what the test server has no method for.
func asRoot(t *testing.T, s *vaulttest.HashiCorpServer) *api.Client {
	t.Helper()
	way, err := egress.New(egress.Options{CAFiles: []string{s.CAFile}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(&api.Config{Address: "https://" + s.Address, HttpClient: way})
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(s.Token(t, map[string]any{"policies": "root"}))
	return c
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHashiCorpLogins: each gets in with the right credential, also with the
// white space that pasting adds, and a login of the agent's own ends at Close.
func TestHashiCorpLogins(t *testing.T) {
	s := corp(t)
	roleID, secretID := s.AppRole(t, "robots", "readers", nil)
	s.UserPass(t, "robot1", " pass word\n", "readers")
	s.LDAP(t, "robot2", "pass", "readers")
	certificate, key := s.CertRole(t, "machine", "readers")
	jwt := s.JWTRole(t, "pipeline", "readers")
	s.Write(t, "sys/auth/team/approle", map[string]any{"type": "approle"})
	s.Write(t, "auth/team/approle/role/r", map[string]any{"token_policies": "readers", "bind_secret_id": true})
	s.Write(t, "auth/team/approle/role/r/role-id", map[string]any{"role_id": "theirs"})
	s.Write(t, "auth/team/approle/role/r/custom-secret-id", map[string]any{"secret_id": "their-secret-id"})
	for what, c := range map[string]struct {
		login      Login
		credential string
		path       string
	}{
		"approle":                         {Login{Method: "approle", RoleID: roleID}, secretID + "\n", "auth/approle/login"},
		"approle, another mount":          {Login{Method: "approle", RoleID: "theirs", Mount: "team/approle"}, "their-secret-id", "auth/team/approle/login"},
		"userpass":                        {Login{Method: "userpass", Username: "robot1"}, " pass word\n", "auth/userpass/login/robot1"},
		"ldap":                            {Login{Method: "ldap", Username: "robot2"}, "pass", "auth/ldap/login/robot2"},
		"certificate":                     {Login{Method: "certificate", Certificate: file(t, string(certificate)), Role: "machine"}, string(key), "auth/cert/login"},
		"certificate, chain with the key": {Login{Method: "certificate"}, string(certificate) + string(key), "auth/cert/login"},
		"jwt":                             {Login{Method: "jwt", Role: "pipeline", TokenFile: file(t, jwt+"\n")}, "", "auth/jwt/login"},
		"token":                           {Login{Method: "token"}, s.Token(t, map[string]any{"policies": "readers"}) + "\n", ""},
	} {
		t.Run(what, func(t *testing.T) {
			s.Forget(t)
			st, err := Open(readable(t, s, c.login, c.credential).config, given(s, c.credential))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			sameEntry(t, "invoices", get(t, st, "invoices"), account("", canary))
			if err := st.Close(); err != nil {
				t.Error(err)
			}
			logins, ends := s.Requests(t, "/login"), s.Requests(t, "auth/token/revoke-self")
			if c.path == "" && (logins != 0 || ends != 0) || c.path != "" && (s.Requests(t, c.path) != 1 || logins != 1 || ends != 1) {
				t.Errorf("%d logins, %d of them ended", logins, ends)
			}
			if c.login.Method != "jwt" {
				kept, err := Enroll(t.Context(), readable(t, s, c.login, "").config, given(s, ""), NewSecret(c.credential))
				if err != nil || kept.Reveal() != c.credential {
					t.Errorf("Enroll: %v", err)
				}
			}
		})
	}
}

// TestHashiCorpRefusedLogins: each refusal says what to do.
func TestHashiCorpRefusedLogins(t *testing.T) {
	s := corp(t)
	roleID, secretID := s.AppRole(t, "robots", "readers", nil)
	s.UserPass(t, "robot1", "rightful-9c1", "readers")
	s.LDAP(t, "robot2", "rightful-9c1", "readers")
	certificate, key := s.CertRole(t, "machine", "readers")
	_, otherKey := s.CertRole(t, "other", "readers")
	stranger, strangersKey := corp(t).CertRole(t, "machine", "readers")
	jwt := s.JWTRole(t, "pipeline", "readers")
	s.JWTRole(t, "other", "readers")
	certificates := Login{Method: "certificate", Certificate: file(t, string(certificate))}
	tokens := func(text string) Login { return Login{Method: "jwt", Role: "pipeline", TokenFile: file(t, text)} }
	for what, c := range map[string]struct {
		login      Login
		credential string
		says       []string
	}{
		"approle, wrong secret id":      {Login{Method: "approle", RoleID: roleID}, canary, []string{"auth/approle/login answered 400", "new secret id", "secret set store/NAME"}},
		"approle, wrong role id":        {Login{Method: "approle", RoleID: "x"}, secretID, []string{"check role_id and mount"}},
		"approle, no such mount":        {Login{Method: "approle", RoleID: roleID, Mount: "none"}, secretID, []string{"auth/none/login answered 403", "mount"}},
		"approle, nothing given":        {Login{Method: "approle", RoleID: roleID}, "", []string{"secret set store/NAME"}},
		"userpass, wrong password":      {Login{Method: "userpass", Username: "robot1"}, canary, []string{"check username"}},
		"userpass, wrong user":          {Login{Method: "userpass", Username: "nobody"}, canary, []string{"check username"}},
		"ldap, wrong password":          {Login{Method: "ldap", Username: "robot2"}, canary, []string{"check username"}},
		"token, unknown":                {Login{Method: "token"}, "hvs." + canary, []string{"auth/token/lookup-self answered 403", "new token"}},
		"token, no token":               {Login{Method: "token"}, "hvs. " + canary + "\u202e", []string{"no token"}},
		"certificate, of a stranger":    {Login{Method: "certificate"}, string(stranger) + string(strangersKey), []string{"trusts the certificate"}},
		"certificate, wrong role":       {Login{Method: "certificate", Certificate: certificates.Certificate, Role: "other"}, string(key), []string{"role"}},
		"certificate, another's key":    {certificates, string(otherKey), []string{"does not fit its key", "renew certificate and key together"}},
		"certificate, no key":           {certificates, canary, []string{"no private key in PEM form"}},
		"certificate, no certificate":   {Login{Method: "certificate"}, string(key), []string{"no certificate in PEM form"}},
		"certificate, nonsense":         {Login{Method: "certificate", Certificate: file(t, canary)}, string(key), []string{"no certificate in PEM form"}},
		"certificate, no such file":     {Login{Method: "certificate", Certificate: "/nonexistent/c.pem"}, string(key), []string{"/nonexistent/c.pem", "no such file"}},
		"certificate, an encrypted key": {certificates, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", []string{"locked with a passphrase"}},
		"jwt, of another":               {Login{Method: "jwt", Role: "other", TokenFile: file(t, jwt)}, "", []string{"token file is kept fresh"}},
		"jwt, nonsense":                 {tokens(canary), "", []string{"token file is kept fresh"}},
		"jwt, empty":                    {tokens("\n"), "", []string{"holds no token"}},
		"jwt, two":                      {tokens(canary + "\n" + canary), "", []string{"holds no token"}},
		"jwt, too long":                 {tokens(strings.Repeat(canary, 4000)), "", []string{"more than 64 KiB"}},
		"jwt, no such file":             {Login{Method: "jwt", TokenFile: "/nonexistent/jwt"}, "", []string{"/nonexistent/jwt", "no such file"}},
	} {
		t.Run(what, func(t *testing.T) {
			p := readable(t, s, c.login, c.credential)
			st := p.open(t)
			says := append(c.says, "hashicorp://"+s.Address, "log in: the store refused the login")
			_, err := st.Get(t.Context(), "invoices")
			t.Log(err)
			wantError(t, err, ErrLogin, says...)
			wantError(t, st.Check(t.Context()), ErrLogin, says...)
			if c.credential != "" {
				kept, err := Enroll(t.Context(), p.config, p.options, NewSecret(c.credential))
				wantError(t, err, ErrLogin, says...)
				if !kept.IsZero() {
					t.Error("Enroll keeps what was refused")
				}
			}
			for _, secret := range []string{secretID, string(key), jwt, "rightful-9c1"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v shows a secret", err)
				}
			}
		})
	}
}

func TestHashiCorpExpiredCertificate(t *testing.T) {
	s := corp(t)
	certificate, key := s.CertRole(t, "machine", "readers")
	p := readable(t, s, Login{Method: "certificate"}, string(certificate)+string(key))
	p.options.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	_, err := p.open(t).Get(t.Context(), "invoices")
	wantError(t, err, ErrLogin, "the certificate ended on ", time.Now().Add(24*time.Hour).UTC().Format("January 2006"))
}

// TestHashiCorpTokenFileIsReadAtEachLogin: another program keeps it fresh.
func TestHashiCorpTokenFileIsReadAtEachLogin(t *testing.T) {
	s := corp(t)
	path := file(t, "old")
	st := readable(t, s, Login{Method: "jwt", Role: "pipeline", TokenFile: path}, "").open(t)
	wantError(t, st.Check(t.Context()), ErrLogin)
	if err := os.WriteFile(path, []byte(s.JWTRole(t, "pipeline", "readers")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := st.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHashiCorpSecondFactorIsTold with a login that a fake answers.
func TestHashiCorpSecondFactorIsTold(t *testing.T) {
	s := corp(t)
	p := readable(t, s, Login{Method: "userpass", Username: "robot1"}, canary)
	s.Fake(t, "auth/userpass/login/robot1", http.StatusOK, `{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"1"}}}`)
	wantError(t, p.open(t).Check(t.Context()), ErrLogin, "second factor")
}

func TestHashiCorpConfigIsChecked(t *testing.T) {
	role := Login{Method: "approle", RoleID: "7f0c"}
	for what, c := range map[string]struct {
		config Config
		field  string
	}{
		"no mount":                   {Config{URL: "hashicorp://vault.corp:8200", Login: role}, "url"},
		"no mount, a slash":          {Config{URL: "hashicorp://vault.corp:8200/", Login: role}, "url"},
		"no host":                    {Config{URL: "hashicorp:///kv", Login: role}, "url"},
		"a password":                 {Config{URL: "hashicorp://x:" + canary + "@vault.corp/kv", Login: role}, "url"},
		"a query":                    {Config{URL: "hashicorp://vault.corp/kv?version=1", Login: role}, "url"},
		"dots":                       {Config{URL: "hashicorp://vault.corp/kv/a..b", Login: role}, "url"},
		"no login":                   {Config{URL: "hashicorp://vault.corp/kv"}, "login.method"},
		"unknown login":              {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "kerberos"}}, "login.method"},
		"no role id":                 {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "approle"}}, "login.role_id"},
		"no user name":               {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "ldap"}}, "login.username"},
		"a user name with a way out": {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "ldap", Username: "../x"}}, "login.username"},
		"no token file":              {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "jwt"}}, "login.token_file"},
		"a relative file":            {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "jwt", TokenFile: "jwt"}}, "login.token_file"},
		"a mount of auth/":           {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "approle", RoleID: "x", Mount: "auth/approle"}}, "login.mount"},
		"a mount with a way out":     {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "approle", RoleID: "x", Mount: "../sys"}}, "login.mount"},
		"another login's key":        {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "token", RoleID: "x"}}, "login.role_id"},
		"another store's key":        {Config{URL: "hashicorp://vault.corp/kv", Key: "credential", Login: role}, "key"},
		"wrapped token":              {Config{URL: "hashicorp://vault.corp/kv", Login: Login{Method: "token", Wrapped: true}}, "login.wrapped"},
		"unknown engine":             {Config{URL: "hashicorp://vault.corp/kv", Engine: "kv3", Login: role}, "engine"},
		"writing to ad":              {Config{URL: "hashicorp://vault.corp/ad", Engine: "ad", Write: true, Login: role}, "write"},
		"a namespace of two lines":   {Config{URL: "hashicorp://vault.corp/kv", Namespace: "a\r\nX: y", Login: role}, "namespace"},
		"one field for both":         {Config{URL: "hashicorp://vault.corp/kv", Fields: Fields{"key", "key"}, Login: role}, "fields"},
		"a long timeout":             {Config{URL: "hashicorp://vault.corp/kv", Timeout: time.Hour, Login: role}, "timeout"},
	} {
		_, err := Open(c.config, Options{})
		if bad, ok := errors.AsType[*ConfigError](err); !ok || bad.Field != c.field || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
