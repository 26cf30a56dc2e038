package userns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestEverybodyIsMappedByOneLineOnly(t *testing.T) {
	for mapped, want := range map[string]bool{
		"         0          0 4294967295\n":                  true,
		"         0     100000 4294967295\n":                  false,
		"         0          0 4294967294\n":                  false,
		"         0       1000          1\n":                  false,
		"         0       1000          1\n 1 100000 65536\n": false,
		"         0          0          1\n 1 1 4294967294\n": false, // all of them, in a way nobody sets up
		"": false,
	} {
		if everybody(mapped) != want {
			t.Errorf("%q: %v", mapped, !want)
		}
	}
}

func TestNobodyInANamespaceThatMapsNone(t *testing.T) {
	if os.Getenv("KEYTENDER_USERNS") != "" {
		uid, ok := Nobody()
		fmt.Println("nobody", uid, ok, os.Getuid())
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "KEYTENDER_USERNS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	out, err := cmd.CombinedOutput()
	text, _ := os.ReadFile("/proc/sys/kernel/overflowuid")
	uid := strings.TrimSpace(string(text))
	if want := "nobody " + uid + " true " + uid + "\n"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v\n%s; want %s", err, out, want)
	}
}
