package agent

import (
	"fmt"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/vault/vaulttest"
)

// TestProfileFromACCP is the example of docs/stores/cyberark.md: client id and secret are
// one account in CyberArk, here a fake of its Central Credential Provider.
func TestProfileFromACCP(t *testing.T) {
	s, v := providertest.OIDCProvider(t, providertest.Options{}), vaulttest.FakeCCP(t)
	v.Set(vaulttest.CCPAccount{Object: "invoices", UserName: s.ClientID, Content: s.Secret})
	client, stranger := v.Certificate(t, vaulttest.Of{RSA: 2048}), v.Stranger(t)
	dir := t.TempDir()
	r := startWith(t, dir, sealedConfig(t, dir, fmt.Sprintf(`
  corp:
    url: "cyberark-ccp://%s/Keytender?safe=Robot%%20Accounts"
    ca: [%s]
    login: {method: certificate}
profiles:
  invoices: {kind: robot, url: %q, secret: corp/invoices, client_id_from: entry}
`, v.Host, v.CAFile, s.Orchestrator)))
	failsWith(t, r.admin.SetSecret(t.Context(), "store/corp", stranger.Key+stranger.Chain), api.StoreUnavailable)
	if err := r.admin.SetSecret(t.Context(), "store/corp", client.Key+client.Chain); err != nil {
		t.Fatal(err)
	}
	token := r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	failsWith(t, r.admin.SetSecret(t.Context(), "invoices", "another"), api.InvalidRequest)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.holdsNo(t, []string{s.Secret, token.AccessToken, client.Key, vaulttest.ServersText})
}

// TestProfileFromAConjur is the example of docs/stores/cyberark.md: client id and secret
// are two variables of a Conjur, here a fake.
func TestProfileFromAConjur(t *testing.T) {
	s, v := providertest.OIDCProvider(t, providertest.Options{}), vaulttest.FakeConjur(t)
	v.Set("apps/keytender/invoices/username", s.ClientID)
	v.Set("apps/keytender/invoices/password", "old-canary-77")
	dir := t.TempDir()
	r := startWith(t, dir, sealedConfig(t, dir, fmt.Sprintf(`
  corp:
    url: "conjur://%s/corp/apps/keytender"
    ca: [%s]
    write: true
    login: {method: api_key, username: host/robots}
profiles:
  invoices: {kind: robot, url: %q, secret: corp/invoices, client_id_from: entry}
`, v.Host, v.CAFile, s.Orchestrator)))
	failsWith(t, r.admin.SetSecret(t.Context(), "store/corp", "wrong"), api.StoreUnavailable)
	if err := r.admin.SetSecret(t.Context(), "store/corp", v.Key()); err != nil {
		t.Fatal(err)
	}
	_, err := r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.ProviderRefused)
	if err := r.admin.SetSecret(t.Context(), "invoices", s.Secret); err != nil {
		t.Fatal(err)
	}
	token := r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	if got := v.Value("apps/keytender/invoices/password"); got != s.Secret {
		t.Error("Conjur does not have the new secret")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.holdsNo(t, []string{s.Secret, "old-canary-77", token.AccessToken, v.Key(), vaulttest.ServersText})
}
