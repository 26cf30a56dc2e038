package session

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keytender/installer/testbed/alone"
)

// busConfig is a session bus that starts no service by itself, so that a test
// meets what it started and nothing that the machine has installed.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`

// Run runs test in a process of its own, in a fresh session with a bus, a home
// and a runtime directory, and without a keyring. The environment, NAME=VALUE,
// is added to its.
func Run(t *testing.T, test func(*testing.T), environment ...string) {
	t.Helper()
	alone.Run(t, test, func(c *exec.Cmd) {
		config := filepath.Join(t.TempDir(), "bus.conf")
		if err := os.WriteFile(config, []byte(busConfig), 0o600); err != nil {
			t.Fatal(err)
		}
		c.Path = need(t, "dbus-run-session", "dbus-daemon")
		c.Args = append([]string{c.Path, "--config-file=" + config, "--"}, c.Args...)
		c.Env = append(c.Env, "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir(),
			"XDG_DATA_HOME=", "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "DISPLAY=", "WAYLAND_DISPLAY=")
		c.Env = append(c.Env, environment...)
	})
}

func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run \"make test\", or install the Debian package %s", err, debianPackage)
	}
	return path
}

const password = "the-login-password"

// StartKeyring starts a real gnome-keyring and waits until answers returns nil.
// The first one that is unlocked makes the login collection; to be locked it
// must be there. What was stored is on disk when stop, or the test's end, kills
// the keyring.
func StartKeyring(t *testing.T, unlocked bool, answers func() error) (stop func()) {
	t.Helper()
	args := []string{"--foreground", "--components=secrets"}
	if unlocked {
		args = append(args, "--unlock")
	}
	cmd := exec.Command(need(t, "gnome-keyring-daemon", "gnome-keyring"), args...)
	cmd.Stdin = strings.NewReader(password)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := answers()
		if err == nil {
			return stop
		}
		if time.Now().After(end) {
			t.Fatalf("gnome-keyring does not answer: %v", err)
		}
	}
}

// UnlockKeyring does what the PAM module of the login screen does: it gives the
// running keyring the password over its control socket (operation 1, unlock).
func UnlockKeyring(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "keyring", "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := []byte{0} // carries the credentials
	message = binary.BigEndian.AppendUint32(message, uint32(12+len(password)))
	message = binary.BigEndian.AppendUint32(message, 1)
	message = binary.BigEndian.AppendUint32(message, uint32(len(password)))
	message = append(message, password...)
	var answer [8]byte
	_, err = conn.Write(message)
	if _, readErr := io.ReadFull(conn, answer[:]); err != nil || readErr != nil || binary.BigEndian.Uint32(answer[4:]) != 0 {
		t.Fatalf("unlock: %v, %v, answer %x", err, readErr, answer)
	}
}
