package booted

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run is the output of a command that must end well.
func run(t *testing.T, result Result) string {
	t.Helper()
	if result.Status != 0 {
		t.Fatal(result)
	}
	return strings.TrimSpace(result.Out)
}

func TestMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a:file")
	if err := os.WriteFile(file, []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := Start(t, Options{Files: map[string]string{file: "/opt/made/for it"}})

	if got := run(t, m.Run(t, "cat", "/proc/1/comm", "/opt/made/for it")); got != "systemd\nfrom outside" {
		t.Errorf("the first process, and the file: %q", got)
	}
	if r := m.Run(t, "sh", "-c", "echo out; echo err >&2; exit 6"); r != (Result{6, "out\n", "err\n"}) {
		t.Errorf("a command: %s", r)
	}
	if r := m.Run(t, "sh", "-c", "kill -KILL $$"); r.Status != 128+9 {
		t.Errorf("a killed command: %s", r)
	}
	if r := m.Run(t, "sh", "-c", "echo x >'/opt/made/for it'"); r.Status == 0 {
		t.Error("the machine can write to a file from outside")
	}
	if got := run(t, m.Run(t, "ls", "/sys/class/net")); got != "lo" {
		t.Errorf("the machine has the networks %q", got)
	}
	if got := run(t, m.Run(t, "stat", "--file-system", "--format=%T", "/sys/fs/cgroup")); got != "cgroup2fs" {
		t.Errorf("the hierarchy of cgroups is %s", got)
	}
}

func TestUserOfAMachineLogsIn(t *testing.T) {
	m := Start(t, Options{})
	run(t, m.Run(t, "useradd", "--create-home", "ann"))
	got := run(t, m.RunAs(t, "ann", "sh", "-c", "id -un; pwd; echo $XDG_RUNTIME_DIR; systemctl --user is-system-running --wait; loginctl show-session $XDG_SESSION_ID --property=Name"))
	if want := "ann\n/home/ann\n/run/user/1000\nrunning\nName=ann"; got != want {
		t.Errorf("the user sees %q, and not %q", got, want)
	}
	if r := m.RunAs(t, "ann", "sh", "-c", "printf '%s' \"$1\"; exit 6", "sh", "${HOME} $HOME 5%n"); r != (Result{6, "${HOME} $HOME 5%n", ""}) {
		t.Errorf("a command: %s", r)
	}
}

func TestMachineKeepsItsDiskOverBoots(t *testing.T) {
	m := Start(t, Options{})
	boot := "cat /etc/machine-id; cat /proc/sys/kernel/random/boot_id; ls /etc/stays /run/goes"
	before := m.Run(t, "sh", "-c", "touch /etc/stays /run/goes; "+boot)
	for name, again := range map[string]func(testing.TB){"reboot": m.Reboot, "crash": m.Crash} {
		again(t)
		after := m.Run(t, "sh", "-c", boot)
		was, is := strings.Fields(before.Out), strings.Fields(after.Out)
		if len(was) != 4 || len(is) != 3 || is[0] != was[0] || is[1] == was[1] || is[2] != "/etc/stays" {
			t.Errorf("%s: before %q, after %q", name, was, is)
		}
	}
	journal := run(t, m.Run(t, "journalctl", "--list-boots", "--quiet"))
	if strings.Count(journal, "\n") != 2 {
		t.Errorf("of three boots the journal has\n%s", journal)
	}
}

// TestKilledTestLeavesNothing: of a machine whose test is killed there is no
// process, no mount and no cgroup left.
func TestKilledTestLeavesNothing(t *testing.T) {
	if os.Getenv("KEYTENDER_TEST_KILLED") != "" {
		m := Start(t, Options{})
		fmt.Println("booted", m.name)
		<-t.Context().Done() // which does not happen
	}
	test := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
	test.Env, test.Stderr = append(os.Environ(), "KEYTENDER_TEST_KILLED=1"), t.Output()
	out, err := test.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := test.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	name, ok := strings.CutPrefix(strings.TrimSpace(line), "booted ")
	if err != nil || !ok {
		_ = test.Process.Kill()
		t.Fatalf("it says %q, %v", line, err)
	}
	if left := leftOf(t, name); len(left) < 6 {
		t.Errorf("of the running machine only this is seen: %q", left)
	}
	if err := test.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = test.Wait() // it was killed
	left := leftOf(t, name)
	for over := time.Now().Add(endTime); len(left) > 0 && time.Now().Before(over); left = leftOf(t, name) {
		time.Sleep(20 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("left of the machine: %q", left)
	}
}

// leftOf lists what there is of a machine: its cgroup, the processes that are in that or
// have the machine in their arguments, and those that see a mount of its own.
func leftOf(t *testing.T, name string) (left []string) {
	t.Helper()
	for _, file := range []string{"cgroup", "cmdline", "mountinfo"} {
		files, err := filepath.Glob("/proc/[0-9]*/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, _ := os.ReadFile(file) // it may have ended meanwhile
			if strings.Contains(string(content), name) {
				left = append(left, file)
			}
		}
	}
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, name) {
			left = append(left, path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
