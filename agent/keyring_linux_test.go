package agent

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keytender/agent/api"
	"keytender/agent/internal/providertest"
	"keytender/vault"
)

// keyringConfig is a config.yaml that leaves the store to the default of a
// user's agent: the OS keyring.
const keyringConfig = "version: 1\n"

const keyringPassword = "the-login-password"

// busConfig is a session bus that starts no service by itself.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`

// inSession runs test in a process of its own, in a fresh desktop session
// without a keyring.
func inSession(t *testing.T, test func(*testing.T)) {
	t.Helper()
	const variable = "KEYTENDER_TEST_SESSION"
	if os.Getenv(variable) == t.Name() {
		test(t)
		return
	}
	config := filepath.Join(t.TempDir(), "bus.conf")
	writeFile(t, config, busConfig)
	cache, err := os.UserCacheDir() // where the Identity Servers are
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), need(t, "dbus-run-session", "dbus-daemon"), "--config-file="+config, "--",
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), variable+"="+t.Name(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_CACHE_HOME="+cache,
		"XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "DISPLAY=", "WAYLAND_DISPLAY=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in its session: %v\n%s", err, out)
	}
}

func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run \"make test\", or install the Debian package %s", err, debianPackage)
	}
	return path
}

// startKeyring starts a real gnome-keyring and waits until it answers.
func startKeyring(t *testing.T, unlocked bool) (stop func()) {
	t.Helper()
	args := []string{"--foreground", "--components=secrets"}
	if unlocked {
		args = append(args, "--unlock")
	}
	cmd := exec.Command(need(t, "gnome-keyring-daemon", "gnome-keyring"), args...)
	cmd.Stdin = strings.NewReader(keyringPassword)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	store, err := vault.Open(vault.Config{URL: "keyring:"}, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "gnome-keyring", func() bool {
		err := store.Check(t.Context())
		return err == nil || !unlocked && errors.Is(err, vault.ErrLocked)
	})
	return stop
}

// unlockKeyring does what the login screen does: it gives the running keyring
// the password over its control socket (operation 1, unlock).
func unlockKeyring(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "keyring", "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := []byte{0} // carries the credentials
	message = binary.BigEndian.AppendUint32(message, uint32(12+len(keyringPassword)))
	message = binary.BigEndian.AppendUint32(message, 1)
	message = binary.BigEndian.AppendUint32(message, uint32(len(keyringPassword)))
	message = append(message, keyringPassword...)
	var answer [8]byte
	_, err = conn.Write(message)
	if _, readErr := io.ReadFull(conn, answer[:]); err != nil || readErr != nil || binary.BigEndian.Uint32(answer[4:]) != 0 {
		t.Fatalf("unlock: %v, %v, answer %x", err, readErr, answer)
	}
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
		unlockKeyring(t)
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
		unlockKeyring(t)
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
