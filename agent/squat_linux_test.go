package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

// TestMadeEntryThatOthersFillGoesNowhere: who may pair could make an entry for a
// server of his own, and wait until somebody else writes there. So config.yaml has
// to say where secrets of a vault may go also for what a pairing brings itself.
func TestMadeEntryThatOthersFillGoesNowhere(t *testing.T) {
	s, thief := anOrchestrator(t), anOrchestrator(t)
	decoy := thief.AddMachine("", "")
	squat := api.Pairing{Name: "decoy", Kind: "robot", URL: thief.Orchestrator, ClientID: decoy.ID, Secret: decoy.Secret, Store: "corp", Entry: "billing"}
	for more, code := range map[string]api.Code{"": api.InvalidRequest, openTo(s): api.ProviderRefused} {
		r := startIn(t, t.TempDir(), vaultConfig("corp", more))
		v := r.shares(t, "corp")
		_, _, err := r.pairing(t, squat)
		if e := failsWith(t, err, code); code == api.InvalidRequest && !strings.Contains(e.Error(), "origins:") {
			t.Errorf("got %v", e)
		}
		if _, secret := v.read("billing"); secret != "" || thief.TokenRequests() != 0 {
			t.Errorf("with %q an entry was made, or its secret sent", more)
		}
	}
}

// TestStateOpensNoEntryOfAVault: who writes the state names an entry and a server.
func TestStateOpensNoEntryOfAVault(t *testing.T) {
	s, thief, dir := anOrchestrator(t), anOrchestrator(t), t.TempDir()
	robot := s.AddMachine("", "")
	r := startIn(t, dir, vaultConfig("corp", openTo(s)))
	r.shares(t, "corp")
	r.mustPair(t, inVault(s, robot))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.state, "profiles.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(s.Origin, thief.Origin, `"entry": "robots"`, `"entry": "billing"`).Replace(string(content))
	if !strings.Contains(changed, thief.Origin) || !strings.Contains(changed, "billing") {
		t.Fatal("the state is not as this test thinks")
	}
	writeFile(t, path, changed)
	r = startIn(t, dir, vaultConfig("corp", openTo(s)))
	r.shares(t, "corp").write("billing", "x", "the real secret of billing")
	_, err = r.Token(t.Context(), api.TokenRequest{Profile: "invoices"})
	failsWith(t, err, api.ProviderRefused)
	if n := thief.TokenRequests(); n != 0 {
		t.Errorf("the state had a secret of the vault sent to the thief: %v", err)
	}
}
