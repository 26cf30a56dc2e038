// Package alone runs a test in a process of its own, whose limits, mounts and
// environment are the test's to change and end with it.
package alone

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Run runs test in a process of its own; t fails if it does, and shows all that
// it said. with changes how the process is started: its program, arguments,
// environment and attributes.
//
// The process calls t's function from its beginning: what stands before Run is
// done in both.
func Run(t *testing.T, test func(*testing.T), with ...func(*exec.Cmd)) {
	t.Helper()
	const variable = "KEYTENDER_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		test(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=180s")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	for _, change := range with {
		change(cmd)
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
}
