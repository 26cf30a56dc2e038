package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/agent/internal/providertest"
	"keytender/vault"
)

// secondStore adds a sealed store with a key of its own to a config.yaml in dir.
func secondStore(t *testing.T, dir string) string {
	t.Helper()
	key := filepath.Join(dir, "second.key")
	if _, err := os.Stat(key); err != nil {
		if err := vault.InitSealed(key); err != nil {
			t.Fatal(err)
		}
	}
	return "  second: {url: \"sealed:\", key: \"file:" + key + "\"}\n"
}

// entriesIn counts the sealed files of a store by its name.
func (r *running) entriesIn(t *testing.T, store string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.state, "stores", store, "sealed", "*.age"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestMigrationMovesTheSecret(t *testing.T) {
	s := providertest.Fosite(t)
	dir := t.TempDir()
	r := startIn(t, dir, secondStore(t, dir))
	r.mustPair(t, robotOf(s))
	asked := s.TokenRequests()
	var steps []api.Step
	moved, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "second"}, func(s api.Step) { steps = append(steps, s) })
	if err != nil {
		t.Fatal(err)
	}
	if !moved.Changed || moved.Profile.Store != "second" || len(moved.Left) != 0 || len(steps) != migrationSteps {
		t.Errorf("got %+v after %d steps", moved, len(steps))
	}
	if r.entriesIn(t, "default") != 0 || r.entriesIn(t, "second") != 1 {
		t.Errorf("%d entries in the old store, %d in the new one", r.entriesIn(t, "default"), r.entriesIn(t, "second"))
	}
	if n := s.TokenRequests(); n != asked {
		t.Errorf("Identity was asked %d times for a secret that did not change", n-asked)
	}
	r.mustToken(t, api.TokenRequest{})
	again, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "second"}, nil)
	if err != nil || again.Changed {
		t.Errorf("once more: %+v, %v", again, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, secondStore(t, dir))
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	r.holdsNo(t, []string{s.Secret}, moved, steps)
}

func TestMigrationGoesOnlyWhereItMay(t *testing.T) {
	s := providertest.Fosite(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "seal.key")
	r := startIn(t, dir, secondStore(t, dir)+fmt.Sprintf("profiles:\n  other: {kind: app, identity: %q, client_id: x}\n", s.Issuer))
	r.mustPair(t, robotOf(s))
	for what, c := range map[string]struct {
		name string
		m    api.Migration
		code api.Code
		says string
	}{
		"a bare scheme":      {"invoices", api.Migration{Store: "memory:"}, api.InvalidRequest, "default, second"},
		"a path":             {"invoices", api.Migration{Store: "sealed:/tmp/x"}, api.InvalidRequest, "default, second"},
		"an unknown name":    {"invoices", api.Migration{Store: "third"}, api.InvalidRequest, "default, second"},
		"an unknown profile": {"none", api.Migration{Store: "second"}, api.NotPaired, "none"},
		"a declared profile": {"other", api.Migration{Store: "second"}, api.InvalidRequest, "belongs to people"},
		"an entry's name":    {"invoices", api.Migration{Store: "second", Entry: "x"}, api.InvalidRequest, "names its entries itself"},
	} {
		_, err := r.admin.Migrate(t.Context(), c.name, c.m, nil)
		if e := failsWith(t, err, c.code); !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v", what, e)
		}
	}
	// A store whose key is gone takes nothing: the secret stays where it was.
	if err := os.Rename(filepath.Join(dir, "second.key"), key+".aside"); err != nil {
		t.Fatal(err)
	}
	_, err := r.admin.Migrate(t.Context(), "invoices", api.Migration{Store: "second"}, nil)
	failsWith(t, err, api.StoreUnavailable)
	if r.entriesIn(t, "default") != 1 || r.entriesIn(t, "second") != 0 {
		t.Error("a migration that failed moved something")
	}
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
}

// TestMigrationKilledLosesNothing kills the agent after each step.
func TestMigrationKilledLosesNothing(t *testing.T) {
	for step, rests := range map[int]string{1: "default", 2: "default", 3: "second"} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			dir := t.TempDir()
			if in := os.Getenv(killedIn); in != "" {
				dir = in
			} else {
				s := providertest.Fosite(t)
				pairing, err := json.Marshal(robotOf(s))
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(dir, "pairing.json"), string(pairing))
			}
			killedWith(t, dir, secondStore(t, dir), func(t *testing.T, r *running) {
				r.mustPair(t, pairingIn(t, dir))
				reached := make(chan struct{})
				go func() {
					_, err := r.Agent.migrate(t.Context(), peer.Caller{Known: true, UID: uint32(os.Getuid())}, "invoices", api.Migration{Store: "second"}, func(s api.Step) {
						if s.Number == step {
							close(reached)
							select {}
						}
					})
					t.Errorf("the migration ended: %v", err)
				}()
				<-reached
			})
			r := startIn(t, dir, secondStore(t, dir))
			eventually(t, "sweep", func() bool { return r.entriesIn(t, "default")+r.entriesIn(t, "second") == 1 })
			if n := r.entriesIn(t, rests); n != 1 {
				t.Errorf("%d entries in %s", n, rests)
			}
			if p, _ := r.profile(t); p.Store != rests {
				t.Errorf("the profile takes its secret from %s", p.Store)
			}
			r.mustToken(t, api.TokenRequest{Profile: "invoices"})
		})
	}
}

func pairingIn(t *testing.T, dir string) (p api.Pairing) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "pairing.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
