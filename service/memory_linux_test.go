package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ordinaryUID is an OS user that no machine has, for what root may do anyway.
const ordinaryUID = 12345

// asOrdinary has a command run as a user who is not root, with a home in dir.
func asOrdinary(t *testing.T, dir string, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUID, Gid: ordinaryUID}}
	}
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir, "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return c
}

// ordinaryHome is a directory of that user's.
func ordinaryHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kt") // not below a directory that only root can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		if err := os.Chown(dir, ordinaryUID, ordinaryUID); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// programFor is this program, static as "make build" makes it, where any user can run it.
func programFor(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// peek has a process of the same user read another's environment and memory.
func peek(t *testing.T, dir string, pid int) string {
	out, _ := asOrdinary(t, dir, exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf(
		"for f in environ mem; do head -c 0 /proc/%[1]d/$f 2>&1 && echo opened $f; done; grep 'core file' /proc/%[1]d/limits", pid))).CombinedOutput()
	return string(out)
}

// TestMemoryIsClosed: another process of the same user sees nothing of the
// agent's memory, nor of a command's that waits with a token or for a secret.
func TestMemoryIsClosed(t *testing.T) {
	dir := ordinaryHome(t)
	keytender := programFor(t, dir)
	socket := filepath.Join(dir, "run", "keytender.sock")
	command := func(args ...string) *exec.Cmd {
		return asOrdinary(t, dir, exec.CommandContext(t.Context(), keytender, append([]string{"--socket", socket}, args...)...))
	}
	agent := command("run", "--mode", "user", "--ephemeral")
	agent.Stderr = t.Output()
	started(t, agent)
	if out, err := command("wait", "--timeout", "20s").CombinedOutput(); err != nil {
		t.Fatalf("wait: %v\n%s", err, out)
	}
	got := peek(t, dir, agent.Process.Pid)
	if strings.Contains(got, "opened") || strings.Count(got, "Permission denied") != 2 {
		t.Errorf("of the agent: %s", got)
	}
	if fields := strings.Fields(got); len(fields) < 3 || fields[len(fields)-3] != "0" {
		t.Errorf("the agent's limit of core files: %s", got)
	}
	for _, args := range [][]string{
		{"pair", "invoices", "--kind", "robot", "--url", "http://127.0.0.1:1", "--client-id", "i", "--secret-file", "-"},
		{"secret", "set", "invoices", "--secret-file", "-"},
	} {
		c := command(args...)
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		started(t, c)
		_, _ = io.WriteString(in, strings.Repeat("x", 1<<16+1)) // more than a pipe holds: it is being read
		if got := peek(t, dir, c.Process.Pid); strings.Contains(got, "opened") {
			t.Errorf("of %s: %s", args[0], got)
		}
		in.Close()
	}
}

func started(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// TestExecutedProgramIsNotClosed: the program that "exec" becomes can be
// debugged, and leaves core files, as without it.
func TestExecutedProgramIsNotClosed(t *testing.T) {
	dir := ordinaryHome(t)
	keytender := programFor(t, dir)
	socket := filepath.Join(dir, "keytender.sock")
	hostile := hostileAgent(t)
	for _, s := range []string{"keytender.sock", "admin.sock"} {
		from, to := filepath.Join(filepath.Dir(hostile), s), filepath.Join(dir, s)
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(to, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	limits := "ulimit -S -c 64; ulimit -H -c"
	hard, err := asOrdinary(t, dir, exec.Command("sh", "-c", limits)).Output()
	if err != nil {
		t.Fatal(err)
	}
	look := "ulimit -S -c 64; exec " + keytender + " --socket " + socket + " exec invoices -- sh -c 'ulimit -S -c; ulimit -H -c; head -c 0 /proc/$$/environ && echo open'"
	out, err := asOrdinary(t, dir, exec.CommandContext(t.Context(), "sh", "-c", look)).CombinedOutput()
	if want := "64\n" + string(hard) + "open\n"; err != nil || string(out) != want {
		t.Errorf("COMMAND sees %q, %v, and not %q", out, err, want)
	}
}
