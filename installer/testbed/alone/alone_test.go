package alone_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"keytender/installer/testbed/alone"
)

// TestFailureIsTold: what fails, or is left out, in a process of its own fails
// here, with its reason.
func TestFailureIsTold(t *testing.T) {
	const variable = "KEYTENDER_TEST_FAILS"
	tests := map[string]func(*testing.T){
		"fails":     func(t *testing.T) { t.Error("the reason") },
		"skips":     func(t *testing.T) { t.Skip("the reason") },
		"goes away": func(*testing.T) { println("the reason"); os.Exit(0) },
	}
	if how := os.Getenv(variable); how != "" {
		alone.Run(t, tests[how])
		return
	}
	for how := range tests {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"="+how)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the reason") {
			t.Errorf("a test that %s: %v\n%s", how, err, out)
		}
	}
}

func TestEnvironmentIsItsOwn(t *testing.T) {
	const variable = "KEYTENDER_TEST_SAYS"
	alone.Run(t, func(t *testing.T) {
		if os.Getenv(variable) != "yes" {
			t.Error("the process was not started as it was to be")
		}
	}, func(c *exec.Cmd) { c.Env = append(c.Env, variable+"=yes") })
}
