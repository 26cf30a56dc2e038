package vaulttest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"time"

	"keytender/installer/testbed"
)

// Policy makes or replaces a policy; rules are in Vault's own language.
func (s *HashiCorpServer) Policy(t testbed.Test, name, rules string) {
	t.Helper()
	s.Write(t, "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// Token makes a token with Vault's own options for it, as in {"policies": …,
// "ttl": "1s", "renewable": false, "num_uses": 1}. It lives 32 days by default.
func (s *HashiCorpServer) Token(t testbed.Test, options map[string]any) string {
	t.Helper()
	var made struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	s.API(t, http.MethodPost, "auth/token/create", options, &made)
	return made.Auth.ClientToken
}

// Revoke ends a token.
func (s *HashiCorpServer) Revoke(t testbed.Test, token string) {
	t.Helper()
	s.Write(t, "auth/token/revoke", map[string]any{"token": token})
}

// AppRole makes or changes a role for the AppRole login, and a secret id for it.
// Policies are separated by commas; options are Vault's own, such as
// {"token_ttl": "2s", "secret_id_num_uses": 1}.
func (s *HashiCorpServer) AppRole(t testbed.Test, name, policies string, options map[string]any) (roleID, secretID string) {
	t.Helper()
	role := map[string]any{"token_policies": policies}
	maps.Copy(role, options)
	s.Write(t, "auth/approle/role/"+name, role)
	var id struct {
		Data struct {
			RoleID string `json:"role_id"`
		}
	}
	s.API(t, http.MethodGet, "auth/approle/role/"+name+"/role-id", nil, &id)
	return id.Data.RoleID, s.SecretID(t, name)
}

// SecretID makes one more secret id for an AppRole.
func (s *HashiCorpServer) SecretID(t testbed.Test, role string) string {
	t.Helper()
	var made struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	s.API(t, http.MethodPost, "auth/approle/role/"+role+"/secret-id", nil, &made)
	return made.Data.SecretID
}

// WrappedSecretID makes a secret id for an AppRole and returns the token for which
// sys/wrapping/unwrap gives it once, within ttl: whole seconds.
func (s *HashiCorpServer) WrappedSecretID(t testbed.Test, role string, ttl time.Duration) string {
	t.Helper()
	var made struct {
		WrapInfo struct{ Token string } `json:"wrap_info"`
	}
	s.api(t, map[string]any{
		"method": http.MethodPost, "path": "auth/approle/role/" + role + "/secret-id", "wrapTTL": ttl.String(),
	}, &made)
	return made.WrapInfo.Token
}

// UserPass makes a user for the userpass login.
func (s *HashiCorpServer) UserPass(t testbed.Test, user, password, policies string) {
	t.Helper()
	s.Write(t, "auth/userpass/users/"+user, map[string]any{"password": password, "token_policies": policies})
}

// LDAP makes a user for the ldap login, whom a fake directory knows.
func (s *HashiCorpServer) LDAP(t testbed.Test, user, password, policies string) {
	t.Helper()
	s.process.Order(t, "person", map[string]any{"user": user, "password": password}, nil)
	s.Write(t, "auth/ldap/users/"+user, map[string]any{"policies": policies})
}

// CertRole makes a role for the cert login, and a client certificate with its key,
// PEM, which that role alone admits.
func (s *HashiCorpServer) CertRole(t testbed.Test, name, policies string) (certificate, key []byte) {
	t.Helper()
	s.Write(t, "auth/cert/certs/"+name, map[string]any{
		"certificate": string(s.issuer.text), "allowed_common_names": name, "token_policies": policies,
	})
	return s.issuer.both(t, name)
}

// JWTRole makes a role for the jwt login, and a JWT which that role alone admits,
// for an hour.
func (s *HashiCorpServer) JWTRole(t testbed.Test, name, policies string) string {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(s.issuer.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))})
	s.Write(t, "auth/jwt/role/"+name, map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_subject": name, "bound_audiences": "vault", "token_policies": policies,
	})
	return sign(t, s.issuer.key, map[string]any{
		"sub": name, "aud": "vault", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
}

// sign makes a JWT (RFC 7519) with the algorithm ES256 (RFC 7518, section 3.4).
func sign(t testbed.Test, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	base64url := base64.RawURLEncoding.EncodeToString
	signed := base64url([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64url(body)
	hash := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return signed + "." + base64url(signature)
}
