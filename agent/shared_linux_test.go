package agent

import (
	"fmt"
	"testing"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
	"keytender/vault/vaulttest"
)

// declaredIn declares the robot of s, whose secret rests in the entry robots of
// corp.
func declaredIn(s *orchestratortest.Server, robot orchestratortest.Client) string {
	return fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, client_id: %s, secret: corp/robots}\n", s.Orchestrator, robot.ID)
}

// TestLayoutOfASharedEntryStays: others read the same entry, as one text here. A
// rotation that is refused, one that is done, and a secret set by hand leave it so.
func TestLayoutOfASharedEntryStays(t *testing.T) {
	s := anOrchestrator(t)
	robot, v, dir := s.AddMachine("", ""), vaulttest.FakeConjur(t), t.TempDir()
	r := startIn(t, dir, fmt.Sprintf("  corp: {url: \"conjur://%s/corp/apps/keytender\", ca: [%s], write: true, login: {method: api_key, username: host/robots}}\n", v.Host, v.CAFile)+declaredIn(s, robot))
	if err := r.admin.SetSecret(t.Context(), "store/corp", v.Key()); err != nil {
		t.Fatal(err)
	}
	v.Set("apps/keytender/robots", robot.Secret)
	r.mustPair(t, operatorOf(s))
	weak := s.AddApp("", "", "OR.Folders")
	r.mustPair(t, api.Pairing{Name: "weak", Kind: "app", URL: s.Orchestrator, ClientID: weak.ID, Secret: weak.Secret})
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "weak"})
	failsWith(t, err, api.InvalidRequest)
	if got := v.Value("apps/keytender/robots"); got != robot.Secret {
		t.Error("a rotation that made nothing changed the entry")
	}
	v.Set("apps/keytender/robots", robot.Secret)
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
		t.Fatal(err)
	}
	if got := v.Value("apps/keytender/robots"); got != s.Secrets(robot.ID)[0].Secret {
		t.Error("after the rotation the entry is not the new secret alone")
	}
	v.Set("apps/keytender/robots", robot.Secret)
	next := s.AddSecret(robot.ID, "")
	if err := r.admin.SetSecret(t.Context(), "invoices", next.Secret); err != nil {
		t.Fatal(err)
	}
	if got := v.Value("apps/keytender/robots"); got != next.Secret {
		t.Error("after the secret was set the entry is not that secret alone")
	}
}

// TestWhoWritesTheEntryGetsNoOtherClientsSecret: with client_id_from: entry, whoever
// may write the entry chooses the client whose secrets are administered.
func TestWhoWritesTheEntryGetsNoOtherClientsSecret(t *testing.T) {
	s := anOrchestrator(t)
	robot, victim := s.AddMachine("", ""), s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", "")+fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, client_id_from: entry, secret: corp/robots}\n", s.Orchestrator))
	v := r.shares(t, "corp")
	v.write("robots", robot.ID, robot.Secret)
	r.mustPair(t, operatorOf(s))
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	v.write("robots", victim.ID, "whatever")
	_, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if err == nil {
		t.Errorf("rotated: %q", steps)
	}
	if now := s.Secrets(victim.ID); len(now) != 1 || now[0].SecretID != victim.SecretID {
		t.Errorf("the other client has %+v", now)
	}
	if _, secret := v.read("robots"); secret != "whatever" {
		t.Error("whoever may write the entry can read a secret of another client there")
	}
}

// TestRotationOverwritesNobodysSecret: another machine rotates the secret of the same
// client, and is quicker.
func TestRotationOverwritesNobodysSecret(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", "")+declaredIn(s, robot))
	v := r.shares(t, "corp")
	v.write("robots", robot.ID, robot.Secret)
	r.mustPair(t, operatorOf(s))
	theirs := s.AddSecret(robot.ID, "")
	s.Fault("/api/clientsecrets/", orchestratortest.Fault{Method: "POST", Edit: func(map[string]any) {
		v.write("robots", robot.ID, theirs.Secret) // another machine rotates as well
	}})
	_, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator", Old: fmt.Sprint(robot.SecretID)})
	if _, secret := v.read("robots"); secret != theirs.Secret {
		t.Errorf("what another program wrote meanwhile is overwritten: %q, %v", steps, err)
	}
}

// TestMigrationBetweenVaultsUnderOneName: an entry has the profile's name in the one and
// in the other.
func TestMigrationBetweenVaultsUnderOneName(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s))+vaultConfig("other", openTo(s)))
	v, w := r.shares(t, "corp"), r.shares(t, "other")
	r.mustPair(t, api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: robot.ID, Secret: robot.Secret, Store: "corp"})
	var steps []string
	moved, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "other"}, func(s api.Step) { steps = append(steps, s.Text) })
	if err != nil {
		t.Fatal(err)
	}
	if _, secret := w.read("invoices"); secret != robot.Secret {
		t.Error("not moved")
	}
	if _, secret := v.read("invoices"); secret != "" {
		t.Errorf("the secret is left in corp; said was %q, left %q", steps, moved.Left)
	}
}

// TestMigrationReadsInItsTurn: a secret that somebody gives meanwhile must not be
// left behind, and removed, for the one that was read before.
func TestMigrationReadsInItsTurn(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	r.mustPair(t, inVault(s, robot))
	v.does(func(op, _ string) error {
		if op == "get" && len(r.Agent.admin) == 0 {
			t.Error("the secret is read while others may change it")
		}
		return nil
	})
	if _, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "default"}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestMigrationPassesOverNoEntry: a store of the agent's own names its entries
// itself, whatever the client id comes from.
func TestMigrationPassesOverNoEntry(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	r.shares(t, "corp").write("robots", robot.ID, robot.Secret)
	p := inVault(s, robot)
	p.Secret, p.ClientID, p.ClientIDFrom = "", "", "entry"
	r.mustPair(t, p)
	_, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "default", Entry: "x"}, nil)
	failsWith(t, err, api.InvalidRequest)
	if _, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "default"}, nil); err != nil {
		t.Error(err)
	}
	r.mustToken(t, api.TokenRequest{})
}

// TestAnotherEntryIsAnotherClient: where the client id comes from the entry, another
// entry is another client, whose tokens are not the same.
func TestAnotherEntryIsAnotherClient(t *testing.T) {
	s := anOrchestrator(t)
	one, two := s.AddMachine("", ""), s.AddMachine("", "")
	more := func(entry string) string {
		return vaultConfig("corp", "") + fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, client_id_from: entry, secret: corp/%s}\n", s.Orchestrator, entry)
	}
	r := startIn(t, t.TempDir(), more("one"))
	v := r.shares(t, "corp")
	v.write("one", one.ID, one.Secret)
	v.write("two", two.ID, two.Secret)
	first := r.mustToken(t, api.TokenRequest{})
	if _, err := r.reconfigure(t, more("two")); err != nil {
		t.Fatal(err)
	}
	if r.mustToken(t, api.TokenRequest{}).AccessToken == first.AccessToken {
		t.Error("the token of another client is given out")
	}
}

// TestNewPairingKnowsNothingOfTheOld: another client under the same name is no change
// of the secret.
func TestNewPairingKnowsNothingOfTheOld(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	r.mustPair(t, s.pairing())
	r.mustToken(t, api.TokenRequest{})
	next := s.AddMachine("", "")
	p := s.pairing()
	p.ClientID, p.Secret, p.Replace = next.ID, next.Secret, true
	r.mustPair(t, p)
	r.mustToken(t, api.TokenRequest{})
	if changed := r.records(t, "secret_changed"); len(changed) != 0 {
		t.Errorf("recorded: %+v", changed)
	}
}

// TestRotationWritesInItsTurn: what it writes back must not make an entry anew that
// was removed meanwhile.
func TestRotationWritesInItsTurn(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	r.mustPair(t, operatorOf(s))
	r.mustPair(t, inVault(s, robot))
	v.does(func(op, _ string) error {
		if op == "put" && len(r.Agent.admin) == 0 {
			t.Error("the vault is written while others may change the profile")
		}
		return nil
	})
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
		t.Fatal(err)
	}
}
