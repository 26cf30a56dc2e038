package agent

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keytender/installer/testbed/alone"
)

// TestMachineModeOfAnyUser: who is neither root nor the unit's user is told who
// runs machine mode, and how it is tried.
func TestMachineModeOfAnyUser(t *testing.T) {
	alone.Run(t, asAnyUser, func(c *exec.Cmd) {
		if os.Geteuid() == 0 {
			c.Path, c.Dir = "/proc/self/exe", "/"
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodysUID, Gid: nobodysUID}}
		}
	})
}

func asAnyUser(t *testing.T) {
	dir := t.TempDir()
	config, state, socket := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "state"), filepath.Join(dir, "run", "k.sock")
	for what, o := range map[string]Options{
		"nothing named":    {},
		"the state named":  {State: state},
		"the socket named": {Socket: socket},
	} {
		o.Mode, o.Config = Machine, config
		_, err := Open(o)
		if err == nil || !strings.Contains(err.Error(), "machine mode is run by root") || !strings.Contains(err.Error(), "--state and --socket") || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
	a, err := Open(Options{Mode: Machine, Config: config, State: state, Socket: socket})
	if err != nil {
		t.Fatalf("both named: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	_, err = Open(Options{Mode: Machine, Config: config, State: "/state-of-nobody", Socket: socket})
	if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "machine mode") {
		t.Errorf("a state named that is another's: %v", err)
	}
}
