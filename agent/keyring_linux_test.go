package agent

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/installer/testbed/session"
	"keytender/vault"
)

// keyringConfig is a config.yaml that leaves the store to the default of a
// user's agent: the OS keyring.
const keyringConfig = "version: 1\n"

// inSession runs test in a desktop session of its own, which knows where the
// Identity Servers are.
func inSession(t *testing.T, test func(*testing.T)) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	session.Run(t, test, "XDG_CACHE_HOME="+cache)
}

// startKeyring starts a real gnome-keyring and waits until a store reaches it.
func startKeyring(t *testing.T, unlocked bool) (stop func()) {
	t.Helper()
	store, err := vault.Open(vault.Config{URL: "keyring:"}, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return session.StartKeyring(t, unlocked, func() error {
		err := store.Check(t.Context())
		if !unlocked && errors.Is(err, vault.ErrLocked) {
			return nil
		}
		return err
	})
}

// pairsNot tries to pair and ends the test unless it fails with the code,
// before Identity is sent anything, and leaves nothing.
func (r *running) pairsNot(t *testing.T, s *providertest.Server, code api.Code, hints ...string) {
	t.Helper()
	before := files(t, r.state)
	_, steps, err := r.pairing(t, robotOf(s))
	e := failsWith(t, err, code)
	for _, hint := range hints {
		if !strings.Contains(e.Hint, hint) {
			t.Errorf("the hint is %q, want %q in it", e.Hint, hint)
		}
	}
	asked(t, s, 0, 0)
	if list, err := r.Profiles(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("profiles %v, %v", list, err)
	}
	if after := files(t, r.state); !slices.Equal(keys(before), keys(after)) {
		t.Errorf("files before and after: %v, %v", keys(before), keys(after))
	}
	r.holdsNo(t, []string{s.Secret}, steps, err)
}

func TestSecretRestsInTheKeyring(t *testing.T) {
	inSession(t, func(t *testing.T) {
		stop := startKeyring(t, true)
		s := providertest.Fosite(t)
		dir := t.TempDir()
		r := startWith(t, dir, keyringConfig)
		result := r.mustPair(t, robotOf(s))
		token := r.mustToken(t, api.TokenRequest{})
		r.holdsNo(t, []string{s.Secret, token.AccessToken}, result)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		stop() // a new login: agent and keyring start anew
		startKeyring(t, true)
		r = startWith(t, dir, keyringConfig)
		r.mustToken(t, api.TokenRequest{Profile: "invoices"})
		if err := r.admin.Unpair(t.Context(), "invoices"); err != nil {
			t.Fatal(err)
		}
		r.mustPair(t, robotOf(s))
	})
}

func TestPairingWithALockedKeyring(t *testing.T) {
	inSession(t, func(t *testing.T) {
		stop := startKeyring(t, true) // makes the login collection
		stop()
		startKeyring(t, false)
		s := providertest.Fosite(t)
		r := startWith(t, t.TempDir(), keyringConfig)
		r.pairsNot(t, s, api.Locked, "unlock the keyring")
		checks := r.examined(t)
		if i := slices.IndexFunc(checks, func(c api.Check) bool { return c.Name == "store" }); checks[i].Result != api.CheckFail || !strings.Contains(checks[i].ToDo, "unlock the keyring") {
			t.Errorf("doctor says %+v", checks[i])
		}
		if status, err := r.Status(t.Context()); err != nil || status.Stores[0].State != api.StoreLocked || status.Agent.State != api.StateTrouble {
			t.Errorf("status %+v, %v", status, err)
		}
		session.UnlockKeyring(t)
		r.mustPair(t, robotOf(s))
		r.mustToken(t, api.TokenRequest{})
	})
}

func TestTokenWhileTheKeyringIsLocked(t *testing.T) {
	inSession(t, func(t *testing.T) {
		stop := startKeyring(t, true)
		s := providertest.Fosite(t)
		c := new(clock)
		r := startWith(t, t.TempDir(), keyringConfig, c.set)
		r.mustPair(t, robotOf(s))
		token := r.mustToken(t, api.TokenRequest{})
		stop()
		startKeyring(t, false)
		if again := r.mustToken(t, api.TokenRequest{}); again.AccessToken != token.AccessToken {
			t.Error("the cached token was not served")
		}
		before := s.TokenRequests()
		c.forward(2 * time.Hour)
		_, err := r.Token(t.Context(), api.TokenRequest{})
		failsWith(t, err, api.Locked)
		asked(t, s, before, 0)
		session.UnlockKeyring(t)
		c.forward(10 * time.Second) // the wait after a failure
		r.mustToken(t, api.TokenRequest{})
	})
}

func TestPairingWithoutAKeyring(t *testing.T) {
	inSession(t, func(t *testing.T) {
		s := providertest.Fosite(t)
		r := startWith(t, t.TempDir(), keyringConfig)
		r.pairsNot(t, s, api.StoreUnavailable, "gnome-keyring", "sealed:")
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
		r.pairsNot(t, s, api.StoreUnavailable, "sealed:")
	})
}
