package agent

import (
	"fmt"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/vault/vaulttest"
)

// TestProfileFromAKeyVault is the example of docs/stores/azure.md: client id and secret
// are one credential in a key vault, here a fake, as Orchestrator writes it.
func TestProfileFromAKeyVault(t *testing.T) {
	s, k := providertest.OIDCProvider(t, providertest.Options{}), vaulttest.FakeKeyVault(t)
	k.Set("invoices", fmt.Sprintf(`{"Username":%q,"Password":"old-canary-77"}`, s.ClientID))
	dir := t.TempDir()
	r := startWith(t, dir, sealedConfig(t, dir, fmt.Sprintf(`
  corp:
    url: "azure://%s"
    ca: [%s]
    write: true
    login: {method: client_secret, tenant: %s, client_id: %s, authority: %q}
profiles:
  invoices: {kind: robot, url: %q, secret: corp/invoices, client_id_from: entry}
`, k.Host, strings.Join(k.CAFiles(), ", "), k.Entra.Tenant, k.Entra.ClientID, k.Entra.Authority(), s.Orchestrator)))
	failsWith(t, r.admin.SetSecret(t.Context(), "store/corp", "wrong"), api.StoreUnavailable)
	if err := r.admin.SetSecret(t.Context(), "store/corp", k.Entra.Secret); err != nil {
		t.Fatal(err)
	}
	_, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.ProviderRefused)
	if err := r.admin.SetSecret(t.Context(), "invoices", s.Secret); err != nil {
		t.Fatal(err)
	}
	token := r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	if now := *k.Newest("invoices").Value; now != fmt.Sprintf(`{"Password":%q,"Username":%q}`, s.Secret, s.ClientID) {
		t.Error("the vault does not have the new secret beside the client id")
	}
	tokens := k.Entra.Tokens()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.holdsNo(t, append(tokens, s.Secret, "old-canary-77", token.AccessToken, k.Entra.Secret, vaulttest.ServersText))
}
