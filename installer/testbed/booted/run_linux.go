package booted

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Result is how a command ended, and what it wrote.
type Result struct {
	Status   int // 128 and the number of the signal that ended it, if one did
	Out, Err string
}

func (r Result) String() string {
	return fmt.Sprintf("exit status %d, output %q, errors %q", r.Status, r.Out, r.Err)
}

// Run runs a command as root, with root's usual environment and nothing of the test's.
// One that takes longer than a minute fails the test, as does a machine that has ended.
func (m *Machine) Run(t testing.TB, argv ...string) Result {
	t.Helper()
	result, err := m.enter(argv...)
	if err != nil {
		t.Fatalf("run %q: %v", argv, err)
	}
	return result
}

// RunAs runs a command as a user of the machine who has logged in for it, through PAM: in
// the user's home and a session of its own, with the user's systemd, XDG_RUNTIME_DIR
// and bus. The session ends with the command.
func (m *Machine) RunAs(t testing.TB, user string, argv ...string) Result {
	t.Helper()
	session := []string{"systemd-run", "--quiet", "--wait", "--pipe", "--collect",
		"--uid=" + user, "--property=PAMName=login", "--property=WorkingDirectory=~", "--"}
	for _, arg := range argv {
		session = append(session, strings.ReplaceAll(arg, "$", "$$")) // it would expand variables
	}
	return m.Run(t, session...)
}

// enter runs a command in all the machine's namespaces. Its time is limited in there, where
// nobody needs to be root to end it.
func (m *Machine) enter(argv ...string) (Result, error) {
	limit := strconv.Itoa(int(commandTime.Seconds()))
	command := asRoot(append([]string{"nsenter", "--target", strconv.Itoa(m.leader), "--all", "--root", "--wd", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8",
		"timeout", "--kill-after=5", limit}, argv...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return Result{}, err
	}
	result := Result{command.ProcessState.ExitCode(), out.String(), errs.String()}
	if how, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && how.Signaled() {
		result.Status = 128 + int(how.Signal())
	}
	switch {
	case result.Status == 124:
		return result, fmt.Errorf("it did not end within %v: %s", commandTime, result)
	case strings.HasPrefix(result.Err, "nsenter: "):
		return result, errors.New(strings.TrimSpace(result.Err))
	}
	return result, nil
}

// find returns the process below another that is the first one of a pid namespace, and has
// the given number in the namespace around that.
func find(above int, number string) (int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", above))
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // it has ended meanwhile
		}
		for _, child := range strings.Fields(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return 0, err
			}
			if numbers := numbersOf(pid); len(numbers) > 1 && numbers[len(numbers)-1] == "1" && numbers[len(numbers)-2] == number {
				return pid, nil
			}
			if pid, err := find(pid, number); err == nil {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("the machine's first process is not below %d", above)
}

// numbersOf returns the numbers that a process has, one in each pid namespace that
// it is in, from the outermost in, see NSpid in proc(5).
func numbersOf(pid int) []string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return strings.Fields(numbers)
		}
	}
	return nil
}
