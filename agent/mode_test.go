package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestUserWithoutAHomeIsToldWhatToName: nothing is put where the agent happens
// to be started.
func TestUserWithoutAHomeIsToldWhatToName(t *testing.T) {
	for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	for _, home := range []string{"", "relative"} {
		t.Setenv("HOME", home)
		for what, path := range map[string]string{"config": ConfigPath(User), "state": StateDir(User), "socket": socketFor(User)} {
			if path != "" && !filepath.IsAbs(path) {
				t.Errorf("HOME=%s: the %s is %s", home, what, path)
			}
		}
		if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "no home: set HOME, or name one with --state") {
			t.Errorf("HOME=%s: open: %v", home, err)
		}
	}
	if err := new(Agent).openDoors(); err == nil || !strings.Contains(err.Error(), "name the socket with --socket") {
		t.Errorf("doors without a place: %v", err)
	}
}
