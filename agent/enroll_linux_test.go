package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/peer"
	"keytender/installer/testbed/disk"
	"keytender/vault/vaulttest"
)

// TestUnwrappedSecretIDIsKeptThoughTheCallerHasGone: it was unwrapped, which can be
// done once, while another administrative act kept this one waiting.
func TestUnwrappedSecretIDIsKeptThoughTheCallerHasGone(t *testing.T) {
	v := vaulttest.HashiCorp(t)
	v.Policy(t, "keytender", robotsPolicy)
	roleID, _ := v.AppRole(t, "keytender", "keytender", map[string]any{"token_ttl": "1h", "secret_id_num_uses": 0})
	r := startIn(t, t.TempDir(), fmt.Sprintf("  corp: {url: \"hashicorp://%s/kv-v2/robots\", ca: [%s], login: {method: approle, role_id: %s, wrapped: true}}\n", v.Address, v.CAFile, roleID))
	if err := r.Agent.admin.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	wrapping := v.WrappedSecretID(t, "keytender", time.Minute)
	go func() { ended <- r.Agent.setSecret(ctx, peer.Caller{}, "store/corp", wrapping) }()
	eventually(t, "the end of the login that proves it", func() bool { return v.Requests(t, "auth/token/revoke-self") > 0 })
	leave()
	r.Agent.admin.give()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	store, err := r.Agent.stores.get("corp")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Errorf("the secret id is lost: %v", err)
	}
}

// TestNothingIsUnwrappedWithoutARecord: what cannot be recorded is not done, and what
// was unwrapped then would be lost.
func TestNothingIsUnwrappedWithoutARecord(t *testing.T) {
	disk.Run(t, func(t *testing.T) {
		v := vaulttest.HashiCorp(t)
		v.Policy(t, "keytender", robotsPolicy)
		roleID, _ := v.AppRole(t, "keytender", "keytender", map[string]any{"token_ttl": "1h", "secret_id_num_uses": 0})
		dir := t.TempDir()
		audit := filepath.Join(dir, "state", "audit")
		disk.Tiny(t, audit, "512k")
		r := startIn(t, dir, fmt.Sprintf("  corp: {url: \"hashicorp://%s/kv-v2/robots\", ca: [%s], login: {method: approle, role_id: %s, wrapped: true}}\n", v.Address, v.CAFile, roleID))
		wrapping := v.WrappedSecretID(t, "keytender", time.Minute)
		empty := disk.Fill(t, audit)
		var err error
		for range 64 { // of the last block of the file there is a rest
			if _, err = r.admin.Reload(t.Context()); err != nil {
				break
			}
		}
		failsWith(t, err, api.AuditUnavailable)
		failsWith(t, r.admin.SetSecret(t.Context(), "store/corp", wrapping), api.AuditUnavailable)
		empty()
		if err := r.admin.SetSecret(t.Context(), "store/corp", wrapping); err != nil {
			t.Errorf("the wrapping is used up: %v", err)
		}
	})
}
