package state

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// child runs one of the tests of this file again in a process of its own, which knows by
// KEYTENDER_STATE_DIR that it is the child.
func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "KEYTENDER_STATE_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestLockOfAKilledAgentIsNoObstacle(t *testing.T) {
	if dir := os.Getenv("KEYTENDER_STATE_DIR"); dir != "" {
		if _, err := Open(dir, machine("m1")); err != nil {
			t.Fatal(err)
		}
		fmt.Println("open")
		select {}
	}
	dir := newDir(t)
	cmd := child(t, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	_, err = Open(dir, machine("m1"))
	if e, ok := errors.AsType[*HeldError](err); !ok || e.PID != cmd.Process.Pid {
		t.Errorf("while the child lives: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if raw, _ := os.ReadFile(filepath.Join(dir, "lock")); !strings.Contains(string(raw), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("the killed agent left no name behind: %q", raw)
	}
	open(t, dir, machine("m1"))
}

// TestFullDiskLeavesTheOldFile fills a file system of its own, in a user namespace.
func TestFullDiskLeavesTheOldFile(t *testing.T) {
	if dir := os.Getenv("KEYTENDER_STATE_DIR"); dir != "" {
		onTinyDisk(t, dir)
		return
	}
	cmd := child(t, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := cmd.Output(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func onTinyDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir, machine("m1"))
	if err := d.Save("profiles", pairing{Name: "old"}); err != nil {
		t.Fatal(err)
	}
	stillOld := func(when string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: saved", when)
		}
		var got pairing
		if err := d.Load("profiles", &got); err != nil || got.Name != "old" {
			t.Errorf("%s: loaded %q, %v", when, got.Name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 3 {
			t.Errorf("%s: left behind %v", when, left)
		}
	}
	err := d.Save("profiles", pairing{Name: strings.Repeat("x", 512<<10)})
	stillOld("full", err)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full: %v", err)
	}
	d.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, machine("m1")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("read-only: %v", err)
	}
}
