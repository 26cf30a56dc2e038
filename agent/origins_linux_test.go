package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

// elsewhere is for a store whose secrets may be sent to another server than the
// test's.
const elsewhere = `, origins: ["https://elsewhere.example"]`

// TestSecretGoesOnlyWhereItsVaultsMayGo: it is told before anything is sent, stored
// or moved, and not when the first token is needed.
func TestSecretGoesOnlyWhereItsVaultsMayGo(t *testing.T) {
	s := anOrchestrator(t)
	robot, dir := s.AddMachine("", ""), t.TempDir()
	r := startIn(t, dir, vaultConfig("corp", elsewhere)+vaultConfig("other", openTo(s)))
	v, w := r.shares(t, "corp"), r.shares(t, "other")
	refused := func(what string, err error) {
		t.Helper()
		if e := failsWith(t, err, api.ProviderRefused); !strings.Contains(e.Description, "secrets of corp may be sent to [https://elsewhere.example], not to "+s.Origin) || !strings.Contains(e.Hint, "origins") {
			t.Errorf("%s: %v", what, e)
		}
		if n := s.TokenRequestsOf(robot.ID); n != 0 {
			t.Errorf("%s: it was sent", what)
		}
	}
	_, _, err := r.pairing(t, inVault(s, robot))
	refused("pair", err)
	if _, secret := v.read("robots"); secret != "" {
		t.Error("the vault has it all the same")
	}
	v.write("robots", robot.ID, robot.Secret)
	p := inVault(s, robot)
	p.Secret = ""
	_, _, err = r.pairing(t, p)
	refused("pair with what is there", err)
	if _, err := r.reconfigure(t, vaultConfig("corp", elsewhere)+vaultConfig("other", openTo(s))+declaredIn(s, robot)); err != nil {
		t.Fatal(err)
	}
	refused("secret set", r.admin.SetSecret(t.Context(), "invoices", robot.Secret))

	another := s.AddMachine("", "")
	q := inVault(s, another)
	q.Name, q.Store = "moving", "other"
	r.mustPair(t, q)
	_, err = r.admin.Migrate(t.Context(), "moving", api.Migration{Store: "corp", Entry: "moving"}, nil)
	refused("migrate", err)
	if _, secret := w.read("robots"); secret != another.Secret {
		t.Error("it was moved")
	}
	r.mustToken(t, api.TokenRequest{Profile: "moving"})
}

// TestMigrationTakesNoOriginFromTheState: who can write the state cannot have a secret
// of the agent's own store sent elsewhere; nor by way of a vault, which keeps no
// origins.
func TestMigrationTakesNoOriginFromTheState(t *testing.T) {
	s, thief, dir := orchestratorOf(t), anOrchestrator(t), t.TempDir()
	r := startIn(t, dir, vaultConfig("corp", ""))
	r.mustPair(t, s.pairing())
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.state, "profiles.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, strings.ReplaceAll(string(content), s.Origin, thief.Origin))
	r = startIn(t, dir, vaultConfig("corp", ""))
	v := r.shares(t, "corp")
	_, err = r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.ProviderRefused)
	_, err = r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "corp"}, nil)
	failsWith(t, err, api.ProviderRefused)
	if _, secret := v.read("invoices"); secret != "" || thief.TokenRequests() != 0 {
		t.Error("it was moved, or sent")
	}
}
