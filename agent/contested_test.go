package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/audit"
	"keytender/agent/internal/peer"
	"keytender/agent/orchestratortest"
)

func TestSlowPairingKeepsNobodyWaiting(t *testing.T) {
	s, slow, r := orchestratorOf(t), orchestratorOf(t), start(t, "")
	r.mustPair(t, s.pairing())
	slow.Fault("", orchestratortest.Fault{Delay: time.Hour})
	p := slow.pairing()
	p.Name = "slow"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.admin.Pair(ctx, p, nil)
		ended <- err
	}()
	eventually(t, "the slow server is asked", func() bool { return slow.Requests("") > 0 })
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a pairing that was given up succeeded")
	}
}

func TestActGivenUpWhileItWaitedIsNotDone(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	r.mustPair(t, s.pairing())
	if err := r.Agent.admin.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Agent.unpair(ctx, peer.Caller{}, "invoices"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	r.Agent.admin.give()
	if _, err := r.Token(t.Context(), api.TokenRequest{}); err != nil {
		t.Errorf("the profile is gone though its unpairing was given up: %v", err)
	}
}

func TestProfileChangedDuringItsPairing(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	other := s.pairing()
	other.Scopes = []string{"OrchestratorApiUserAccess"}
	s.Fault(tokenPath, orchestratortest.Fault{Times: 1, Edit: func(map[string]any) {
		r.mustPair(t, other) // while the first waits for its token
	}})
	_, _, err := r.pairing(t, s.pairing())
	failsWith(t, err, api.AlreadyPaired)
	if n := r.entries(t); n != 1 {
		t.Errorf("%d entries in the store, want that of the pairing that was first", n)
	}
}

func TestSecretInAnotherStoreIsNeitherUsedNorForgotten(t *testing.T) {
	s, dir := orchestratorOf(t), t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, s.pairing())
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startWith(t, dir, "version: 1\n", func(o *Options) { o.Ephemeral = true }) // memory: is the default store
	_, err := r.Token(t.Context(), api.TokenRequest{})
	if e := failsWith(t, err, api.NotPaired); !strings.Contains(e.Description, "another store") {
		t.Errorf("got %v", e)
	}
	failsWith(t, r.admin.Unpair(t.Context(), "invoices"), api.StoreUnavailable)
	if n := r.entries(t); n != 1 {
		t.Fatalf("%d entries, want the one in the store that is not there now", n)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startIn(t, dir, "")
	eventually(t, "sweep", func() bool { return r.entries(t) == 0 })
}

func TestRefusalWithoutCodeBarsNothing(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	r.mustPair(t, s.pairing())
	s.Fault(tokenPath, orchestratortest.Fault{Times: 1, Status: http.StatusForbidden})
	_, err := r.Token(t.Context(), api.TokenRequest{})
	failsWith(t, err, api.ProviderRefused)
	if _, err := r.Token(t.Context(), api.TokenRequest{Scopes: []string{"OrchestratorApiUserAccess", "OrchestratorApiUserAccess"}}); err == nil {
		t.Error("the refused session was asked again at once")
	}
	app := s.AddApp("", "", "OR.Jobs", "OR.Queues")
	r.mustPair(t, api.Pairing{Name: "app", Kind: "app", URL: s.Orchestrator, ClientID: app.ID, Secret: app.Secret})
	s.Fault(tokenPath, orchestratortest.Fault{Times: 1, Status: http.StatusForbidden})
	_, err = r.Token(t.Context(), api.TokenRequest{Profile: "app", Scopes: []string{"OR.Jobs"}})
	failsWith(t, err, api.ProviderRefused)
	if _, err := r.Token(t.Context(), api.TokenRequest{Profile: "app", Scopes: []string{"OR.Queues"}}); err != nil {
		t.Errorf("one refusal without a code bars the whole profile: %v", err)
	}
}

func TestTakenPortLeavesTheSocket(t *testing.T) {
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	r := start(t, "listen: {tcp: \""+squatter.Addr().String()+"\"}\n")
	status, err := r.Status(t.Context())
	if err != nil || status.Agent.TCP != "" || status.Agent.TCPError == nil || status.Agent.State != api.StateTrouble {
		t.Errorf("status %+v, %v", status.Agent, err)
	}
	found, err := r.admin.Doctor(t.Context(), "")
	if err != nil || found.Worst() != api.CheckFail {
		t.Errorf("doctor says %+v, %v", found, err)
	}
}

func TestReloadIsNotOvertakenByAnOldDiscovery(t *testing.T) {
	before, after := orchestratorOf(t), orchestratorOf(t)
	held, release := make(chan struct{}), make(chan struct{})
	dir := t.TempDir()
	declare := func(s *simulated) string {
		return "profiles:\n  invoices: {kind: robot, url: \"" + s.Orchestrator + "\", client_id: " + s.robot.ID + "}\n"
	}
	r := startIn(t, dir, declare(before))
	if err := r.admin.SetSecret(t.Context(), "invoices", before.robot.Secret); err != nil {
		t.Fatal(err)
	}
	before.Fault(discoveryPath, orchestratortest.Fault{Times: 1, Edit: func(map[string]any) {
		close(held)
		<-release
	}})
	asked := make(chan error, 1)
	go func() {
		_, err := r.Token(t.Context(), api.TokenRequest{})
		asked <- err
	}()
	<-held
	writeFile(t, filepath.Join(dir, "config.yaml"), sealedConfig(t, dir, declare(after)))
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-asked; err == nil {
		t.Error("the secret of the one went to the other")
	}
	if err := r.admin.SetSecret(t.Context(), "invoices", after.robot.Secret); err == nil {
		_, err = r.Token(t.Context(), api.TokenRequest{})
		if err != nil {
			t.Errorf("the new configuration does not serve: %v", err)
		}
	} else {
		t.Error(err)
	}
	r.granter.mu.Lock()
	defer r.granter.mu.Unlock()
	if found := r.granter.found["invoices"].Issuer; found != after.Identity {
		t.Errorf("the secret would go to %q, want %q", found, after.Identity)
	}
}

func TestRepeatedRefusalsAreCounted(t *testing.T) {
	r := start(t, "")
	for range 500 {
		if _, err := r.Token(t.Context(), api.TokenRequest{Profile: "nobody"}); err == nil {
			t.Fatal("a token of nobody's")
		}
	}
	r.broker.refusals.settle(true) // as at the end
	var refused []string
	for _, record := range r.records(t, "refused") {
		refused = append(refused, record.Detail)
	}
	if len(refused) != 2 || !strings.HasPrefix(refused[1], "499 more since ") {
		t.Errorf("the audit holds %q, want the first and the count of the others", refused)
	}
	if _, err := VerifyAudit(r.state); err != nil {
		t.Error(err)
	}
}

func TestManyKindsOfRefusalHideNobody(t *testing.T) {
	r := start(t, "")
	for uid := range int64(refusalsKnown + 50) {
		if _, err := r.broker.refusals.add(audit.Record{Event: "refused", UID: 100_000 + uid, Code: "access_denied", Ruling: "r_X"}); err != nil {
			t.Fatal(err)
		}
	}
	r.broker.refusals.settle(true)
	records := r.records(t, "refused")
	last := records[len(records)-1]
	if len(records) != refusalsKnown+2 || last.UID != nil || !strings.HasPrefix(last.Detail, "49 more") {
		t.Errorf("%d records, the last %+v", len(records), last)
	}
}

func TestOwnRefusalsOfOtherScopesAreEachRecorded(t *testing.T) {
	s, r := orchestratorOf(t), start(t, "")
	p := s.pairing()
	p.Scopes = []string{"OrchestratorApiUserAccess"}
	r.mustPair(t, p)
	for _, scope := range []string{"OR.Queues", "OR.Administration", "OR.Queues"} {
		_, err := r.Token(t.Context(), api.TokenRequest{Scopes: []string{scope}})
		failsWith(t, err, api.InvalidScope)
	}
	if n := len(r.records(t, "refused")); n != 2 {
		t.Errorf("%d records, want one of each scope", n)
	}
}

func TestSealKeyMayMove(t *testing.T) {
	s, dir := orchestratorOf(t), t.TempDir()
	r := startIn(t, dir, "")
	r.mustPair(t, s.pairing())
	moved := filepath.Join(dir, "moved.key")
	if err := os.Rename(filepath.Join(dir, "seal.key"), moved); err != nil {
		t.Fatal(err)
	}
	writeFile(t, r.config, "version: 1\nstores:\n  default: {url: \"sealed:\", key: \"file:"+moved+"\"}\n")
	if _, err := r.admin.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Token(t.Context(), api.TokenRequest{}); err != nil {
		t.Error(err)
	}
}

func TestPairingInMemoryEndsWithItsAgent(t *testing.T) {
	s, dir := orchestratorOf(t), t.TempDir()
	ephemeral := func(o *Options) { o.Ephemeral = true }
	r := startWith(t, dir, "version: 1\n", ephemeral)
	r.mustPair(t, s.pairing())
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startWith(t, dir, "version: 1\n", ephemeral)
	if list, err := r.Profiles(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("profiles %v, %v", list, err)
	}
}
