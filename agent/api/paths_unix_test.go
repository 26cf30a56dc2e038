//go:build unix

package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keytender/agent/api"
)

// TestRuntimeDirThatIsNotTheUsers: su keeps the variable of the user before,
// and containers have one that nobody made.
func TestRuntimeDirThatIsNotTheUsers(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", shortDir(t))
	t.Setenv("XDG_RUNTIME_DIR", "")
	next := api.UserRuntimeDir()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, dir := range map[string]string{
		"missing":        filepath.Join(t.TempDir(), "missing"),
		"a file":         file,
		"another user's": anothers(t),
	} {
		t.Setenv("XDG_RUNTIME_DIR", dir)
		if got := api.UserRuntimeDir(); got != next {
			t.Errorf("%s: %s, not %s", what, got, next)
		}
		e := asked(t, api.UserSocket())
		if e.Description != "nobody listens on "+filepath.Join(next, "keytender.sock") || !strings.Contains(e.Hint, "XDG_RUNTIME_DIR says "+dir) {
			t.Errorf("%s: %v", what, e)
		}
	}
	if e := asked(t, filepath.Join(shortDir(t), "k.sock")); strings.Contains(e.Hint, "XDG_RUNTIME_DIR") {
		t.Errorf("a socket that was named: %v", e)
	}
}

// anothers is a directory that belongs to another user than this process's.
func anothers(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		return "/usr" // root's
	}
	dir := t.TempDir()
	if err := os.Lchown(dir, another, another); err != nil {
		t.Fatal(err)
	}
	return dir
}
