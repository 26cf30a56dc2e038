package api_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

func TestSocketIsLookedForInOrder(t *testing.T) {
	if _, err := os.Lstat(api.MachineSocket); err == nil {
		t.Fatalf("this machine has an agent of its own at %s", api.MachineSocket)
	}
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("KEYTENDER_SOCKET", "")
	own := filepath.Join(run, "keytender", "keytender.sock")

	if got := api.FindSocket(""); got != own {
		t.Errorf("none there: %s", got)
	}
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := api.FindSocket(""); got != own {
		t.Errorf("the user's own: %s", got)
	}
	t.Setenv("KEYTENDER_SOCKET", "/from/the/variable.sock")
	if got := api.FindSocket(""); got != "/from/the/variable.sock" {
		t.Errorf("the variable: %s", got)
	}
	if got := api.FindSocket("/said/so.sock"); got != "/said/so.sock" {
		t.Errorf("said: %s", got)
	}
}

func TestDirectoriesOfAUser(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "relative") // the XDG specification has it ignored
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/robot1")
	if got := api.UserStateDir(); got != "/home/robot1/.local/state/keytender" {
		t.Error(got)
	}
	if got := api.UserRuntimeDir(); !filepath.IsAbs(got) {
		t.Error(got)
	}
	t.Setenv("XDG_STATE_HOME", "/state")
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	if a, b := api.UserStateDir(), api.UserRuntimeDir(); a != "/state/keytender" || b != filepath.Join(run, "keytender") {
		t.Error(a, b)
	}
}

// TestUserWithoutAHome: a path that depends on where the program happens to be
// started leads nowhere, or to somebody else's socket.
func TestUserWithoutAHome(t *testing.T) {
	for _, home := range []string{"", "relative"} {
		for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "KEYTENDER_SOCKET"} {
			t.Setenv(name, "")
		}
		t.Setenv("HOME", home)
		if got := api.UserStateDir(); got != "" {
			t.Errorf("HOME=%s: state in %s", home, got)
		}
		socket := api.FindSocket("")
		for _, path := range []string{socket, api.AdminSocketFor(socket), api.UserRuntimeDir()} {
			if path != "" && !filepath.IsAbs(path) {
				t.Errorf("HOME=%s: %s", home, path)
			}
		}
		if socket != "" {
			continue // the system made this user a runtime directory
		}
		client, admin := new(api.Client), new(api.Admin)
		_, asked := client.Status(t.Context())
		_, administered := admin.Status(t.Context())
		for _, err := range []error{asked, administered} {
			e, ok := errors.AsType[*api.Error](err)
			if !ok || e.Code != api.Unavailable || !strings.Contains(e.Description, "nor a home") || !strings.Contains(e.Hint, "--socket or KEYTENDER_SOCKET") {
				t.Errorf("HOME=%s: %v", home, err)
			}
		}
	}
}

func TestAdminSocketHasItsPlace(t *testing.T) {
	for workload, admin := range map[string]string{
		api.MachineSocket:                         api.MachineAdminSocket,
		"/run/user/1000/keytender/keytender.sock": "/run/user/1000/keytender/admin.sock",
	} {
		if got := api.AdminSocketFor(workload); got != admin {
			t.Errorf("%s: %s", workload, got)
		}
	}
}
