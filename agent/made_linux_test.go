package agent

import (
	"os"
	"path/filepath"
	"testing"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
)

// inVault is a robot whose secret is to be put into the entry robots of corp.
func inVault(s *orchestratortest.Server, robot orchestratortest.Client) api.Pairing {
	return api.Pairing{Name: "invoices", Kind: "robot", URL: s.Orchestrator, ClientID: robot.ID, Secret: robot.Secret, Store: "corp", Entry: "robots"}
}

// TestUnpairRemovesWhatItMade: also after the entry got other secrets.
func TestUnpairRemovesWhatItMade(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	r.mustPair(t, operatorOf(s))
	for what, change := range map[string]func() error{
		"paired":     func() error { return nil },
		"secret set": func() error { return r.admin.SetSecret(t.Context(), "invoices", s.AddSecret(robot.ID, "").Secret) },
		"rotated": func() error {
			_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true})
			return err
		},
	} {
		r.mustPair(t, inVault(s, robot))
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, secret := v.read("robots"); secret != "" {
			t.Errorf("%s: the entry is left", what)
		}
	}
}

// TestUnpairLeavesWhatAnotherProfileUses: one profile put the entry there, and
// another one took it over.
func TestUnpairLeavesWhatAnotherProfileUses(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	p := inVault(s, robot)
	r.mustPair(t, p)
	p.Name, p.Secret = "second", ""
	r.mustPair(t, p)
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Error(err)
	}
	if _, secret := v.read("robots"); secret != robot.Secret {
		t.Error("the entry that second uses is gone")
	}
	r.mustToken(t, api.TokenRequest{Profile: "second"})
}

// TestWhatOthersWroteIsLeft: another program has changed the entry since, and may
// read it too.
func TestWhatOthersWroteIsLeft(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	theirs := s.AddSecret(robot.ID, "")
	r.mustPair(t, inVault(s, robot))
	v.write("robots", robot.ID, theirs.Secret)
	moved, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "default"}, nil)
	if err != nil || len(moved.Left) != 1 {
		t.Errorf("%v, told is %q", err, moved.Left)
	}
	if _, secret := v.read("robots"); secret != theirs.Secret {
		t.Error("the migration removed what another program wrote")
	}
	p := inVault(s, robot)
	p.Name, p.Entry = "other", "others"
	r.mustPair(t, p)
	v.write("others", robot.ID, theirs.Secret)
	if err := r.admin.Unpair(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if _, secret := v.read("others"); secret != theirs.Secret {
		t.Error("the unpairing removed what another program wrote")
	}
}

// TestPairAgainAfterAnUnpairThatCouldNotDelete: a Conjur never deletes.
func TestPairAgainAfterAnUnpairThatCouldNotDelete(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	next := s.AddSecret(robot.ID, "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	v.does(func(op, name string) error {
		if op == "delete" {
			return unavailable(op + " " + name)
		}
		return nil
	})
	p := inVault(s, robot)
	r.mustPair(t, p)
	failsWith(t, r.admin.Unpair(t.Context(), "invoices"), api.StoreUnavailable)
	p.Secret = next.Secret
	r.mustPair(t, p)
	failsWith(t, r.admin.Unpair(t.Context(), "invoices"), api.StoreUnavailable)
	r.mustPair(t, p)
	v.does(nil)
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Error(err)
	}
	if _, secret := v.read("robots"); secret != "" {
		t.Error("the entry is left")
	}
	v.write("robots", robot.ID, next.Secret) // by another program, though it is the same
	_, _, err := r.pairing(t, p)
	failsWith(t, err, api.AlreadyPaired)
}

// TestPairingAnewThatFailsLeavesTheVault: the state cannot be written once the
// vault has the new secret.
func TestPairingAnewThatFailsLeavesTheVault(t *testing.T) {
	s := anOrchestrator(t)
	robot, next := s.AddMachine("", ""), s.AddMachine("", "")
	r := startIn(t, t.TempDir(), vaultConfig("corp", openTo(s)))
	v := r.shares(t, "corp")
	r.mustPair(t, inVault(s, robot))
	profiles := filepath.Join(r.state, "profiles.json")
	v.does(func(op, _ string) error {
		if op != "put" {
			return nil
		}
		v.does(nil)
		if err := os.Rename(profiles, profiles+".aside"); err != nil {
			t.Error(err)
		}
		if err := os.Mkdir(profiles, 0o700); err != nil {
			t.Error(err)
		}
		return nil
	})
	p := inVault(s, next)
	p.Replace = true
	_, _, err := r.pairing(t, p)
	failsWith(t, err, api.StoreUnavailable)
	if username, secret := v.read("robots"); username != robot.ID || secret != robot.Secret {
		t.Error("the vault does not have the old secret")
	}
	if err := os.Remove(profiles); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(profiles+".aside", profiles); err != nil {
		t.Fatal(err)
	}
	r.mustToken(t, api.TokenRequest{})
	r.mustPair(t, p)
	if username, secret := v.read("robots"); username != next.ID || secret != next.Secret {
		t.Error("the vault does not have the new secret with its client id")
	}
}
