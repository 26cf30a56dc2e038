package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/agent/orchestratortest"
	"keytender/vault"
	"keytender/vault/vaulttest"
)

// vaulted is an agent with a store "corp" in a real HashiCorp Vault, logged in
// to by AppRole.
type vaulted struct {
	*running
	vault *vaulttest.HashiCorpServer
	dir   string
}

// robotsPolicy lets the agent read and change what is below robots/ and nothing
// else.
const robotsPolicy = `
path "kv-v2/data/robots/*" { capabilities = ["create", "read", "update"] }
path "kv-v2/metadata/robots/*" { capabilities = ["delete"] }
`

// startVaulted starts it; store is added to the settings of corp, and more to
// config.yaml.
func startVaulted(t *testing.T, store, more string) vaulted {
	t.Helper()
	v := vaulttest.HashiCorp(t)
	v.Policy(t, "keytender", robotsPolicy)
	roleID, secretID := v.AppRole(t, "keytender", "keytender", map[string]any{"token_ttl": "1h"})
	dir := t.TempDir()
	r := vaulted{startIn(t, dir, fmt.Sprintf("  corp:\n    url: \"hashicorp://%s/kv-v2/robots\"\n    ca: [%s]\n    login: {method: approle, role_id: %s}\n%s%s",
		v.Address, v.CAFile, roleID, store, more)), v, dir}
	if err := r.admin.SetSecret(t.Context(), "store/corp", secretID); err != nil {
		t.Fatal(err)
	}
	return r
}

// holds puts a client id and secret where Orchestrator's own credential store
// would look for them.
func (r vaulted) holds(t *testing.T, name, clientID, secret string) {
	t.Helper()
	r.vault.Write(t, "kv-v2/data/robots/"+name, map[string]any{"data": map[string]any{"Username": clientID, "Password": secret, "Owner": "somebody else"}})
}

// content is what the vault has under a name.
func (r vaulted) content(t *testing.T, name string) (data map[string]string) {
	t.Helper()
	var answer struct {
		Data struct{ Data map[string]string }
	}
	r.vault.API(t, http.MethodGet, "kv-v2/data/robots/"+name, nil, &answer)
	return answer.Data.Data
}

func (r vaulted) state(t *testing.T) string {
	t.Helper()
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range status.Stores {
		if s.Name == "corp" {
			return s.State
		}
	}
	return ""
}

// TestSealedVaultTakesNoTokenAway seals a vault while callers ask, and unseals
// it again.
func TestSealedVaultTakesNoTokenAway(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := startVaulted(t, "", "profiles:\n  invoices: {kind: robot, url: \""+s.Orchestrator+"\", secret: corp/invoices, client_id_from: entry}\n")
	r.holds(t, "invoices", s.ClientID, s.Secret)
	token := r.mustToken(t, api.TokenRequest{})
	r.vault.Seal(t)
	served := make(chan error, 1)
	go func() {
		for range 200 {
			if again, err := r.Token(t.Context(), api.TokenRequest{}); err != nil || again.Fingerprint != token.Fingerprint {
				served <- fmt.Errorf("%s: %w", again.Fingerprint, err)
				return
			}
		}
		served <- nil
	}()
	report, err := r.admin.Doctor(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if !hasCheck(report.Checks, "store", api.CheckFail, "sealed") {
		t.Errorf("doctor says %+v", report.Checks)
	}
	if err := <-served; err != nil {
		t.Errorf("a token that is still valid: %v", err)
	}
	if got := r.state(t); got != api.StoreSealed {
		t.Errorf("the store's state is %q", got)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("an agent whose tokens are valid is not ready: %v", err)
	}
	if ok, lines := r.Agent.ready(t.Context()); !ok || !slices.Contains(lines, "stores sealed: 1") {
		t.Errorf("/readyz says %q", lines)
	}
	_, err = r.Token(t.Context(), api.TokenRequest{Scopes: []string{"OR.Folders"}})
	if e := failsWith(t, err, api.StoreUnavailable); !strings.Contains(e.Error(), "sealed") {
		t.Errorf("a token that needs the secret: %v", e)
	}
	r.vault.Unseal(t)
	eventually(t, "a new token after the unsealing", func() bool {
		_, err := r.Token(t.Context(), api.TokenRequest{Scopes: []string{"OR.Folders"}})
		return err == nil
	})
	if got := r.state(t); got != api.StoreOK {
		t.Errorf("the store's state is %q", got)
	}
}

func hasCheck(checks []api.Check, name, result, says string) bool {
	for _, c := range checks {
		if c.Name == name && c.Result == result && strings.Contains(c.Found+c.ToDo, says) {
			return true
		}
	}
	return false
}

// TestSecretChangedInTheVaultIsFound: the secret was kept, was changed in the
// vault and at Identity, and no caller notices.
func TestSecretChangedInTheVaultIsFound(t *testing.T) {
	s := providertest.Fosite(t)
	r := startVaulted(t, "    refresh: 1h\n", fmt.Sprintf("profiles:\n  invoices: {kind: app, identity: %q, scopes: [%s], secret: corp/invoices, client_id: %s}\n", s.Issuer, s.Scopes[0], s.ClientID))
	r.holds(t, "invoices", s.ClientID, s.Secret)
	r.mustToken(t, api.TokenRequest{})
	reads := r.vault.Requests(t, "data/robots/invoices")
	s.AddSecret("another-secret-1")
	s.RemoveSecret(s.Secret)
	r.holds(t, "invoices", s.ClientID, "another-secret-1")
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	if n := r.vault.Requests(t, "data/robots/invoices") - reads; n != 1 {
		t.Errorf("the vault was asked %d times", n)
	}
	if p, _ := r.profile(t); p.SecretPrevious || p.SecretAgeDays == nil || *p.SecretAgeDays != 0 {
		t.Errorf("status %+v", p)
	}
	r.says(t, "secret_changed")

	// The vault is ahead of Identity: what it had before still works.
	r.holds(t, "invoices", s.ClientID, "not-valid-yet-1")
	r.Agent.stores.open["corp"].Forget("invoices")
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	if p, _ := r.profile(t); !p.SecretPrevious {
		t.Errorf("status does not tell that the one before is in use: %+v", p)
	}
	r.says(t, "secret_before")
	s.AddSecret("not-valid-yet-1")
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	if p, _ := r.profile(t); p.SecretPrevious {
		t.Errorf("the new one works by now: %+v", p)
	}
	r.holdsNo(t, []string{s.Secret, "another-secret-1", "not-valid-yet-1"})
}

// says ends the test unless the audit has a record of that event.
func (r *running) says(t *testing.T, event string) {
	t.Helper()
	var records strings.Builder
	if err := r.admin.Audit(t.Context(), api.AuditFilter{}, &records); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(records.String(), `"event":"`+event+`"`) {
		t.Errorf("the audit has no %s:\n%s", event, records.String())
	}
}

// TestEntryOfTheVaultIsAdopted pairs with what rests in the vault, and unpairs.
func TestEntryOfTheVaultIsAdopted(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	elsewhere := providertest.OIDCProvider(t, providertest.Options{})
	r := startVaulted(t, "    origins: ["+s.Origin+"]\n", "")
	r.holds(t, "invoices", s.ClientID, s.Secret)
	pairing := api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, Store: "corp", Entry: "invoices", ClientIDFrom: "entry"}
	away := pairing
	away.URL = elsewhere.Orchestrator
	asked := elsewhere.TokenRequests()
	_, _, err := r.pairing(t, away)
	if e := failsWith(t, err, api.ProviderRefused); !strings.Contains(e.Error(), "nothing was sent") || elsewhere.TokenRequests() != asked {
		t.Errorf("an entry was sent where config.yaml does not let it go: %v", e)
	}
	result := r.mustPair(t, pairing)
	if !result.Changed || result.Profile.Store != "corp" {
		t.Errorf("got %+v", result)
	}
	if again := r.mustPair(t, pairing); again.Changed {
		t.Error("the same pairing again changes something")
	}
	r.mustToken(t, api.TokenRequest{})
	if _, err := r.admin.Doctor(t.Context(), "invoices"); err != nil {
		t.Error(err)
	}
	failsWith(t, r.admin.SetSecret(t.Context(), "invoices", s.Secret), api.InvalidRequest) // read-only
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	if left := r.content(t, "invoices"); left["Password"] != s.Secret {
		t.Error("unpair took away an entry that was there before")
	}
	missing := pairing
	missing.Entry = "none"
	_, _, err = r.pairing(t, missing)
	if e := failsWith(t, err, api.NotPaired); !strings.Contains(e.Error(), "none") {
		t.Errorf("got %v", e)
	}
	r.holdsNo(t, []string{s.Secret})
}

// TestMigrationIntoTheVaultAndBack: what Keytender made there it removes again.
func TestMigrationIntoTheVaultAndBack(t *testing.T) {
	s := providertest.OIDCProvider(t, providertest.Options{})
	r := startVaulted(t, "    write: true\n    origins: ["+s.Origin+"]\n", "")
	r.mustPair(t, robotOf(s))
	r.holds(t, "taken", "somebody", "else")
	_, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "corp", Entry: "taken"}, nil)
	failsWith(t, err, api.AlreadyPaired)
	if r.content(t, "taken")["Password"] != "else" {
		t.Error("somebody else's entry was changed")
	}
	moved, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "corp"}, nil)
	if err != nil || !moved.Changed {
		t.Fatalf("%+v, %v", moved, err)
	}
	if now := r.content(t, "invoices"); now["Username"] != s.ClientID || now["Password"] != s.Secret {
		t.Errorf("the vault has %d fields", len(now))
	}
	if n := r.entriesIn(t, "default"); n != 1 { // the store's own credential
		t.Errorf("%d entries in the default store", n)
	}
	if err := r.admin.Retry(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	back, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "default"}, nil)
	if err != nil || len(back.Left) != 0 {
		t.Fatalf("%+v, %v", back, err)
	}
	store, err := r.Agent.stores.get("corp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), "invoices"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the entry that Keytender made: %v", err)
	}
	r.mustToken(t, api.TokenRequest{})
}

// TestTwentyRotationsInTheVaultLoseNoCall: the secret rests in an entry that
// Orchestrator reads too, and keeps its other fields.
func TestTwentyRotationsInTheVaultLoseNoCall(t *testing.T) {
	s := orchestratortest.New(orchestratortest.Options{})
	defer s.Close()
	robot := s.AddMachine("", "")
	r := startVaulted(t, "    write: true\n", fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, secret: corp/invoices, client_id_from: entry}\n", s.Orchestrator))
	r.holds(t, "invoices", robot.ID, robot.Secret)
	r.mustPair(t, operatorOf(s))
	stop := load(t, r.running, 32, func(token api.Token) error { return call(s.Orchestrator, token) })
	for i := range 20 {
		if _, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
			t.Errorf("rotation %d: %v after %q", i, err, steps)
			break
		}
		asked := s.TokenRequestsOf(robot.ID)
		eventually(t, "tokens with the new secret", func() bool { return s.TokenRequestsOf(robot.ID) > asked+2 })
	}
	t.Logf("%d calls, 20 rotations", stop())
	now, held := s.Secrets(robot.ID), r.content(t, "invoices")
	if len(now) != 1 || held["Password"] != now[0].Secret || held["Username"] != robot.ID || held["Owner"] != "somebody else" {
		t.Errorf("%d secrets; the entry has %d fields", len(now), len(held))
	}
}

// TestVaultThatMovedGetsNoCredential: its address was changed in config.yaml, so
// the AppRole's secret id stays here.
func TestVaultThatMovedGetsNoCredential(t *testing.T) {
	r := startVaulted(t, "", "")
	other := vaulttest.HashiCorp(t)
	content, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, r.config, strings.NewReplacer(r.vault.Address, other.Address, r.vault.CAFile, other.CAFile).Replace(string(content)))
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store, err := r.Agent.stores.get("corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Check(ctx); err == nil || !strings.Contains(err.Error(), "secret set store/corp") {
		t.Errorf("got %v", errors.Unwrap(err))
	}
	if n := other.Requests(t, "auth/"); n != 0 {
		t.Errorf("the other vault was asked to let the agent in %d times", n)
	}
}
