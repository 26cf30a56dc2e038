package agent

import (
	"fmt"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/vault/vaulttest"
)

// TestProfileFromAHashiCorpVault is the example of docs/stores/hashicorp.md, with real
// servers at both ends: client id and secret are one entry of the vault.
func TestProfileFromAHashiCorpVault(t *testing.T) {
	s, v := providertest.OIDCProvider(t, providertest.Options{}), vaulttest.HashiCorp(t)
	v.Policy(t, "keytender", `path "kv-v2/data/robots/*" { capabilities = ["read"] }`)
	roleID, _ := v.AppRole(t, "keytender", "keytender", map[string]any{"token_ttl": "1h", "secret_id_num_uses": 0})
	v.Write(t, "kv-v2/data/robots/invoices", map[string]any{"data": map[string]any{"Username": s.ClientID, "Password": s.Secret}})
	dir := t.TempDir()
	r := startWith(t, dir, sealedConfig(t, dir, fmt.Sprintf(`
  corp:
    url: "hashicorp://%s/kv-v2/robots"
    ca: [%s]
    login: {method: approle, role_id: %s, wrapped: true}
profiles:
  invoices: {kind: robot, url: %q, secret: corp/invoices, client_id_from: entry}
`, v.Address, v.CAFile, roleID, s.Orchestrator)))

	_, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.StoreUnavailable)
	wrapping := v.WrappedSecretID(t, "keytender", time.Minute)
	if err := r.admin.SetSecret(t.Context(), "store/corp", wrapping); err != nil {
		t.Fatal(err)
	}
	token := r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	failsWith(t, r.admin.SetSecret(t.Context(), "store/corp", wrapping), api.StoreUnavailable)
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n, ended := v.Requests(t, "auth/approle/login"), v.Requests(t, "auth/token/revoke-self"); n == 0 || n != ended {
		t.Errorf("%d logins, %d of them ended", n, ended)
	}
	r = startIn(t, dir, "")
	r.holdsNo(t, []string{s.Secret, token.AccessToken, wrapping})
}
