package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/vault"
)

// killedIn names to the agent's process of killed its directory.
const killedIn = "KEYTENDER_TEST_KILLED_IN"

// killed runs part in an agent's process of its own, in dir, and kills that
// process once part is done.
func killed(t *testing.T, dir string, part func(*testing.T, *running)) {
	t.Helper()
	killedWith(t, dir, "", part)
}

// killedWith is killed with more in config.yaml.
func killedWith(t *testing.T, dir, more string, part func(*testing.T, *running)) {
	t.Helper()
	if in := os.Getenv(killedIn); in != "" {
		part(t, startIn(t, in, more))
		if !t.Failed() {
			fmt.Println("done")
			select {}
		}
		t.FailNow()
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), killedIn+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if line != "done\n" {
		rest, _ := io.ReadAll(lines)
		t.Errorf("the agent's process says %q, %v\n%s", line, err, rest)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// cutOff does what a pairing does up to the point at which its entry is in the
// store and its profile not yet in the state, and like it keeps other
// administrative acts waiting.
func cutOff(t *testing.T, a *Agent) {
	t.Helper()
	if err := a.admin.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := a.stores.get("")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.ledger.expect(orphan{Store: "", Home: store.home, Entry: cutOffEntry}); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), cutOffEntry, vault.Entry{Secret: vault.NewSecret("of a pairing that was cut off")}); err != nil {
		t.Fatal(err)
	}
}

const cutOffEntry = "profile/invoices/cut-off"

// knows reports whether the state still knows of the pairing that was cut off.
func (r *running) knows(t *testing.T) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(r.state, "profiles.json"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(content), cutOffEntry)
}

func TestPairingKilledHalfWayIsSwept(t *testing.T) {
	dir := t.TempDir()
	killed(t, dir, func(t *testing.T, r *running) { cutOff(t, r.Agent) })
	if n := (&running{state: filepath.Join(dir, "state")}).entries(t); n != 1 {
		t.Fatalf("%d entries in the store after the kill, want one", n)
	}
	r := startIn(t, dir, "")
	eventually(t, "sweep", func() bool { return r.entries(t) == 0 && !r.knows(t) })
	if list, err := r.Profiles(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("profiles %v, %v", list, err)
	}
}

func TestPairingAnewKilledHalfWayLeavesTheOld(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv(killedIn) == "" {
		s := providertest.Fosite(t)
		pairing, err := json.Marshal(robotOf(s))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "pairing.json"), string(pairing))
	}
	killed(t, dir, func(t *testing.T, r *running) {
		r.mustPair(t, pairingIn(t, filepath.Dir(r.config)))
		r.mustToken(t, api.TokenRequest{})
		cutOff(t, r.Agent)
	})
	r := startIn(t, dir, "")
	eventually(t, "sweep", func() bool { return r.entries(t) == 1 && !r.knows(t) })
	r.mustToken(t, api.TokenRequest{Profile: "invoices"})
	if _, err := VerifyAudit(r.state); err != nil {
		t.Error(err)
	}
}

func TestOrphanInASilentStoreIsSweptLater(t *testing.T) {
	dir := t.TempDir()
	r := startIn(t, dir, "")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	a, err := Open(r.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	cutOff(t, a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// A file in the place of its directory: the store cannot say what it has.
	stores, aside := filepath.Join(r.state, "stores"), filepath.Join(dir, "aside")
	if err := os.Rename(stores, aside); err != nil {
		t.Fatal(err)
	}
	writeFile(t, stores, "")
	if err := startIn(t, dir, "").stop(); err != nil {
		t.Fatal(err)
	}
	if !r.knows(t) {
		t.Fatal("the state forgot an entry that may still be in its store")
	}
	if err := os.Remove(stores); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, stores); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, "")
	eventually(t, "sweep", func() bool { return r.entries(t) == 0 && !r.knows(t) })
}

func TestStateOfAnotherMachineIsRefused(t *testing.T) {
	s := providertest.Fosite(t)
	dir := t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, robotOf(s))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.state, "state.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Version int            `json:"version"`
		Data    map[string]any `json:"data"`
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	state.Data["machine"], state.Data["bound"] = make([]byte, 32), true
	if content, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(content))
	before, asked := files(t, r.state), s.TokenRequests()
	_, err = Open(r.options(dir))
	if err == nil || !strings.Contains(err.Error(), "made on another machine") || !strings.Contains(err.Error(), "pair") {
		t.Errorf("got %v", err)
	}
	after := files(t, r.state)
	for name, content := range before {
		if filepath.Base(name) != "lock" && after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	if n := s.TokenRequests(); n != asked {
		t.Errorf("Identity was asked %d times", n-asked)
	}
}
