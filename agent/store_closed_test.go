package agent

import (
	"fmt"
	"os"
	"testing"

	"keytender/agent/internal/door"
	"keytender/agent/internal/peer"
	"keytender/vault/vaulttest"
)

// TestReloadThatClosesAStoreLosesNoCall: the vault keeps its answer back, and a
// reload has the agent open it anew. The agent itself is asked, for its client
// would ask again by itself.
func TestReloadThatClosesAStoreLosesNoCall(t *testing.T) {
	s, v := orchestratorOf(t), vaulttest.FakeConjur(t)
	dir := t.TempDir()
	config := func(refresh string) string {
		return fmt.Sprintf("  corp: {url: \"conjur://%s/corp/apps/keytender\", refresh: %s, ca: [%s], origins: [%q], login: {method: api_key, username: host/robots}}\n", v.Host, refresh, v.CAFile, s.Origin)
	}
	r := startIn(t, dir, config("1m"))
	if err := r.admin.SetSecret(t.Context(), "store/corp", v.Key()); err != nil {
		t.Fatal(err)
	}
	v.Set("apps/keytender/robots", s.robot.Secret)
	p := s.pairing()
	p.Secret, p.Store, p.Entry = "", "corp", "robots"
	r.mustPair(t, p)
	r.Agent.stores.reopen("corp") // nothing is kept
	asked := v.Reads(t, "")
	release := v.Hold(t)
	got := make(chan error, 1)
	go func() {
		_, _, err := r.Agent.broker.token(t.Context(), peer.Caller{Known: true, UID: uint32(os.Getuid())}, door.TokenRequest{Profile: "invoices"})
		got <- err
	}()
	eventually(t, "the vault is asked", func() bool { return v.Reads(t, "") > asked })
	if _, err := r.reconfigure(t, config("2m")); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-got; err != nil {
		t.Errorf("a call failed because of a reload: %v", err)
	}
}
