package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/orchestratortest"
	"keytender/installer/testbed/disk"
	"keytender/vault"
)

// cutOffAtTheEnd is an agent whose rotation of invoices is cut off when the new
// secret is in use, and the old one still there.
func cutOffAtTheEnd(t *testing.T) administered {
	t.Helper()
	r := administer(t, t.TempDir(), "")
	r.server.Fault("/api/clientsecrets/", orchestratortest.Fault{Method: "DELETE", Status: 503})
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err == nil {
		t.Fatal("the rotation is said to have worked")
	}
	r.server.Heal()
	return r
}

// TestRotationOfAnotherPairingDoesNotGoOn: ids of secrets are small numbers, and
// those of one server are other secrets at another one.
func TestRotationOfAnotherPairingDoesNotGoOn(t *testing.T) {
	r := cutOffAtTheEnd(t)
	other := anOrchestrator(t)
	bystander, robot := other.AddMachine("", ""), other.AddMachine("", "") // the first has secret 1 there
	op := operatorOf(other)
	op.Name = "operator2"
	r.mustPair(t, op)
	r.mustPair(t, api.Pairing{Name: "invoices", Kind: "robot", URL: other.Orchestrator, ClientID: robot.ID, Secret: robot.Secret, Replace: true})
	rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator2"})
	if err != nil || len(rotated.Warnings) != 1 || !strings.Contains(rotated.Warnings[0], r.server.Orchestrator) {
		t.Errorf("%v, warned of %q", err, rotated.Warnings)
	}
	if n := len(other.Secrets(bystander.ID)); n != 1 {
		t.Errorf("a secret of another machine was deleted: %q", steps)
	}
	if now := other.Secrets(robot.ID); len(now) != 1 || now[0].Secret == robot.Secret {
		t.Errorf("%d secrets, steps %q", len(now), steps)
	}
}

// TestOldSecretIsKeptThoughItWasToGo: what is said now goes before what was said
// when the rotation began.
func TestOldSecretIsKeptThoughItWasToGo(t *testing.T) {
	r := cutOffAtTheEnd(t)
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true}); err != nil {
		t.Fatal(err)
	}
	if n := len(r.server.Secrets(r.robot.ID)); n != 2 {
		t.Errorf("%d secrets, want both", n)
	}
}

// TestRotationThatSomebodyOvertookDoesNotGoOn: another secret was given by hand
// since.
func TestRotationThatSomebodyOvertookDoesNotGoOn(t *testing.T) {
	r := cutOffAtTheEnd(t)
	made := r.server.Secrets(r.robot.ID)[1]
	theirs := r.server.AddSecret(r.robot.ID, "")
	if err := r.admin.SetSecret(t.Context(), "invoices", theirs.Secret); err != nil {
		t.Fatal(err)
	}
	rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator", Old: fmt.Sprint(theirs.SecretID)})
	if err != nil || len(rotated.Warnings) != 1 || !strings.Contains(rotated.Warnings[0], fmt.Sprint("secret ", made.SecretID, " of invoices")) {
		t.Errorf("%v, warned of %q", err, rotated.Warnings)
	}
	if now := r.server.Secrets(r.robot.ID); len(now) != 3 || fmt.Sprint(now[2].SecretID) != rotated.Made {
		t.Errorf("%d secrets, made %s, steps %q", len(now), rotated.Made, steps)
	}
	r.works(t)
}

// TestProofThatFailsCanGoOn: Identity goes away once the new secret is made.
func TestProofThatFailsCanGoOn(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	r.server.Fault("/api/clientsecrets/", orchestratortest.Fault{Method: "POST", Edit: func(map[string]any) {
		r.server.Fault("/connect/token", orchestratortest.Fault{Status: 503})
	}})
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err == nil {
		t.Fatal("the rotation is said to have worked")
	}
	r.server.Heal()
	r.works(t)
	rotated, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if now := r.server.Secrets(r.robot.ID); err != nil || len(now) != 1 || fmt.Sprint(now[0].SecretID) != rotated.Made {
		t.Errorf("%v, %d secrets, steps %q", err, len(now), steps)
	}
	r.works(t)
}

// TestLostSecretIsMadeAnew: the only secret that the server has is not the one
// that the agent has, so it may be in use elsewhere.
func TestLostSecretIsMadeAnew(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	theirs := r.server.AddSecret(r.robot.ID, "")
	r.server.RemoveSecret(r.robot.SecretID)
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if e := failsWith(t, err, api.ProviderRefused); !strings.Contains(e.Hint, "--keep-old") {
		t.Errorf("%v", e)
	}
	if now := r.server.Secrets(r.robot.ID); len(now) != 1 {
		t.Fatalf("%d secrets", len(now))
	}
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true}); err != nil {
		t.Fatal(err)
	}
	if now := r.server.Secrets(r.robot.ID); len(now) != 2 || now[0].SecretID != theirs.SecretID {
		t.Errorf("%d secrets", len(now))
	}
	r.works(t)
}

// TestDeclaredProfileRotatesWhileAnotherIsPaired: what one act changes must not stop
// another that is about another profile.
func TestDeclaredProfileRotatesWhileAnotherIsPaired(t *testing.T) {
	s := anOrchestrator(t)
	robot := s.AddMachine("", "")
	r := startIn(t, t.TempDir(), fmt.Sprintf("profiles:\n  invoices: {kind: robot, url: %q, client_id: %s}\n", s.Orchestrator, robot.ID))
	r.mustPair(t, operatorOf(s))
	if err := r.admin.SetSecret(t.Context(), "invoices", robot.Secret); err != nil {
		t.Fatal(err)
	}
	more := s.AddMachine("", "")
	s.Fault("/api/clientsecrets/", orchestratortest.Fault{Times: 1, Method: "POST", Edit: func(map[string]any) {
		r.mustPair(t, api.Pairing{Name: "more", Kind: "robot", URL: s.Orchestrator, ClientID: more.ID, Secret: more.Secret})
	}})
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
		t.Error(err)
	}
}

// TestOvertakenRotationTakesBackWhatItMade: while a rotation waits for the server,
// the profile gets another secret, or goes.
func TestOvertakenRotationTakesBackWhatItMade(t *testing.T) {
	for what, c := range map[string]struct {
		act     func(*testing.T, administered, orchestratortest.Client) error
		entries int
	}{
		"unpaired": {func(t *testing.T, r administered, _ orchestratortest.Client) error {
			return r.admin.Unpair(t.Context(), "invoices")
		}, 1},
		"paired anew": {func(t *testing.T, r administered, theirs orchestratortest.Client) error {
			p := r.robotPairing()
			p.Secret, p.Replace = theirs.Secret, true
			_, _, err := r.pairing(t, p)
			return err
		}, 2},
		"secret set": {func(t *testing.T, r administered, theirs orchestratortest.Client) error {
			return r.admin.SetSecret(t.Context(), "invoices", theirs.Secret)
		}, 2},
	} {
		t.Run(what, func(t *testing.T) {
			r := administer(t, t.TempDir(), "")
			theirs := r.server.AddSecret(r.robot.ID, "")
			r.server.Fault("/api/clientsecrets/", orchestratortest.Fault{Times: 1, Method: "POST", Edit: func(map[string]any) {
				if err := c.act(t, r, theirs); err != nil {
					t.Error(err)
				}
			}})
			_, steps, err := r.rotation(t, "invoices", api.Rotation{With: "operator", Old: fmt.Sprint(r.robot.SecretID)})
			failsWith(t, err, api.AlreadyPaired)
			if now := r.server.Secrets(r.robot.ID); len(now) != 2 || now[1].SecretID != theirs.SecretID {
				t.Errorf("%d secrets at the server, steps %q", len(now), steps)
			}
			if n := r.entries(t); n != c.entries {
				t.Errorf("%d entries in the store, want %d", n, c.entries)
			}
			if what != "unpaired" {
				r.works(t)
			}
		})
	}
}

// TestSecretThatCannotBeTakenBackIsNamed: neither the default store takes the new
// secret nor the server takes it back.
func TestSecretThatCannotBeTakenBackIsNamed(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	stores := filepath.Join(r.state, "stores")
	r.server.Fault("/api/clientsecrets/", orchestratortest.Fault{Method: "DELETE", Status: 503})
	r.server.Fault("/api/clientsecrets/", orchestratortest.Fault{Times: 1, Method: "POST", Edit: func(map[string]any) {
		if err := os.Rename(stores, stores+".aside"); err != nil {
			t.Error(err)
		}
		writeFile(t, stores, "")
	}})
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	left := r.server.Secrets(r.robot.ID)
	if len(left) != 2 {
		t.Fatalf("%d secrets at the server", len(left))
	}
	named := fmt.Sprint("secret ", left[1].SecretID, " of invoices")
	if e := failsWith(t, err, api.StoreUnavailable); !strings.Contains(e.Hint, "delete "+named) {
		t.Errorf("it is not told that a secret is valid and in use by nobody: %v", e)
	}
	if err := os.Remove(stores); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(stores+".aside", stores); err != nil {
		t.Fatal(err)
	}
	r.server.Heal()
	rotated, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true})
	if err != nil || len(rotated.Warnings) != 1 || !strings.Contains(rotated.Warnings[0], named) {
		t.Errorf("%v, warned of %q", err, rotated.Warnings)
	}
}

// TestRotationMakesNothingWhereItsOwnStoreIsFull: a store of the agent's own that is
// not the default one.
func TestRotationMakesNothingWhereItsOwnStoreIsFull(t *testing.T) {
	disk.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		second := filepath.Join(dir, "state", "stores", "second")
		disk.Tiny(t, second, "512k")
		r := administer(t, dir, secondStore(t, dir))
		if _, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "second"}, nil); err != nil {
			t.Fatal(err)
		}
		heal := disk.Fill(t, second)
		_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
		if e := failsWith(t, err, api.StoreUnavailable); !strings.Contains(e.Description, "no space left") {
			t.Errorf("%v", e)
		}
		if now := r.server.Secrets(r.robot.ID); len(now) != 1 || now[0].SecretID != r.robot.SecretID {
			t.Errorf("%d secrets at the server", len(now))
		}
		heal()
		if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"}); err != nil {
			t.Error(err)
		}
		r.works(t)
	})
}

// TestSecretOfTwoProfilesIsNotDeletedUnderOne: one machine object, and a profile for
// each of its folders.
func TestSecretOfTwoProfilesIsNotDeletedUnderOne(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	p := r.robotPairing()
	p.Name, p.Settings = "eu", map[string]string{"folder": "EU"}
	r.mustPair(t, p)
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator"})
	if e := failsWith(t, err, api.InvalidRequest); !strings.Contains(e.Description, "eu") || !strings.Contains(e.Hint, "--keep-old") {
		t.Errorf("%v", e)
	}
	if now := r.server.Secrets(r.robot.ID); len(now) != 1 {
		t.Fatalf("%d secrets at the server", len(now))
	}
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "operator", KeepOld: true}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.rotation(t, "eu", api.Rotation{With: "operator", Old: fmt.Sprint(r.robot.SecretID)}); err != nil {
		t.Fatal(err)
	}
	if now := r.server.Secrets(r.robot.ID); len(now) != 2 || now[0].SecretID == r.robot.SecretID {
		t.Errorf("%d secrets at the server", len(now))
	}
	for _, name := range []string{"invoices", "eu"} {
		if err := r.admin.Retry(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		r.mustToken(t, api.TokenRequest{Profile: name})
	}
}

// TestUnpairAfterARotationCutOffLeavesNoSecret: nor a rotation that a later profile of
// the name would take up.
func TestUnpairAfterARotationCutOffLeavesNoSecret(t *testing.T) {
	r := cutOffAtTheEnd(t)
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	if n := r.entries(t); n != 1 {
		t.Errorf("%d entries are left, want that of operator", n)
	}
	content, err := os.ReadFile(filepath.Join(r.state, "profiles.json"))
	if err != nil || strings.Contains(string(content), "invoices") {
		t.Errorf("%v, the state still has\n%s", err, content)
	}
}

// TestScopeGivenAfterARefusedRotationIsSeen: Identity's refusal is not remembered, and
// the profile that administers is none the worse for it.
func TestScopeGivenAfterARefusedRotationIsSeen(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	weak := r.server.AddApp("", "", "OR.Folders")
	r.mustPair(t, api.Pairing{Name: "weak", Kind: "app", URL: r.server.Orchestrator, ClientID: weak.ID, Secret: weak.Secret})
	_, _, err := r.rotation(t, "invoices", api.Rotation{With: "weak"})
	failsWith(t, err, api.InvalidRequest)
	status, err := r.Status(t.Context())
	if err != nil || status.Agent.State != api.StateReady {
		t.Errorf("%v, the agent is %s", err, status.Agent.State)
	}
	r.server.AddApp(weak.ID, weak.Secret, "OR.Folders", "OR.Machines")
	if _, _, err := r.rotation(t, "invoices", api.Rotation{With: "weak"}); err != nil {
		t.Error(err)
	}
}

// TestUnpairRemovesARotationsProbe: a rotation was killed while it looked whether the
// default store takes a secret.
func TestUnpairRemovesARotationsProbe(t *testing.T) {
	r := administer(t, t.TempDir(), "")
	store, err := r.Agent.stores.get("")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), stageOf("invoices"), vault.Entry{Secret: vault.NewSecret("a place")}); err != nil {
		t.Fatal(err)
	}
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Fatal(err)
	}
	if n := r.entries(t); n != 1 {
		t.Errorf("%d entries are left, want that of operator", n)
	}
}
